//! The semaphore: its keys, the options in force, and its calls.

use std::fmt;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use super::events::{PermitWaitId, SemaphoreCaller};
use super::key_state::{KeyState, Left, Served};
use super::keys::Keys;
use super::line::Waiter;
use super::options::{SemaphoreConfig, SemaphoreOptions};
use crate::runtime::ThreadId;
use crate::runtime::instances::OptionList;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::sharded_counters::ShardedCounters;
use crate::runtime::sync::{AtomicU64, Ordering};
use crate::{Error, Result};

pub(super) const ACQUIRED: usize = 0;
pub(super) const REFUSED: usize = 1;
pub(super) const TAKEN_BACK: usize = 2;

/// Permits by key. Of each key so many are held at once over all threads; further calls wait in a line.
///
/// A key has a state only while permits of it are held or awaited. A permit belongs to its thread from the moment when it
/// is taken or handed over, under the lock of the key's shard, so the end of the thread returns it. Events are sent when no
/// lock is held.
pub struct Semaphore {
    name: String,
    pub(super) created_with: OptionList,
    /// The options in force. Locked to change them.
    pub(super) options: Mutex<SemaphoreOptions>,
    /// `permits` of them, for calls.
    pub(super) permits: AtomicU64,
    /// `max_waiting` of them.
    pub(super) max_waiting: AtomicU64,
    pub(super) keys: Keys,
    /// Calls in the lines of all keys.
    waiting: AtomicU64,
    last_number: AtomicU64,
    pub(super) counters: ShardedCounters<3>,
    pub(super) closed: AtomicBool,
}

/// What a call of [`acquire`](Semaphore::acquire) comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquired {
    /// It has its permits, with this serial.
    Taken(u64),
    /// It waits.
    Waits {
        /// Its number.
        wait: PermitWaitId,
        /// The serial that its permits will have.
        serial: u64,
        /// It waits behind a hand-over to another thread: the caller is to [look](Semaphore::look) soon.
        watch: bool,
    },
    /// As many calls wait as may.
    Full,
}

/// Permits that are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Of this key.
    pub key: KeyHash,
    /// From this state of the key.
    pub serial: u64,
    /// So many.
    pub permits: u64,
}

impl Semaphore {
    /// A semaphore of which nothing is held.
    #[must_use]
    pub fn new(name: &str, config: SemaphoreConfig) -> Self {
        let SemaphoreOptions { permits, max_waiting } = config.options;
        Self {
            name: name.to_owned(),
            created_with: config.list(),
            options: Mutex::new(config.options),
            permits: AtomicU64::new(permits),
            max_waiting: AtomicU64::new(max_waiting),
            keys: Keys::new(),
            waiting: AtomicU64::new(0),
            last_number: AtomicU64::new(0),
            counters: ShardedCounters::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Takes permits if no call waits and they are free; the serial that they have. No more than `share` thousandths of all
    /// are held afterwards, rounded up. A refusal counts if `is_final`: no wait follows.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] for more permits than there are; [`Error::Closed`] after the semaphore was destroyed.
    pub fn try_acquire(
        &self,
        key: KeyHash,
        thread: ThreadId,
        (permits, share): (u64, u64),
        is_final: bool,
    ) -> Result<Option<u64>> {
        let serial = self.keys.enter(
            key,
            || self.new_state(),
            |state| -> Result<Option<u64>> {
                let most = self.check(permits)?;
                let most = (most * share).div_ceil(1_000);
                Ok(state.try_take(thread, permits, most).then_some(state.serial()))
            },
        )?;
        match serial {
            Some(_) => self.counters.add(ACQUIRED, 1),
            None if is_final => self.counters.add(REFUSED, 1),
            None => {}
        }
        Ok(serial)
    }

    /// Takes permits, or waits for them at the end of the key's line.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    pub fn acquire(&self, key: KeyHash, caller: &SemaphoreCaller, permits: u64) -> Result<Acquired> {
        let thread = caller.mailbox.thread();
        let acquired = self.keys.enter(
            key,
            || self.new_state(),
            |state| -> Result<Acquired> {
                let most = self.check(permits)?;
                if state.try_take(thread, permits, most) {
                    return Ok(Acquired::Taken(state.serial()));
                }
                if !self.try_begin_wait() {
                    return Ok(Acquired::Full);
                }
                let wait = self.next_number();
                state.join(Waiter { id: wait, thread, caller: caller.clone(), permits });
                let watch = state.is_to_be_watched(thread);
                Ok(Acquired::Waits { wait, serial: state.serial(), watch })
            },
        )?;
        match acquired {
            Acquired::Taken(_) => self.counters.add(ACQUIRED, 1),
            Acquired::Full => self.counters.add(REFUSED, 1),
            Acquired::Waits { .. } => {}
        }
        Ok(acquired)
    }

    /// Returns permits of the caller's thread, and serves the line. Does nothing where they were reset.
    pub fn release(&self, hold: Hold, caller: &SemaphoreCaller, now: u64) -> Served {
        let thread = caller.mailbox.thread();
        let Hold { key, serial, permits } = hold;
        self.serve_after(key, caller, now, |state| {
            state.release(serial, thread, permits);
        })
    }

    /// The thread of a call has looked: the call takes what was handed to it. False where that was taken back, and the
    /// call waits on or is among those that were served now.
    pub fn take(
        &self,
        key: KeyHash,
        wait: PermitWaitId,
        caller: &SemaphoreCaller,
        now: u64,
    ) -> (bool, Served) {
        let thread = caller.mailbox.thread();
        let mut taken = false;
        let served = self.serve_after(key, caller, now, |state| {
            taken = state.take(wait);
            state.came_back(thread);
        });
        if taken {
            self.counters.add(ACQUIRED, 1);
        }
        (taken, served)
    }

    /// A call ends its waiting. What was handed to it, and not taken, is free.
    pub fn leave(&self, key: KeyHash, wait: PermitWaitId, caller: &SemaphoreCaller, now: u64) -> Served {
        let thread = caller.mailbox.thread();
        let mut left = Left::Nowhere;
        let served = self.serve_after(key, caller, now, |state| {
            left = state.leave(wait);
            state.came_back(thread);
        });
        self.end_waits(u64::from(left == Left::Line));
        served
    }

    /// The time of a call is over. True where permits were handed to it meanwhile, which it takes; else it leaves, and
    /// counts as refused.
    pub fn expire(
        &self,
        key: KeyHash,
        wait: PermitWaitId,
        caller: &SemaphoreCaller,
        now: u64,
    ) -> (bool, Served) {
        let (taken, mut served) = self.take(key, wait, caller, now);
        if taken || served.own.contains(&wait) {
            return (taken, served);
        }
        let Served { own, watch, .. } = self.leave(key, wait, caller, now);
        served.own.extend(own);
        served.watch |= watch;
        self.counters.add(REFUSED, 1);
        (false, served)
    }

    /// Takes back what was handed to other threads and not taken within 10 ms, and serves the line. Returns when to look
    /// again; `None` where no call waits for a hand-over.
    pub fn look(&self, key: KeyHash, caller: &SemaphoreCaller, now: u64) -> (Option<u64>, Served) {
        let thread = caller.mailbox.thread();
        let mut taken_back = 0;
        let served = self.serve_after(key, caller, now, |state| {
            state.came_back(thread);
            taken_back = state.take_back(thread, now);
            self.waiting.fetch_add(taken_back, Ordering::Relaxed);
        });
        self.counters.add(TAKEN_BACK, taken_back);
        let next = self.keys.change(key, |state| state.next_look(thread)).flatten();
        (next, served)
    }

    /// Fails once the semaphore is destroyed.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the semaphore was destroyed.
    pub fn check_open(&self) -> Result<()> {
        // Relaxed: a call that races with `destroy` may still be answered.
        if self.closed.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }

    /// Changes the state of a key, if it has one, and serves its line.
    fn serve_after(
        &self,
        key: KeyHash,
        caller: &SemaphoreCaller,
        now: u64,
        change: impl FnOnce(&mut KeyState),
    ) -> Served {
        let mut served = Served::default();
        self.keys.change(key, |state| {
            change(state);
            state.serve(self.most(), Some(caller), now, &mut served);
            served.watch = state.is_to_be_watched(caller.mailbox.thread());
        });
        self.settle(&mut served);
        served
    }

    /// Counts what was served, and sends the events.
    pub(super) fn settle(&self, served: &mut Served) {
        self.end_waits(served.left);
        if !served.own.is_empty() {
            self.counters.add(ACQUIRED, served.own.len() as u64);
        }
        std::mem::take(&mut served.notices).send();
    }

    /// The permits in force; fails for a call that asks for more. Under the lock of a shard: `close` sets the flag before it
    /// empties the shard.
    fn check(&self, permits: u64) -> Result<u64> {
        self.check_open()?;
        let most = self.most();
        if permits > most {
            let accepted = format!("an integer from 1 to {most}, the permits of \"{}\"", self.name);
            return Err(Error::invalid_option("Semaphore acquire permits", permits, accepted));
        }
        Ok(most)
    }

    pub(super) fn most(&self) -> u64 {
        self.permits.load(Ordering::Relaxed)
    }

    /// Counts a call that is to wait. False where as many wait as may.
    fn try_begin_wait(&self) -> bool {
        let most = self.max_waiting.load(Ordering::Relaxed);
        let raise = |count| (count < most).then_some(count + 1);
        // Relaxed: all changes of one word have one order, which keeps the bound.
        self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raise).is_ok()
    }

    pub(super) fn end_waits(&self, count: u64) {
        if count > 0 {
            self.waiting.fetch_sub(count, Ordering::Relaxed);
        }
    }

    fn new_state(&self) -> KeyState {
        KeyState::new(self.next_number())
    }

    fn next_number(&self) -> u64 {
        // Relaxed: the numbers only have to be unique, and those of one key are given under its lock.
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("name", &self.name).finish_non_exhaustive()
    }
}
