//! The hub: its slots, the bounds on what they keep, and its counters.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use parking_lot::Mutex;

use super::events::{HubEvent, Notices};
use super::eviction_queue::{EvictionQueue, Limits};
use super::failure::HubFailure;
use super::initialisation::{Call, CallId, Caller};
use super::kept::{Age, HubValue};
use super::options::ClientHubConfig;
use super::slot::{Entered, Slot};
use super::stats::ClientHubStats;
use crate::runtime::instances::OptionList;
use crate::runtime::key_hash::{AlreadyHashed, KeyHash};
use crate::runtime::sharded_counters::ShardedCounters;
use crate::{Error, Result};

/// A cache of values, each made by one initialiser over all threads while other calls wait for it.
///
/// A key has one leader at a time, the call whose initialiser runs. Each call has a number, and the hub accepts its
/// result only while it leads. A read of a fresh value takes the shared lock of one shard; everything else takes the
/// exclusive lock, for a few instructions. Events are sent when no lock is held.
pub struct ClientHub {
    name: String,
    pub(super) created_with: OptionList,
    pub(super) limits: Mutex<Limits>,
    pub(super) slots: DashMap<KeyHash, Slot, AlreadyHashed>,
    /// Of values. Locked before a shard, never after it.
    pub(super) values: Mutex<EvictionQueue>,
    /// Of remembered errors. Locked before a shard too, never while `values` is locked.
    pub(super) failures: Mutex<EvictionQueue>,
    last_number: AtomicU64,
    pub(super) counters: ShardedCounters<11>,
    pub(super) closed: AtomicBool,
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

/// What a call finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// A fresh value.
    Fresh(HubValue),
    /// A stale value. With a call, that call makes the value anew in the background.
    Stale(HubValue, Option<CallId>),
    /// The call is to run its initialiser.
    Lead(CallId),
    /// A remembered error. No initialiser runs until its `retry_after` is over.
    Failed(HubFailure),
    /// The call waits for a leader.
    Wait {
        /// The call.
        call: CallId,
        /// When the leader's time is over and the call should [`look`](ClientHub::look).
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
            limits: Mutex::new(config.limits()),
            slots: DashMap::with_hasher(AlreadyHashed::default()),
            values: Mutex::default(),
            failures: Mutex::default(),
            last_number: AtomicU64::new(0),
            counters: ShardedCounters::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// The version of the fresh value of a key. A thread that has decoded that version needs nothing else.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the hub was destroyed.
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

    /// The fresh value of a key. Counts nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the hub was destroyed.
    pub fn value(&self, key: KeyHash, now: u64) -> Result<Option<HubValue>> {
        self.check_open()?;
        Ok(self.slots.get(&key).and_then(|slot| Some(slot.kept(Age::Fresh, now)?.value.clone())))
    }

    /// The version of the value that a call would receive, fresh or stale. `None` after the hub was destroyed. Counts
    /// nothing.
    #[must_use]
    pub fn version(&self, key: KeyHash, now: u64) -> Option<u64> {
        self.slots.get(&key).and_then(|slot| Some(slot.at_hand(now)?.value.version))
    }

    /// Returns a value or a remembered error, or makes the call lead or wait. `timeout`: how long the call's own
    /// initialiser may run.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the hub was destroyed.
    pub fn join(&self, key: KeyHash, caller: Caller, timeout: u64, now: u64) -> Result<Joined> {
        let id = self.next_number();
        let call = Call { id, caller, timeout };
        let (expired, forgotten, entered) = {
            let mut slot = self.slots.entry(key).or_default();
            // Under the lock: `close` sets the flag before it empties this shard.
            self.check_open()?;
            (slot.drop_expired(now), slot.drop_expired_failure(now), slot.enter(call, now))
        };
        self.subtract_failure(forgotten);
        if let Some(weight) = expired {
            self.counters.add(EXPIRED, 1);
            self.values.lock().remove(weight);
        }
        Ok(self.answer(id, entered))
    }

    /// No later call receives the value that is kept or being made. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the hub was destroyed.
    pub fn invalidate(&self, key: KeyHash) -> Result<bool> {
        self.check_open()?;
        let invalidated = self.change(key, |slot| (slot.take_failure(), slot.invalidate()));
        let Some((forgotten, (weight, was_there))) = invalidated else { return Ok(false) };
        self.subtract_failure(forgotten);
        if let Some(weight) = weight {
            self.values.lock().remove(weight);
        }
        Ok(was_there)
    }

    /// A test set the clock back. Nothing lasts longer than if it began now.
    pub fn clock_was_set_back(&self, now: u64) {
        for mut slot in self.slots.iter_mut() {
            slot.clock_was_set_back(now);
        }
    }

    /// Sums over all threads. Costs one pass over the keys.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the hub was destroyed.
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
            let values = self.values.lock();
            (values.entries(), values.bytes())
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

    /// Runs `change` on the slot of a key, if it has one, and removes a slot that is left empty.
    pub(super) fn change<R>(&self, key: KeyHash, change: impl FnOnce(&mut Slot) -> R) -> Option<R> {
        let Entry::Occupied(mut slot) = self.slots.entry(key) else { return None };
        let result = change(slot.get_mut());
        if slot.get().is_empty() {
            slot.remove();
        }
        Some(result)
    }

    /// Subtracts the weight of an error that was removed.
    pub(super) fn subtract_failure(&self, weight: Option<u64>) {
        if let Some(weight) = weight {
            self.failures.lock().remove(weight);
        }
    }

    pub(super) fn limits(&self) -> Limits {
        *self.limits.lock()
    }

    /// Removes everything, and notifies the calls that lead or wait.
    pub(super) fn empty(&self) {
        let mut calls = Vec::new();
        {
            let mut values = self.values.lock();
            self.slots.retain(|_, slot| {
                calls.extend(slot.close());
                false
            });
            *values = EvictionQueue::default();
            *self.failures.lock() = EvictionQueue::default();
        }
        let mut notices = Notices::default();
        notices.settle(calls, |calls| HubEvent::Closed { calls });
        notices.send();
    }

    pub(super) fn next_number(&self) -> u64 {
        // Relaxed: the numbers only have to be unique.
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

impl fmt::Debug for ClientHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHub").field("name", &self.name).finish_non_exhaustive()
    }
}
