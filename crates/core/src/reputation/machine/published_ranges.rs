//! Lists and banned ranges of all processes. They vary in size, so each change is a file of its own, which is complete
//! before it has a name. A word of the mapping names the file in force; an exchange of it is the change.
//!
//! The name says which process wrote the file: `owner 34 : number 30`, a number that this owner has not used. So a file that
//! is not in force is garbage if its owner is dead, and if it is one's own: the next change of the lists removes it.
//! Readers compare one word, and read the file when it has changed. No process waits for another.

use std::io;
use std::sync::Arc;

use super::range_file::{decode, encode};
use crate::machine::{Owner, Processes};
use crate::reputation::ranges::Ranges;
use crate::reputation::shared_ranges::SharedRanges;
use crate::runtime::arena::Arena;
use crate::runtime::planted::planted;
use crate::runtime::region::Pinned;
use crate::runtime::sync::{AtomicU64, Mutex, Ordering};
use crate::{Error, Result};

/// The files of lists of one reputation, in the directory of its state.
pub trait RangeFiles: Send + Sync {
    /// Makes a file complete under this name; false where there is one.
    ///
    /// # Errors
    ///
    /// The system refuses.
    fn create(&self, name: u64, bytes: &[u8]) -> Result<bool>;

    /// The bytes of a file; `None` where there is none.
    ///
    /// # Errors
    ///
    /// The file is not one that this user alone may write, is too long, or the system refuses.
    fn read(&self, name: u64) -> Result<Option<Vec<u8>>>;

    /// Removes a file, if it can.
    fn remove(&self, name: u64);

    /// The names of all files there are.
    fn names(&self) -> Vec<u64>;

    /// What errors call a file.
    fn describe(&self, name: u64) -> String;
}

const NUMBER_BITS: u32 = 30;

/// The name of no file: no owner has all bits.
const UNREAD: u64 = u64::MAX;

/// The name of a file of this process.
fn name_of(owner: Owner, number: u64) -> u64 {
    owner.bits() << NUMBER_BITS | number & ((1 << NUMBER_BITS) - 1)
}

fn owner_of(name: u64) -> Option<Owner> {
    Owner::from_bits(name >> NUMBER_BITS)
}

/// The ranges that this process has in force, and what is to be done when others replace them.
pub(in crate::reputation) struct FollowedRanges<'a> {
    pub(in crate::reputation) ranges: &'a SharedRanges,
    /// Gets the ranges before and after, before the next change.
    pub(in crate::reputation) changed: &'a dyn Fn(&Ranges, &Ranges),
}

impl FollowedRanges<'_> {
    fn load(&self) -> Ranges {
        Ranges::clone(&self.ranges.load())
    }

    /// Within the turn of this process.
    fn replace(&self, ranges: Ranges) {
        let before = self.load();
        self.ranges.change_and(|_| ranges, |after| (self.changed)(&before, after));
    }
}

pub(in crate::reputation) struct PublishedRanges {
    /// The file in force; 0 for the lists of creation.
    name: Pinned<AtomicU64>,
    files: Box<dyn RangeFiles>,
    processes: Arc<Processes>,
    created: Ranges,
    /// The file that this process has read, or found unreadable.
    read: AtomicU64,
    /// Serializes the threads of this process.
    turn: Mutex<Turn>,
}

#[derive(Default)]
struct Turn {
    /// How many files this process made.
    made: u64,
    /// Why the file in force could not be read.
    refused: Option<Error>,
}

impl PublishedRanges {
    pub(in crate::reputation) fn new(
        created: Ranges,
        files: Box<dyn RangeFiles>,
        arena: &Arena,
        processes: Arc<Processes>,
    ) -> io::Result<Self> {
        let (read, turn) = (AtomicU64::new(0), Mutex::new(Turn::default()));
        Ok(Self { name: arena.pinned()?, files, processes, created, read, turn })
    }

    /// The same, as another process has them.
    #[cfg(all(test, not(sluice_shuttle)))]
    fn of_process(&self, files: Box<dyn RangeFiles>, processes: Arc<Processes>) -> Self {
        let (read, turn) = (AtomicU64::new(0), Mutex::new(Turn::default()));
        Self { name: self.name.clone(), files, processes, created: self.created.clone(), read, turn }
    }

    /// Takes over the lists in force, if another process has changed them. Where they cannot be read, those before stay.
    #[inline]
    pub(in crate::reputation) fn follow(&self, ranges: &FollowedRanges<'_>) {
        // Acquire: the file was complete before the word named it, and what this process has read of it is in force here.
        if self.name.load(Ordering::Acquire) != self.read.load(Ordering::Acquire) {
            self.follow_locked(&mut self.turn.lock(), ranges);
        }
    }

    /// Takes over the lists in force. Reads them again where they could not be read before.
    ///
    /// # Errors
    ///
    /// The file is gone, changed, or refused.
    pub(in crate::reputation) fn check(&self, ranges: &FollowedRanges<'_>) -> Result<()> {
        let mut turn = self.turn.lock();
        self.follow_again(&mut turn, ranges);
        turn.refused.clone().map_or(Ok(()), Err)
    }

    /// As [`follow_locked`](Self::follow_locked), also where the file in force could not be read: the cause may have passed.
    fn follow_again(&self, turn: &mut Turn, ranges: &FollowedRanges<'_>) -> u64 {
        if turn.refused.take().is_some() {
            // Relaxed: within the turn. Another thread that finds it waits for the turn.
            self.read.store(UNREAD, Ordering::Relaxed);
        }
        self.follow_locked(turn, ranges)
    }

    /// The file in force then.
    #[cold]
    fn follow_locked(&self, turn: &mut Turn, ranges: &FollowedRanges<'_>) -> u64 {
        loop {
            let name = self.name.load(Ordering::Acquire);
            if name == self.read.load(Ordering::Relaxed) {
                return name;
            }
            let read = self.load(name);
            // Another change came meanwhile, and may have removed the file.
            if self.name.load(Ordering::SeqCst) != name {
                continue;
            }
            match read {
                Ok(read) => {
                    ranges.replace(read);
                    turn.refused = None;
                }
                Err(error) => turn.refused = Some(error),
            }
            let name = if planted!(ListsTakenForLater) { self.name.load(Ordering::SeqCst) } else { name };
            // Release: a thread that finds them read also finds them in force.
            self.read.store(name, Ordering::Release);
        }
    }

    fn load(&self, name: u64) -> Result<Ranges> {
        if name == 0 {
            return Ok(self.created.clone());
        }
        let file = self.files.describe(name);
        let bytes = self.files.read(name)?.ok_or_else(|| Error::Elsewhere {
            code: "CORRUPT_FILE",
            message: format!("{file} was removed; accepted: files of lists that stay where they are"),
        })?;
        decode(&bytes, &file).map_err(|error| Error::Elsewhere {
            code: error.code(),
            message: match error {
                Error::CorruptFile { file, reason } => {
                    format!("{file} is corrupt: {reason}; accepted: a file that setLists, ban or unban has written")
                }
                other => other.to_string(),
            },
        })
    }

    /// Changes the lists for all processes. `change` gives `None` where there is nothing to change, and may be called
    /// more than once; its last answer holds.
    ///
    /// # Errors
    ///
    /// The lists in force cannot be read, or the file cannot be made; nothing is changed then.
    pub(in crate::reputation) fn change(
        &self,
        ranges: &FollowedRanges<'_>,
        now: u64,
        change: impl Fn(Ranges) -> Option<Ranges>,
    ) -> Result<()> {
        // Others remove the files of a process that has given its row back.
        let present = self.processes.enter();
        let own = present.as_ref().and_then(|_| self.processes.own()).ok_or(Error::Unsupported {
            what: "a change of lists in a process that is not attached",
            accepted: "a process that is attached",
        })?;
        let mut turn = self.turn.lock();
        loop {
            let before = self.follow_again(&mut turn, ranges);
            if let Some(error) = &turn.refused {
                return Err(error.clone());
            }
            let Some(changed) = change(ranges.load()) else { return Ok(()) };
            let name = self.create(&mut turn, own, &encode(&changed, now))?;
            if !self.bring_into_force(before, name) {
                self.files.remove(name);
                continue;
            }
            // As other processes read it, if none came after.
            if let Ok(read) = self.load(name) {
                ranges.replace(read);
            }
            self.read.store(name, Ordering::Release);
            self.remove_garbage(own);
            return Ok(());
        }
    }

    /// False where another process has brought others into force.
    fn bring_into_force(&self, before: u64, name: u64) -> bool {
        if planted!(ListsStored) && self.name.load(Ordering::SeqCst) == before {
            self.name.store(name, Ordering::SeqCst);
            return true;
        }
        // Release: the file is complete.
        self.name.compare_exchange(before, name, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    fn create(&self, turn: &mut Turn, own: Owner, bytes: &[u8]) -> Result<u64> {
        loop {
            turn.made += 1;
            let name = name_of(own, turn.made);
            // Left by an owner of the same row long ago, or of a file that this one replaced.
            if self.files.create(name, bytes)? {
                return Ok(name);
            }
        }
    }

    /// Whether the lists of creation are in force.
    pub(in crate::reputation) fn are_as_created(&self) -> bool {
        self.name.load(Ordering::Acquire) == 0
    }

    /// Removes files that are not in force, of dead processes and of this one.
    fn remove_garbage(&self, own: Owner) {
        for name in self.files.names() {
            let is_garbage =
                owner_of(name).is_none_or(|owner| owner == own || !self.processes.is_live(owner));
            // Read after it was found: no process puts a file of a dead one in force, nor does another thread of this one.
            if is_garbage && self.name.load(Ordering::SeqCst) != name {
                self.files.remove(name);
            }
        }
    }
}

#[cfg(all(test, sluice_loom))]
mod models;
#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;
#[cfg(all(test, not(sluice_shuttle)))]
mod tests_support;
