//! The directory that files of shared state lie in: in memory, and this user's alone.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, fstatfs, mkdirat, openat};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::error::{Error, Result};

/// `statfs` of a file system in memory.
const TMPFS: u64 = 0x0102_1994;

const OWN: &str = "a directory of this user that no other may write";

/// A directory that was found fit to share state in.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    opened: File,
}

impl Directory {
    /// Where state is shared if no directory is given. It goes with a reboot, not with a logout.
    #[must_use]
    pub fn default_path() -> PathBuf {
        PathBuf::from(format!("/dev/shm/sluice-{}", geteuid().as_raw()))
    }

    /// Opens the directory, which is made where it is missing.
    ///
    /// # Errors
    ///
    /// It belongs to another user, others may write it, it is a symbolic link, or not in memory; the system refuses.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        match mkdirat(CWD, &path, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(Error::of_system(&path, "mkdir", error)),
        }
        Self::find(&path)?.ok_or_else(|| Error::unavailable(&path, "it was removed", OWN))
    }

    /// Opens the directory; `None` where it is missing.
    ///
    /// # Errors
    ///
    /// As of [`open`](Self::open).
    pub fn find(path: &Path) -> Result<Option<Self>> {
        let path = path.to_owned();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = match openat(CWD, &path, flags, Mode::empty()) {
            Ok(opened) => File::from(opened),
            Err(Errno::NOENT) => return Ok(None),
            Err(Errno::NOTDIR | Errno::LOOP) => {
                return Err(Error::unavailable(&path, "it is no directory, or a symbolic link", OWN));
            }
            Err(error) => return Err(Error::of_system(&path, "open", error)),
        };
        let directory = Self { path, opened };
        directory.check()?;
        Ok(Some(directory))
    }

    fn check(&self) -> Result<()> {
        let system = |call, error| Error::of_system(&self.path, call, error);
        let stat = fstat(&self.opened).map_err(|error| system("fstat", error))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory || stat.st_uid != geteuid().as_raw() {
            let reason = format!("it belongs to the user {}", stat.st_uid);
            return Err(Error::unavailable(&self.path, reason, OWN));
        }
        if stat.st_mode & 0o022 != 0 {
            let reason = format!("other users may write it (mode {:o})", stat.st_mode & 0o7777);
            return Err(Error::unavailable(&self.path, reason, OWN));
        }
        let system_type = fstatfs(&self.opened).map_err(|error| system("statfs", error))?.f_type;
        if u64::try_from(system_type).ok() != Some(TMPFS) {
            let accepted = "a directory in memory (tmpfs), such as /dev/shm/sluice";
            return Err(Error::unavailable(&self.path, "it is on a disk or a network drive", accepted));
        }
        Ok(())
    }

    pub(crate) fn file(&self) -> &File {
        &self.opened
    }

    /// The path of a file in it, for errors.
    pub(crate) fn path_of(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// The directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
