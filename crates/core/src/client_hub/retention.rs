//! Storing a value or an error, and evicting others for it.

use super::failure::{Failed, Remembered};
use super::hub::{ClientHub, EVICTIONS, EXPIRED, TOO_LARGE};
use super::initialisation::{CallId, Ended};
use super::kept::{Age, Kept};
use super::shelf::Ticket;
use super::slot::{FailedRun, GaveWay, Slot, TimedOut};
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
    /// Ends a run with a value, and keeps it where that is possible. Those who keep values take turns, so there are
    /// never more than there may be.
    pub(super) fn keep(&self, key: KeyHash, call: CallId, kept: Kept, now: u64) -> Option<Ended> {
        let (weight, version) = (kept.weight(), kept.value.version);
        let mut shelf = self.shelf.lock();
        let (outdated, may_be_kept) = self.change(key, |slot| slot.prepare(call)).flatten()?;
        if let Some(weight) = outdated {
            shelf.remove(weight);
        }
        let limits = self.limits();
        let fits = weight <= limits.bytes;
        let lasts = kept.age(now) < Age::Expired;
        if may_be_kept && fits && lasts {
            shelf.make_room(weight, limits, |ticket, must| self.take_away(ticket, must, now));
        } else if may_be_kept && !fits {
            self.counters.add(TOO_LARGE, 1);
        }
        let kept = (fits && lasts).then_some(kept);
        let ended = self.change(key, |slot| Some((slot.end(call, kept, now)?, slot.take_failure())));
        let ((ended, is_kept), forgotten) = ended.flatten()?;
        if is_kept {
            let still_kept = |ticket: &Ticket| self.keeps(*ticket);
            shelf.add(Ticket { key, version }, weight, still_kept);
        }
        drop(shelf);
        self.forgot_failure(forgotten);
        Some(ended)
    }

    /// Ends a run with an error, and remembers it for `retry_after`. Remembered errors have the same bounds as values,
    /// `maxEntries` and `maxBytes`; the oldest are evicted. `end` runs under the lock of the key's shard.
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
        let mut shelf = self.failures.lock();
        shelf.make_room(weight, self.limits(), |Ticket { key, version }, _| {
            self.change(key, |slot| slot.forget_failure(version)).unwrap_or(GaveWay::Gone)
        });
        let ended = self.change(key, |slot| end(slot, Some(remembered))).flatten()?;
        let Some(run) = ended.failed_run() else { return Some((ended, 0)) };
        if let Some(weight) = run.forgotten {
            shelf.remove(weight);
        }
        if !run.is_remembered {
            return Some((ended, 0));
        }
        shelf.add(Ticket { key, version }, weight, |Ticket { key, version }| {
            self.slots.get(key).is_some_and(|slot| slot.remembers(*version))
        });
        Some((ended, version))
    }

    fn take_away(&self, Ticket { key, version }: Ticket, must: bool, now: u64) -> GaveWay {
        let gave_way = self.change(key, |slot| slot.give_way(version, must, now));
        let gave_way = gave_way.unwrap_or(GaveWay::Gone);
        match gave_way {
            GaveWay::Expired(_) => self.counters.add(EXPIRED, 1),
            GaveWay::Evicted(_) => self.counters.add(EVICTIONS, 1),
            GaveWay::Gone | GaveWay::InUse => {}
        }
        gave_way
    }

    fn keeps(&self, Ticket { key, version }: Ticket) -> bool {
        self.slots.get(&key).is_some_and(|slot| slot.keeps(version))
    }
}
