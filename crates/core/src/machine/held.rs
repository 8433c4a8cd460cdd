//! How much a process holds: a count that ends with its process.

use std::iter::Sum;

use super::owner::Owner;
use crate::runtime::planted::planted;

/// What one process holds of something: `owner 29 : confirmed 21 : pending 12`, in the 62 bits of a slot. All zero: no
/// process has held anything. Each change names the owner, so what a dead process held is never taken for a later one's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held(u64);

const PENDING_BITS: u32 = 12;
const CONFIRMED_BITS: u32 = 21;
const OWNER_SHIFT: u32 = PENDING_BITS + CONFIRMED_BITS;
const MOST_PENDING: u64 = (1 << PENDING_BITS) - 1;
const MOST_CONFIRMED: u64 = (1 << CONFIRMED_BITS) - 1;

/// How many are held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HeldCount {
    /// Held until they are given back.
    pub(crate) confirmed: u64,
    /// Asked for: they are confirmed next, or given up.
    pub(crate) pending: u64,
}

/// A change of what a process holds, by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// One more is pending.
    Raise,
    /// A pending one is held.
    Confirm,
    /// A pending one is not held.
    GiveUp,
    /// One less is held.
    Lower,
    /// One more is held.
    RaiseConfirmed,
}

impl HeldCount {
    pub(crate) fn sum(self) -> u64 {
        self.confirmed + self.pending
    }

    fn changed(self, change: Change) -> Option<Self> {
        let Self { confirmed, pending } = self;
        let (confirmed, pending) = match change {
            Change::Raise => (confirmed, pending + 1),
            Change::Confirm => (confirmed + 1, pending.checked_sub(1)?),
            Change::GiveUp => (confirmed, pending.checked_sub(1)?),
            Change::Lower => (confirmed.checked_sub(1)?, pending),
            Change::RaiseConfirmed => (confirmed + 1, pending),
        };
        (confirmed <= MOST_CONFIRMED && pending <= MOST_PENDING).then_some(Self { confirmed, pending })
    }
}

impl Sum for HeldCount {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, count| Self {
            confirmed: sum.confirmed + count.confirmed,
            pending: sum.pending + count.pending,
        })
    }
}

impl Held {
    pub(crate) fn from_word(word: u64) -> Self {
        Self(word)
    }

    pub(crate) fn word(self) -> u64 {
        self.0
    }

    /// Which process holds, or held it.
    pub(crate) fn owner(self) -> Option<Owner> {
        Owner::from_bits(self.0 >> OWNER_SHIFT)
    }

    /// How many this owner holds; none where another one wrote the word.
    pub(crate) fn of(self, owner: Owner) -> HeldCount {
        if self.is_of(owner) { self.count() } else { HeldCount::default() }
    }

    /// How many its owner holds, or held.
    pub(crate) fn count(self) -> HeldCount {
        HeldCount { confirmed: self.0 >> PENDING_BITS & MOST_CONFIRMED, pending: self.0 & MOST_PENDING }
    }

    /// After a change by this owner. `None`: it holds nothing that could be changed so, or as much as a word counts.
    pub(crate) fn changed(self, own: Owner, change: Change) -> Option<Self> {
        let HeldCount { confirmed, pending } = self.of(own).changed(change)?;
        Some(Self(own.bits() << OWNER_SHIFT | confirmed << PENDING_BITS | pending))
    }

    fn is_of(self, owner: Owner) -> bool {
        let own_row = || self.owner().is_some_and(|other| other.row() == owner.row());
        self.owner() == Some(owner) || planted!(EpochNotCompared) && own_row()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;

    fn count(confirmed: u64, pending: u64) -> HeldCount {
        HeldCount { confirmed, pending }
    }

    #[test]
    fn counts_what_its_owner_holds() {
        let own = Owner::new(63, u64::MAX);
        let changes = [Change::Raise, Change::Raise, Change::Confirm, Change::GiveUp, Change::Lower];
        let counts = [count(0, 1), count(0, 2), count(1, 1), count(1, 0), count(0, 0)];
        let mut held = Held::default();
        for (change, expected) in changes.into_iter().zip(counts) {
            held = held.changed(own, change).expect("possible");
            assert_eq!((held.of(own), held.owner()), (expected, Some(own)), "{change:?}");
            assert!(held.word() < 1 << 62, "it fits in a slot");
        }
        for change in [Change::Confirm, Change::GiveUp, Change::Lower] {
            assert_eq!(held.changed(own, change), None, "nothing is held");
        }
    }

    #[test]
    fn the_next_owner_begins_at_nothing() {
        let (first, second) = (Owner::new(3, 7), Owner::new(3, 8));
        let held = Held::default().changed(first, Change::RaiseConfirmed).expect("possible");
        assert_eq!((held.of(first), held.of(second)), (count(1, 0), count(0, 0)));
        assert_eq!(held.changed(second, Change::Lower), None);
        let next = held.changed(second, Change::Raise).expect("possible");
        assert_eq!((next.of(first), next.of(second)), (count(0, 0), count(0, 1)));
    }

    #[test]
    fn nothing_overflows() {
        let own = Owner::new(0, 0);
        let full = Held(own.bits() << OWNER_SHIFT | ((1 << OWNER_SHIFT) - 1));
        assert_eq!(full.of(own), count(MOST_CONFIRMED, MOST_PENDING));
        for change in [Change::Raise, Change::Confirm, Change::RaiseConfirmed] {
            assert_eq!(full.changed(own, change), None);
        }
        // Any word of another process.
        assert_eq!(Held(u64::MAX).count(), count(MOST_CONFIRMED, MOST_PENDING));
        assert!(Held(u64::MAX).owner().is_some_and(|owner| owner.row() > 63));
    }
}
