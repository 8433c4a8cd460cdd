//! How a process gives its row back, once no call of it is inside: others find it dead from then on.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, fstat, statat, unlink};

use crate::file::identity;
use crate::locks;

/// What a process needs for that when the last object of its state may be in use still.
pub(crate) struct Departure {
    pub(crate) file: Arc<Mutex<File>>,
    pub(crate) path: PathBuf,
    /// Which file it is.
    pub(crate) identity: (u64, u64),
    /// Whether the file loses its name also where other processes are attached.
    pub(crate) for_all: bool,
}

impl Departure {
    /// Removes the file where no other process is attached. `before_removal` is called while no process can make another file
    /// of this name. Its pages stay for as long as anything maps it, also in a process that has left: where they were taken
    /// from a mapping, and the system has none to put in their place, the next access would end the process (`SIGBUS`).
    pub(crate) fn depart(self, before_removal: impl FnOnce()) {
        let file = self.file.lock();
        // Where the descriptor became another file's, the locks have gone with it.
        if !fstat(&*file).is_ok_and(|stat| identity(&stat) == self.identity) {
            return;
        }
        let is_alone = locks::try_lock_whole(&*file);
        if (is_alone || (self.for_all && locks::lock_name(&*file))) && self.has_name() {
            before_removal();
            let _ = unlink(&self.path);
        }
        let _ = locks::unlock_all(&*file);
    }

    fn has_name(&self) -> bool {
        let named = statat(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW);
        named.is_ok_and(|named| identity(&named) == self.identity)
    }
}
