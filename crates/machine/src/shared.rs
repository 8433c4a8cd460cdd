//! State of all processes of a machine: the mapped file, and this process's place among those that are attached.

use std::fmt;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use memmap2::{Advice, MmapOptions, MmapRaw};
use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, open, statat};
use sluice_core::machine::{Owner, Processes};
use sluice_core::runtime::arena::Arena;
use sluice_core::runtime::key_hash::KeyHasher;

use crate::clock::Clock;
use crate::departure::Departure;
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::file::{self, Opened, Wanted, identity};
use crate::look_after::Lookout;
use crate::terms::Terms;
use crate::{header, locks};

/// A file that is attached to, until it is dropped with everything that uses its state. Nothing is cleaned up then: others
/// find this process dead, as they do when it is killed.
pub struct Shared {
    /// Holds the lock of this process's row, for as long as anything uses the rows.
    file: Arc<Mutex<File>>,
    mapping: Arc<MmapRaw>,
    processes: Arc<Processes>,
    hasher: KeyHasher,
    clock: Clock,
    lookout: Lookout,
    path: std::path::PathBuf,
    identity: (u64, u64),
    options: Vec<(String, String)>,
    state_at: usize,
    takes_over: bool,
    /// This process gives its row back as soon as no call is inside.
    has_left: AtomicBool,
}

/// A process that is attached. For people: a process says these things of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// Its id, in its own namespace.
    pub pid: u64,
    /// When it attached, in UTC milliseconds.
    pub since: u64,
}

impl Shared {
    /// The bytes of a file for state of so many bytes.
    #[must_use]
    pub fn file_bytes(state: usize) -> u64 {
        let arena = Arena::measure();
        arena.skip(header::LENGTH);
        // Measured by asking for them, whether there is room or not.
        let _ = Processes::new(&arena);
        arena.skip(state);
        (arena.taken() as u64).next_multiple_of(4_096)
    }

    /// Attaches to the file, which is created where there is none.
    ///
    /// # Errors
    ///
    /// Each that [`Error`] names, but those of a component.
    pub fn open(directory: &Directory, wanted: &Wanted<'_>) -> Result<Self> {
        Self::open_if(directory, wanted, None)
    }

    /// As [`open`](Self::open). Where the options differ from those in force and other processes are attached, `terms`
    /// decide whether this one attaches all the same.
    ///
    /// # Errors
    ///
    /// As of [`open`](Self::open).
    pub(crate) fn open_if(
        directory: &Directory,
        wanted: &Wanted<'_>,
        terms: Option<Terms<'_>>,
    ) -> Result<Self> {
        let opened = file::open(directory, wanted, terms)?;
        check_locks(&opened)?;
        let mapping = map(&opened)?;
        let arena = Arena::in_mapping(Arc::clone(&mapping));
        arena.skip(header::LENGTH);
        let processes =
            Processes::new(&arena).map_err(|_| Error::corrupt(&opened.path, "it is too short"))?;
        let file = Arc::new(Mutex::new(opened.file));
        processes.keep(Arc::<Mutex<File>>::clone(&file));
        processes.take(opened.row, std::process::id(), utc_ms());
        Ok(Self {
            state_at: arena.taken(),
            hasher: header::hasher(&opened.header.seeds),
            clock: Clock::new(opened.header.start, processes.clock_word()),
            lookout: Lookout::default(),
            file,
            mapping,
            processes: Arc::new(processes),
            path: opened.path,
            identity: opened.identity,
            options: opened.header.options,
            takes_over: opened.takes_over,
            has_left: AtomicBool::new(false),
        })
    }

    /// The memory of the state.
    #[must_use]
    pub fn arena(&self) -> Arena {
        let arena = Arena::in_mapping(Arc::clone(&self.mapping));
        arena.skip(self.state_at);
        arena
    }

    /// The processes that are attached.
    #[must_use]
    pub fn processes(&self) -> &Arc<Processes> {
        &self.processes
    }

    /// The hash function of keys, the same in each process.
    #[must_use]
    pub fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    /// The time that all processes decide by, in nanoseconds.
    #[inline]
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// When the other processes are looked after.
    #[inline]
    pub(crate) fn lookout(&self) -> &Lookout {
        &self.lookout
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// The options that the file was created with.
    #[must_use]
    pub fn options(&self) -> &[(String, String)] {
        &self.options
    }

    /// Whether this process brings the options of creation into force again, as no other was attached that uses those that
    /// replaced them.
    pub(crate) const fn takes_over(&self) -> bool {
        self.takes_over
    }

    /// Ends the use of the file by this process, for which others find it dead once no call of it is inside: now, or with the
    /// last one. Then removes the file where no other process is attached; with `for_all` also where one is.
    pub fn leave(&self, for_all: bool) {
        self.leave_and(for_all, || ());
    }

    /// As [`leave`](Self::leave). Calls `before_removal` before it removes the file, while no process can make another one of
    /// this name: for files that belong to it.
    pub fn leave_and(&self, for_all: bool, before_removal: impl FnOnce() + Send + 'static) {
        self.has_left.store(true, Ordering::SeqCst);
        let departure = Departure {
            file: Arc::clone(&self.file),
            path: self.path.clone(),
            identity: self.identity,
            for_all,
        };
        self.processes.leave(move || departure.depart(before_removal));
    }

    fn is_own(&self, file: &File) -> bool {
        fstat(file).is_ok_and(|stat| identity(&stat) == self.identity)
    }

    /// Those that are attached and not known to be dead.
    #[must_use]
    pub fn attached(&self) -> Vec<Attached> {
        let described = self.processes.live().filter_map(|owner| self.processes.describe(owner));
        described.map(|(pid, since)| Attached { pid, since }).collect()
    }

    /// Finds out which processes died, so that what they hold no longer counts. How many were found. One call of the system
    /// for each that lives.
    ///
    /// # Errors
    ///
    /// The file was removed or replaced, so that processes that attach later share another one; or it was closed under this
    /// process, and cannot be attached anew. The state stays usable.
    pub fn look_after(&self) -> Result<usize> {
        let mut file = self.file.lock();
        if self.has_left.load(Ordering::SeqCst) {
            return Ok(0);
        }
        self.clock.check();
        self.keep_attached(&mut file)?;
        let own = self.processes.own();
        let others = self.processes.live().filter(|owner| Some(*owner) != own);
        let dead = others.filter(|owner| self.is_dead(&file, *owner) && self.processes.bury(*owner)).count();
        self.check_name()?;
        Ok(dead)
    }

    /// The owner was seen live before. It took the lock before that, so a free lock means that it is dead.
    fn is_dead(&self, file: &File, owner: Owner) -> bool {
        locks::is_free(file, owner.row()).unwrap_or(false)
    }

    /// Whether the name still is that of the file.
    fn check_name(&self) -> Result<()> {
        let named = statat(CWD, &self.path, AtFlags::SYMLINK_NOFOLLOW);
        match named {
            Ok(stat) if identity(&stat) == self.identity => Ok(()),
            Ok(_) => Err(self.lost("it was replaced")),
            Err(_) => Err(self.lost("it was removed")),
        }
    }

    fn lost(&self, reason: &str) -> Error {
        Error::unavailable(&self.path, reason, "a file that stays where it is")
    }

    /// Opens the file again where other code of this process has closed its descriptor. The mapping keeps the lock meanwhile.
    /// Takes another row where this process was taken for dead nevertheless.
    fn keep_attached(&self, file: &mut File) -> Result<()> {
        let is_same = self.is_own(file);
        let is_live = self.processes.own().is_some_and(|own| self.processes.is_live(own));
        if is_same && is_live {
            return Ok(());
        }
        if !is_same {
            let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let again = open(&self.path, flags, Mode::empty()).map_err(|_| self.lost("it was removed"))?;
            if !fstat(&again).is_ok_and(|stat| identity(&stat) == self.identity) {
                return Err(self.lost("it was replaced"));
            }
            // The number of the descriptor belongs to other code of this process by now: it must not be closed.
            std::mem::forget(std::mem::replace(file, again.into()));
        }
        if is_live {
            return Ok(());
        }
        let row = (0..Processes::ROWS).find(|row| locks::try_lock(&*file, *row, 1).unwrap_or(false));
        let row = row.ok_or_else(|| self.lost("all rows are taken"))?;
        self.processes.take(row, std::process::id(), utc_ms());
        Ok(())
    }
}

/// Whether another descriptor sees the lock of the row. Emulated kernels and network drives may not show it, and then all
/// processes would take each other for dead.
fn check_locks(opened: &Opened) -> Result<()> {
    // By the descriptor: the name may be gone by now.
    let own = format!("/proc/self/fd/{}", opened.file.as_raw_fd());
    let other = open(own, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Error::of_system(&opened.path, "open", error))?;
    if locks::is_free(&other, opened.row).unwrap_or(true) {
        let accepted = "a system that shows the locks of open file descriptions (Linux 3.15 or newer)";
        return Err(Error::unavailable(&opened.path, "its locks do not work here", accepted));
    }
    Ok(())
}

fn map(opened: &Opened) -> Result<Arc<MmapRaw>> {
    let refused =
        |error| Error::unavailable(&opened.path, format!("it cannot be mapped: {error}"), "room for it");
    let bytes = usize::try_from(opened.header.bytes).unwrap_or(usize::MAX);
    let mapping = MmapOptions::new().len(bytes).populate().map_raw(&opened.file).map_err(refused)?;
    // A child that is forked without exec does not share it.
    mapping.advise(Advice::DontFork).map_err(refused)?;
    Ok(Arc::new(mapping))
}

fn utc_ms() -> u64 {
    let date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(date.as_millis()).unwrap_or(0)
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("path", &self.path).finish_non_exhaustive()
    }
}
