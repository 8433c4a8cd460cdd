//! A table of a few slots for model checkers, which checks its counts when it is dropped.
//!
//! A key may use `burst` units at once and regains one every [`T`] nanoseconds.

use super::*;
use crate::key_table::cell::{Several, Single};
use crate::key_table::records::{OwnedRecords, Records, StackedRecords};
use crate::machine::Processes;
use crate::rate_limiter::algorithm::Algorithm;
use crate::rate_limiter::gcra::Gcra;
use crate::runtime::key_hash::KeyHash;

pub(super) const T: u64 = 100;
pub(super) const NOW: u64 = 1_000;

/// When it is dropped, every slot that the bound counts must be taken, and every record that is in use named by a slot.
pub(super) struct Small<C: Books> {
    pub(super) table: Table<C>,
    pub(super) burst: u64,
    pub(super) path: Path,
}

/// How calls charge a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// In full.
    Full,
    /// At once where the call is ordinary, else in full: as a thread's handle does.
    Quick,
}

pub(super) trait Books: Cell + Sized {
    /// Records that are not free.
    fn records_in_use(&self) -> u64;

    /// Charges at once; whether the call is admitted. `None`: it is not ordinary, as no call on several limits is.
    fn charge_at_once(_: &Table<Self>, _: KeyHash, _: impl Fn(u64) -> Option<u64>) -> Option<bool> {
        None
    }
}

impl Books for Single {
    fn records_in_use(&self) -> u64 {
        0
    }

    fn charge_at_once(table: &Table<Self>, key: KeyHash, admit: impl Fn(u64) -> Option<u64>) -> Option<bool> {
        table.charge_at_once(key, admit).map(|charged| !charged.is_refused)
    }
}

impl<R: Records> Books for Several<R> {
    fn records_in_use(&self) -> u64 {
        Self::records_in_use(self)
    }
}

/// Records of two limits.
pub(super) trait OfTwoLimits: Books + Cell<Words = [u64; MAX_WORDS]> + 'static {
    fn of_two_limits(slots: usize) -> std::io::Result<Self>;
}

impl OfTwoLimits for Several<StackedRecords> {
    fn of_two_limits(slots: usize) -> std::io::Result<Self> {
        Self::new(slots, 2, &Arena::default())
    }
}

/// Of one process.
impl OfTwoLimits for Several<OwnedRecords> {
    fn of_two_limits(slots: usize) -> std::io::Result<Self> {
        let processes = std::sync::Arc::new(Processes::new(&Arena::measure())?);
        processes.take(0, 1, 1);
        Self::shared(slots, 2, &Arena::measure(), processes)
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

    /// Whether the call is admitted; `None` where it must be made in full.
    pub(super) fn charge_at_once(&self, key: (u64, u64), now: u64, cost: u64) -> Option<bool> {
        let admit = |word| self.rate().admit(word, now, cost);
        if self.path == Path::Quick { C::charge_at_once(&self.table, hash(key), admit) } else { None }
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
    Table::of_pairs(pairs, bound, overflow, &Arena::default(), cell).expect("room")
}
