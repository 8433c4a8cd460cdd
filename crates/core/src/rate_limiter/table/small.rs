//! A table of a few slots for model checkers, which checks its counts when it is dropped.
//!
//! A key may use `burst` units at once and regains one every [`T`] nanoseconds.

use super::*;
use crate::rate_limiter::algorithm::Algorithm;
use crate::rate_limiter::cell::{Several, Single};
use crate::rate_limiter::gcra::Gcra;
use crate::runtime::key_hash::KeyHash;

pub(super) const T: u64 = 100;
pub(super) const NOW: u64 = 1_000;

/// When it is dropped, every slot that the bound counts must be taken, and every record that is in use named by a slot.
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
            let state = slot.state.load(Ordering::SeqCst);
            taken += u64::from(!matches!(state.kind(), word::Kind::Free(_)));
            named += u64::from(C::READ_IS_UNSURE && state.is_value() && state.word() != 0);
        }
        if self.table.bound.most().is_some() {
            assert_eq!(self.table.bound.taken(), taken, "slots that the bound counts");
        }
        assert_eq!(self.table.cell.records_in_use(), named, "records in use");
    }
}

impl<C: Books> Small<C> {
    pub(super) fn rate(&self) -> Algorithm {
        Algorithm::Gcra(Gcra { emission_interval: T, burst: self.burst })
    }

    pub(super) fn lifetime(words: &C::Words, now: u64) -> u64 {
        words.as_ref().iter().map(|word| word.saturating_sub(now)).fold(0, u64::max)
    }

    /// How many slots hold a value of the key.
    pub(super) fn slots_of(&self, key: (u64, u64)) -> usize {
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

pub(super) fn small_table<C: Cell>(
    pairs: usize,
    bound: Bound,
    overflow: Overflow,
    cell: impl FnOnce(usize) -> std::io::Result<C>,
) -> Table<C> {
    Table::of_pairs(pairs, bound, overflow, std::sync::Arc::default(), cell).expect("room")
}
