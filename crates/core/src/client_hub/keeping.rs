//! How a value that was made comes to be kept, and others go for it.

use super::hub::{ClientHub, EVICTIONS, EXPIRED, TOO_LARGE};
use super::initialisation::{CallId, Ended};
use super::kept::Kept;
use super::shelf::Ticket;
use super::slot::GaveWay;
use crate::key_hash::KeyHash;

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
        let fits = weight <= self.limits.bytes;
        if may_be_kept && fits {
            shelf.make_room(weight, self.limits, |ticket, must| self.take_away(ticket, must, now));
        } else if may_be_kept {
            self.tally.add(TOO_LARGE, 1);
        }
        let kept = fits.then_some(kept);
        let (ended, is_kept) = self.change(key, |slot| slot.end(call, kept, now)).flatten()?;
        if is_kept {
            let still_kept = |ticket: &Ticket| self.keeps(*ticket);
            shelf.add(Ticket { key, version }, weight, still_kept);
        }
        Some(ended)
    }

    fn take_away(&self, Ticket { key, version }: Ticket, must: bool, now: u64) -> GaveWay {
        let gave_way = self.change(key, |slot| slot.give_way(version, must, now));
        let gave_way = gave_way.unwrap_or(GaveWay::Gone);
        match gave_way {
            GaveWay::Expired(_) => self.tally.add(EXPIRED, 1),
            GaveWay::Evicted(_) => self.tally.add(EVICTIONS, 1),
            GaveWay::Gone | GaveWay::InUse => {}
        }
        gave_way
    }

    fn keeps(&self, Ticket { key, version }: Ticket) -> bool {
        self.slots.get(&key).is_some_and(|slot| slot.keeps(version))
    }
}
