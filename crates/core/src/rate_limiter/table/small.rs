//! A table of a few slots for model checkers, which keeps its own books.
//!
//! A client may use `burst` units at once and gets one back every hundred nanoseconds.

use super::*;
use crate::key_hash::KeyHash;
use crate::rate_limiter::algorithm::Algorithm;
use crate::rate_limiter::cell::{Several, Single};
use crate::rate_limiter::gcra::Gcra;

pub(super) const T: u64 = 100;
pub(super) const NOW: u64 = 1_000;

/// Ends of blocks are kept to 1/64 ms.
pub(super) const FAR: u64 = 1_000_000_000;

/// When it is dropped, places and records must be those of the clients who are in it.
pub(super) struct Small<C: Books> {
    pub(super) table: Table<C>,
    pub(super) burst: u64,
}

pub(super) trait Books: Cell {
    /// Records that are not free.
    fn records_in_use(&self) -> u64;
}

impl Books for Single {
    fn records_in_use(&self) -> u64 {
        0
    }
}

impl Books for Several {
    fn records_in_use(&self) -> u64 {
        Self::records_in_use(self)
    }
}

impl<C: Books> Drop for Small<C> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        let (mut taken, mut named) = (0, 0);
        for slot in self.table.slots.all() {
            let (tag, state) = (slot.tag.load(Ordering::SeqCst), slot.state.load(Ordering::SeqCst));
            let is_free = match state.kind() {
                word::Kind::Free(_) => true,
                _ => state == State::FRESH && tag == word::Tag::NOBODY,
            };
            taken += u64::from(!is_free);
            named += u64::from(C::READ_IS_UNSURE && state.is_value() && state.word() != 0);
        }
        if self.table.bound.most().is_some() {
            assert_eq!(self.table.bound.taken(), taken, "places");
        }
        assert_eq!(self.table.cell.records_in_use(), named, "records");
    }
}

/// Keys of a table of one group, or of two groups that begin with another one each.
pub(super) const A: (u64, u64) = (0x1000, 0);
pub(super) const B: (u64, u64) = (0x2000, (1 << 53) - 1);

pub(super) const C: (u64, u64) = (0x4000, 0);

/// Blocked, so that one of two slots is not to be had.
pub(super) const STRANGER: (u64, u64) = (0x3000, 5);

impl Small<Single> {
    pub(super) fn of(groups: usize, burst: u64, overflow: Overflow) -> Self {
        Self { table: Table::of_groups(groups, Bound::of(None), overflow, |_| Single), burst }
    }

    /// Of one group, with a bound on its clients.
    pub(super) fn bounded(most: u64, burst: u64) -> Self {
        let bound = Bound::of(Some(most));
        Self { table: Table::of_groups(1, bound, Overflow::Evict, |_| Single), burst }
    }
}

impl Small<Several> {
    pub(super) fn of_two_limits(burst: u64) -> Self {
        let table = Table::of_groups(1, Bound::of(None), Overflow::Evict, |slots| Several::new(slots, 2));
        Self { table, burst }
    }
}

impl<C: Books> Small<C> {
    pub(super) fn rate(&self) -> Algorithm {
        Algorithm::Gcra(Gcra { emission_interval: T, burst: self.burst })
    }

    pub(super) fn lifetime(words: &C::Words, now: u64) -> u64 {
        words.as_ref().iter().map(|word| word.saturating_sub(now)).fold(0, u64::max)
    }

    /// Charges every word, or none.
    pub(super) fn consume(&self, key: (u64, u64), now: u64) -> bool {
        let decide = |client: &Client<C::Words>, now| {
            let mut words = client.words;
            if client.blocked_until > now {
                return Step::Keep(false);
            }
            for word in words.as_mut().iter_mut().take(2) {
                match self.rate().decide(*word, now, 1) {
                    Ok(next) => *word = next,
                    Err(_) => return Step::Keep(false),
                }
            }
            Step::Write(words, true)
        };
        // Who finds no place passes: under `evict` that is what happens.
        self.table.update(hash(key), now, Self::lifetime, decide).unwrap_or(true)
    }

    pub(super) fn change(&self, key: (u64, u64), now: u64, change: impl Fn(&Algorithm, u64) -> u64) {
        let changed = self.table.update(hash(key), now, Self::lifetime, |client, _| {
            let mut words = client.words;
            words.as_mut().iter_mut().take(1).for_each(|word| *word = change(&self.rate(), *word));
            Step::Write(words, ())
        });
        changed.expect("room");
    }

    pub(super) fn block(&self, key: (u64, u64), until: u64) -> bool {
        self.table.block(hash(key), until, NOW, Self::lifetime).is_ok()
    }

    pub(super) fn remaining(&self, key: (u64, u64), now: u64) -> u64 {
        let client = self.table.get(hash(key)).unwrap_or_default();
        self.rate().remaining(client.words.as_ref()[0], now)
    }

    /// The client moves in as far as another thread can bring it for one that stands still: uncharged.
    pub(super) fn finish(&self, key: (u64, u64), now: u64) {
        let key = self.table.slots.candidates(hash(key));
        if let Ok(Some(claim)) = self.table.claim(&key, now, &Self::lifetime) {
            self.table.finish(&claim, &key);
        }
    }

    /// In how many slots a key is.
    pub(super) fn places(&self, key: (u64, u64)) -> usize {
        let key = self.table.slots.candidates(hash(key));
        let holds = |slot: &slots::Slot<'_>| {
            slot.tag.load(Ordering::SeqCst).is_of(key.fingerprint)
                && slot.state.load(Ordering::SeqCst).is_value()
        };
        self.table.slots.of_key(&key).filter(holds).count()
    }
}

pub(super) fn hash((high, low): (u64, u64)) -> KeyHash {
    KeyHash::from_halves(high, low)
}
