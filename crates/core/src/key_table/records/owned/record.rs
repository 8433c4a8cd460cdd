//! One record, and the word that says which process holds it.

use crate::key_table::records::{Name, USES};
use crate::machine::Owner;
use crate::runtime::sync::{AtomicU64, Ordering, fence};

/// Which process holds a record: `use 30 : holder 34`.
///
/// | holder | |
/// |---|---|
/// | 0 | none: the record is free |
/// | the name of a process | it is about to publish the record, or has published it |
/// | all ones | none: the record was published |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Hold(u64);

const HOLDER_BITS: u32 = 34;
const HOLDER: u64 = (1 << HOLDER_BITS) - 1;
/// Names a row that there is not, so no process that lives.
const DISOWNED: u64 = HOLDER;

impl Hold {
    pub(super) fn uses(self) -> u64 {
        self.0 >> HOLDER_BITS
    }

    pub(super) fn is_free(self) -> bool {
        self.0 & HOLDER == 0
    }

    /// `None`: the record is free.
    pub(super) fn holder(self) -> Option<Owner> {
        Owner::from_bits(self.0 & HOLDER)
    }

    /// Whether the record is in the use that the name is of.
    pub(super) fn is_of(self, name: Name) -> bool {
        !self.is_free() && self.uses() == name.uses()
    }

    /// The next use, by a process.
    fn taken_by(self, holder: Owner) -> Self {
        Self(((self.uses() + 1) % USES) << HOLDER_BITS | holder.bits())
    }

    pub(super) fn disowned(self) -> Self {
        Self(self.0 | DISOWNED)
    }

    pub(super) fn freed(self) -> Self {
        Self(self.0 & !HOLDER)
    }
}

/// One record, borrowed.
#[derive(Clone, Copy)]
pub(super) struct Record<'a> {
    pub(super) number: u64,
    hold: &'a AtomicU64,
    pub(super) words: &'a [AtomicU64],
    /// Of the pool: for which slot it was taken.
    pub(super) slot: Option<&'a AtomicU64>,
}

impl<'a> Record<'a> {
    pub(super) fn new(
        number: u64,
        hold: &'a AtomicU64,
        words: &'a [AtomicU64],
        slot: Option<&'a AtomicU64>,
    ) -> Self {
        Self { number, hold, words, slot }
    }

    pub(super) fn hold(self) -> Hold {
        // Acquire: what the holder before has done is seen.
        Hold(self.hold.load(Ordering::Acquire))
    }

    /// Relaxed: for a use that the caller has seen, or has yet to acquire by an exchange.
    pub(super) fn hold_at_hand(self) -> Hold {
        Hold(self.hold.load(Ordering::Relaxed))
    }

    /// `AcqRel`: the next holder sees that the name before is no longer published, and a process that reads `next` sees
    /// what its writer has seen.
    pub(super) fn exchange(self, seen: Hold, next: Hold) -> Result<(), Hold> {
        let exchanged = self.hold.compare_exchange(seen.0, next.0, Ordering::AcqRel, Ordering::Acquire);
        exchanged.map(|_| ()).map_err(Hold)
    }

    /// The name of the new use.
    pub(super) fn take(self, seen: Hold, holder: Owner) -> Option<Name> {
        let taken = seen.taken_by(holder);
        self.exchange(seen, taken).ok()?;
        Some(Name::new(self.number, taken.uses()))
    }

    pub(super) fn take_free(self, holder: Owner) -> Option<Name> {
        let seen = self.hold_at_hand();
        if seen.is_free() { self.take(seen, holder) } else { None }
    }

    pub(super) fn write(self, words: &[u64]) {
        // Release: a thread that reads a word of this use also sees that the use before is no longer published.
        fence(Ordering::Release);
        for (kept, word) in self.words.iter().zip(words) {
            kept.store(*word, Ordering::Relaxed);
        }
    }
}
