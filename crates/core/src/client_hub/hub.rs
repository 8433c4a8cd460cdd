//! The hub: its keys, what is kept of them, and what threads are told, put together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use parking_lot::Mutex;

use super::failure::HubFailure;
use super::initialisation::{Call, CallId, Caller};
use super::kept::{Age, HubValue};
use super::news::{HubNews, Notices};
use super::options::ClientHubConfig;
use super::shelf::{Limits, Shelf};
use super::slot::{Entered, Slot};
use super::stats::ClientHubStats;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::runtime::key_hash::{AlreadyHashed, KeyHash};
use crate::runtime::sharded_counters::ShardedCounters;
use crate::{Error, Result};

/// A value for each of many keys, made by one initialiser over all threads while the others wait.
///
/// A key has one leader at a time, the call whose initialiser runs. Each call has a number, and what it reports is
/// taken only while it leads. A read of a fresh value takes the shared lock of one shard; everything else the
/// exclusive one, for a few instructions. Threads are told when no lock is held.
pub struct ClientHub {
    name: String,
    created_with: OptionList,
    limits: Mutex<Limits>,
    pub(super) slots: DashMap<KeyHash, Slot, AlreadyHashed>,
    /// Locked before a shard, never after it.
    pub(super) shelf: Mutex<Shelf>,
    /// Remembered errors. Locked before a shard too, never while `shelf` is locked.
    pub(super) failures: Mutex<Shelf>,
    last_number: AtomicU64,
    pub(super) counters: ShardedCounters<11>,
    closed: AtomicBool,
}

const HITS: usize = 0;
const STALE: usize = 1;
const MISSES: usize = 2;
pub(super) const INITIALISATIONS: usize = 3;
pub(super) const FAILURES: usize = 4;
pub(super) const TIMEOUTS: usize = 5;
pub(super) const HANDOVERS: usize = 6;
pub(super) const EVICTIONS: usize = 7;
pub(super) const EXPIRED: usize = 8;
pub(super) const TOO_LARGE: usize = 9;
const REJECTED: usize = 10;

/// What a call comes to at first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// A value, fresh.
    Fresh(HubValue),
    /// A value, stale; with a call that is to refresh it, where nobody does yet.
    Stale(HubValue, Option<CallId>),
    /// This call runs its initialiser.
    Lead(CallId),
    /// A remembered error: no initialiser runs until `retry_after` is over.
    Failed(HubFailure),
    /// This call is told what comes of another's, whose time is over at `until`.
    Wait {
        /// The call.
        call: CallId,
        /// When it is worth a [`look`](ClientHub::look).
        until: u64,
    },
}

impl ClientHub {
    /// A hub without values.
    #[must_use]
    pub fn new(name: &str, config: ClientHubConfig) -> Self {
        Self {
            name: name.to_owned(),
            created_with: config.list(),
            limits: Mutex::new(limits_of(&config)),
            slots: DashMap::with_hasher(AlreadyHashed::default()),
            shelf: Mutex::default(),
            failures: Mutex::default(),
            last_number: AtomicU64::new(0),
            counters: ShardedCounters::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// The version of a value that is fresh: a thread that has decoded it needs nothing else.
    pub fn read(&self, key: KeyHash, now: u64) -> Result<Option<u64>> {
        self.check_open()?;
        let version = self.slots.get(&key).and_then(|slot| {
            let kept = slot.kept(Age::Fresh, now)?;
            kept.mark_used();
            Some(kept.value.version)
        });
        if version.is_some() {
            self.counters.add(HITS, 1);
        }
        Ok(version)
    }

    /// A value that is fresh; counts nothing.
    pub fn value(&self, key: KeyHash, now: u64) -> Result<Option<HubValue>> {
        self.check_open()?;
        Ok(self.slots.get(&key).and_then(|slot| Some(slot.kept(Age::Fresh, now)?.value.clone())))
    }

    /// The version of the value that a call would be answered with, fresh or stale; none of a hub that was destroyed.
    /// Counts nothing.
    #[must_use]
    pub fn version(&self, key: KeyHash, now: u64) -> Option<u64> {
        self.slots.get(&key).and_then(|slot| Some(slot.at_hand(now)?.value.version))
    }

    /// Returns a value, a place in the queue for one, or a remembered error. `timeout`: how long the call's own
    /// initialiser may run.
    pub fn join(&self, key: KeyHash, caller: Caller, timeout: u64, now: u64) -> Result<Joined> {
        let id = self.next_number();
        let call = Call { id, caller, timeout };
        let (expired, forgotten, entered) = {
            let mut slot = self.slots.entry(key).or_default();
            // Under the lock: `close` comes to this shard after it has closed.
            self.check_open()?;
            (slot.drop_expired(now), slot.drop_past_failure(now), slot.enter(call, now))
        };
        self.forgot_failure(forgotten);
        if let Some(weight) = expired {
            self.counters.add(EXPIRED, 1);
            self.shelf.lock().remove(weight);
        }
        Ok(self.answer(id, entered))
    }

    /// Nothing that is kept, or being made, is answered to a later call; whether there was anything.
    pub fn invalidate(&self, key: KeyHash) -> Result<bool> {
        self.check_open()?;
        let invalidated = self.change(key, |slot| (slot.take_failure(), slot.invalidate()));
        let Some((forgotten, (weight, was_there))) = invalidated else { return Ok(false) };
        self.forgot_failure(forgotten);
        if let Some(weight) = weight {
            self.shelf.lock().remove(weight);
        }
        Ok(was_there)
    }

    /// The clock was set back, by hand, in a test: nothing lasts longer for that.
    pub fn clock_was_set_back(&self, now: u64) {
        for mut slot in self.slots.iter_mut() {
            slot.clock_was_set_back(now);
        }
    }

    /// Sums over all threads, and one pass over the keys.
    pub fn stats(&self) -> Result<ClientHubStats> {
        self.check_open()?;
        let sum = |counter| self.counters.sum(counter);
        let (mut waiting, mut initialising) = (0, 0);
        for slot in &self.slots {
            if let Some(run) = slot.run() {
                waiting += run.waiting() as u64;
                initialising += 1;
            }
        }
        let (entries, bytes) = {
            let shelf = self.shelf.lock();
            (shelf.entries(), shelf.bytes())
        };
        Ok(ClientHubStats {
            hits: sum(HITS),
            stale: sum(STALE),
            misses: sum(MISSES),
            initialisations: sum(INITIALISATIONS),
            failures: sum(FAILURES),
            timeouts: sum(TIMEOUTS),
            handovers: sum(HANDOVERS),
            evictions: sum(EVICTIONS),
            expired: sum(EXPIRED),
            too_large: sum(TOO_LARGE),
            rejected: sum(REJECTED),
            remembered: self.failures.lock().entries(),
            entries,
            bytes,
            waiting,
            initialising,
        })
    }

    fn answer(&self, call: CallId, entered: Entered) -> Joined {
        let (counter, begins, joined) = match entered {
            Entered::Fresh(value) => (HITS, false, Joined::Fresh(value)),
            Entered::Stale { value, refreshes } => {
                (STALE, refreshes, Joined::Stale(value, refreshes.then_some(call)))
            }
            Entered::Leads => (MISSES, true, Joined::Lead(call)),
            Entered::Failed(failure) => (REJECTED, false, Joined::Failed(failure)),
            Entered::Waits { until } => (MISSES, false, Joined::Wait { call, until }),
        };
        self.counters.add(counter, 1);
        if begins {
            self.counters.add(INITIALISATIONS, 1);
        }
        joined
    }

    /// Runs `change` on what there is of a key; a key of which nothing is left is forgotten.
    pub(super) fn change<R>(&self, key: KeyHash, change: impl FnOnce(&mut Slot) -> R) -> Option<R> {
        let Entry::Occupied(mut slot) = self.slots.entry(key) else { return None };
        let result = change(slot.get_mut());
        if slot.get().is_empty() {
            slot.remove();
        }
        Some(result)
    }

    /// Subtracts the weight of a forgotten error.
    pub(super) fn forgot_failure(&self, weight: Option<u64>) {
        if let Some(weight) = weight {
            self.failures.lock().remove(weight);
        }
    }

    pub(super) fn limits(&self) -> Limits {
        *self.limits.lock()
    }

    /// Forgets everything, and tells the calls that wait or run an initialiser.
    fn empty(&self) {
        let mut calls = Vec::new();
        {
            let mut shelf = self.shelf.lock();
            self.slots.retain(|_, slot| {
                calls.extend(slot.close());
                false
            });
            *shelf = Shelf::default();
            *self.failures.lock() = Shelf::default();
        }
        let mut notices = Notices::default();
        notices.settle(calls, |calls| HubNews::Closed { calls });
        notices.send();
    }

    pub(super) fn next_number(&self) -> u64 {
        // Relaxed: only that no two are the same.
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn check_open(&self) -> Result<()> {
        // Relaxed: a call that races with `destroy` may still be answered.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }
}

impl Instance for ClientHub {
    const KIND: &'static str = "ClientHub";
    type Config = ClientHubConfig;

    fn create(name: &str, config: ClientHubConfig) -> Self {
        Self::new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &ClientHubConfig) -> OptionList {
        config.list_given()
    }

    /// Tells everybody who waits or runs an initialiser.
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.empty();
    }

    fn list_all(config: &ClientHubConfig) -> OptionList {
        config.list()
    }

    /// Values that are more than are kept from now on go when the next comes.
    fn reconfigure(&self, _: &str, config: ClientHubConfig, is_empty: bool) -> Result<Option<Arc<Self>>> {
        let mut limits = self.limits.lock();
        let before = if is_empty { limits_of(&ClientHubConfig::default()) } else { *limits };
        *limits = config.limits_or(before);
        Ok(None)
    }

    fn reset(&self) {
        self.empty();
        self.counters.reset();
    }

    fn thread_ended(&self, thread: ThreadId, now: u64) {
        Self::thread_ended(self, thread, now);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back.now);
    }
}

fn limits_of(config: &ClientHubConfig) -> Limits {
    Limits { entries: config.max_entries(), bytes: config.max_bytes() }
}

impl fmt::Debug for ClientHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHub").field("name", &self.name).finish_non_exhaustive()
    }
}
