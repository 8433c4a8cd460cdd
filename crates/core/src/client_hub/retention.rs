//! How values and errors are stored, and others evicted for them.

use super::eviction_queue::Position;
use super::failure::{Failed, Remembered};
use super::hub::{ClientHub, EVICTIONS, EXPIRED, TOO_LARGE};
use super::initialisation::{CallId, Ended};
use super::kept::{Age, Kept};
use super::slot::{Eviction, FailedRun, Slot, TimedOut};
use crate::runtime::key_hash::KeyHash;

/// The outcome of a run that made no value.
pub(super) trait RunEnd {
    /// The failed run, unless another call leads now.
    fn failed_run(&self) -> Option<&FailedRun>;
}

impl RunEnd for FailedRun {
    fn failed_run(&self) -> Option<&FailedRun> {
        Some(self)
    }
}

impl RunEnd for TimedOut {
    fn failed_run(&self) -> Option<&FailedRun> {
        match self {
            Self::Failed(run) => Some(run),
            Self::HandedOver(_) => None,
        }
    }
}

impl ClientHub {
    /// Ends a run with a value, and keeps the value where its size and its age allow. Values are kept one at a time, so
    /// the limits are never exceeded. `None` when another call leads now.
    pub(super) fn keep(&self, key: KeyHash, call: CallId, kept: Kept, now: u64) -> Option<Ended> {
        let (weight, version) = (kept.weight(), kept.value.version);
        let mut queue = self.values.lock();
        let (outdated, may_be_kept) = self.change(key, |slot| slot.prepare(call)).flatten()?;
        if let Some(weight) = outdated {
            queue.remove(weight);
        }
        let limits = self.limits();
        let fits = weight <= limits.bytes;
        let lasts = kept.age(now) < Age::Expired;
        if may_be_kept && fits && lasts {
            queue.make_room(weight, limits, |position, is_forced| self.evict(position, is_forced, now));
        } else if may_be_kept && !fits {
            self.counters.add(TOO_LARGE, 1);
        }
        let kept = (fits && lasts).then_some(kept);
        let ended = self.change(key, |slot| Some((slot.end(call, kept, now)?, slot.take_failure())));
        let ((ended, is_kept), forgotten) = ended.flatten()?;
        if is_kept {
            let still_kept = |position: &Position| self.keeps(*position);
            queue.add(Position { key, version }, weight, still_kept);
        }
        drop(queue);
        self.subtract_failure(forgotten);
        Some(ended)
    }

    /// Ends a run with an error, and remembers the error for `retry_after`. Remembered errors have bounds of their own,
    /// also `maxEntries` and `maxBytes`; the oldest are evicted. `end` runs under the lock of the key's shard. Returns
    /// the version of the remembered error, or 0.
    pub(super) fn end_failed<R: RunEnd>(
        &self,
        key: KeyHash,
        failed: &Failed,
        now: u64,
        end: impl FnOnce(&mut Slot, Option<Remembered>) -> Option<R>,
    ) -> Option<(R, u64)> {
        let version = self.next_number();
        let remembered = Remembered::new(version, failed, now);
        let weight = remembered.weight();
        if failed.retry_after == 0 || weight > self.limits().bytes {
            return Some((self.change(key, |slot| end(slot, None)).flatten()?, 0));
        }
        let mut queue = self.failures.lock();
        queue.make_room(weight, self.limits(), |Position { key, version }, _| {
            self.change(key, |slot| slot.forget_failure(version)).unwrap_or(Eviction::Gone)
        });
        let ended = self.change(key, |slot| end(slot, Some(remembered))).flatten()?;
        let Some(run) = ended.failed_run() else { return Some((ended, 0)) };
        if let Some(weight) = run.replaced {
            queue.remove(weight);
        }
        if !run.is_remembered {
            return Some((ended, 0));
        }
        queue.add(Position { key, version }, weight, |Position { key, version }| {
            self.slots.get(key).is_some_and(|slot| slot.remembers(*version))
        });
        Some((ended, version))
    }

    fn evict(&self, Position { key, version }: Position, is_forced: bool, now: u64) -> Eviction {
        let eviction = self.change(key, |slot| slot.evict(version, is_forced, now));
        let eviction = eviction.unwrap_or(Eviction::Gone);
        match eviction {
            Eviction::Expired(_) => self.counters.add(EXPIRED, 1),
            Eviction::Evicted(_) => self.counters.add(EVICTIONS, 1),
            Eviction::Gone | Eviction::InUse => {}
        }
        eviction
    }

    fn keeps(&self, Position { key, version }: Position) -> bool {
        self.slots.get(&key).is_some_and(|slot| slot.keeps(version))
    }
}
