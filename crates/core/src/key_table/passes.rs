//! Passes over all keys, during which calls go on.

use super::slots::{Found, Slot};
use super::word::State;
use super::{Client, Table};
use crate::key_table::cell::{Cell, Step};
use crate::runtime::sync::{Ordering, pause};

impl<C: Cell> Table<C> {
    /// Removes every key, one after the other.
    pub(crate) fn clear(&self) {
        self.clear_unless(|_| false);
    }

    /// Removes every key, one after the other, but those at places that `stays` names.
    pub(crate) fn clear_unless(&self, stays: impl Fn(usize) -> bool) {
        for found in self.occupied().filter(|found| !stays(found.slot.index)) {
            // A key whose state has just changed counts as inserted after this pass.
            self.vacate(&found);
        }
        self.slots.begin_anew();
    }

    /// Removes every key, and sets what was counted of them to 0.
    pub(crate) fn reset_all(&self) {
        self.clear();
        self.watermark.store(0, Ordering::SeqCst);
        self.live_evictions.store(0, Ordering::Relaxed);
    }

    /// Changes the words of every key. New keys count from `latest` at the latest.
    pub(crate) fn adapt(&self, latest: u64, change: impl Fn(&C::Words) -> C::Words) {
        self.adapt_unless(|_| false, latest, change);
    }

    /// As [`adapt`](Self::adapt), but leaves keys at places that `stays` names.
    pub(crate) fn adapt_unless(
        &self,
        stays: impl Fn(usize) -> bool,
        latest: u64,
        change: impl Fn(&C::Words) -> C::Words,
    ) {
        self.watermark.fetch_min(latest, Ordering::SeqCst);
        for mut found in self.occupied().filter(|found| !stays(found.slot.index)) {
            while found.state.is_value() && found.state != State::FRESH {
                let adapted = self.change(found, |client| match change(&client.words) {
                    words if words == client.words => Step::Keep(()),
                    words => Step::Write(words, ()),
                });
                if adapted.is_some() {
                    break;
                }
                found.tag = found.slot.tag.load(Ordering::SeqCst);
                found.state = found.slot.state.load(Ordering::SeqCst);
            }
        }
    }

    /// How many keys are below their full quota or blocked, and how many of them are blocked.
    pub(crate) fn count(&self, now: u64, lifetime: impl Fn(&C::Words, u64) -> u64) -> (u64, u64) {
        let clients = self.occupied().filter_map(|found| self.read(&found));
        clients.fold((0, 0), |(live, blocked), client| {
            let is_live = client.lifetime(now, &lifetime) > 0;
            (live + u64::from(is_live), blocked + u64::from(client.blocked_until > now))
        })
    }

    /// How many keys there are of which `holds` is true.
    pub(crate) fn count_clients(&self, holds: impl Fn(&Client<C::Words>) -> bool) -> u64 {
        self.occupied().filter_map(|found| self.read(&found)).filter(holds).count() as u64
    }

    /// Looks at the words of every key. Those of a key that changes meanwhile are read again, so no key is left out that
    /// is there all the time.
    pub(crate) fn each(&self, mut look: impl FnMut(&C::Words)) {
        for mut found in self.occupied() {
            while found.state.is_value() && found.state != State::FRESH {
                if let Some(client) = self.read(&found) {
                    look(&client.words);
                    break;
                }
                pause();
                found.tag = found.slot.tag.load(Ordering::SeqCst);
                found.state = found.slot.state.load(Ordering::SeqCst);
            }
        }
    }

    /// Every slot that holds a value.
    fn occupied(&self) -> impl Iterator<Item = Found<'_>> {
        let read = |slot: Slot<'_>| (slot.tag.load(Ordering::SeqCst), slot.state.load(Ordering::SeqCst));
        self.slots.all().filter_map(move |slot| {
            let (tag, state) = read(slot);
            (state.is_value() && state != State::FRESH).then_some(Found { slot, tag, state })
        })
    }
}
