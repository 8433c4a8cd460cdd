//! The words of the ring: the cursor, and the outcomes of a block.

use super::super::rates::{Counts, Outcome};
use super::super::window::Tag;

/// Outcomes in one word.
pub(super) const BLOCK: u64 = 16;

/// Where the ring is written: the tag (16 bits) and the number of blocks that are full (48 bits).
#[derive(Clone, Copy)]
pub(super) struct Cursor(pub(super) u64);

impl Cursor {
    pub(super) const fn new(tag: Tag, block: u64) -> Self {
        Self((tag.0 as u64) << 48 | block & ((1 << 48) - 1))
    }

    pub(super) const fn tag(self) -> Tag {
        Tag((self.0 >> 48) as u16)
    }

    pub(super) const fn block(self) -> u64 {
        self.0 & ((1 << 48) - 1)
    }
}

/// Outcomes of one block: which failed (16 bits), which were slow (16), how many are of this lap (5), whether there was
/// a lap before (1), the lap (10) and the tag (16).
///
/// Laps wrap around after 1024. A thread that is suspended between its load and its swap for exactly that many windows
/// swaps a block of another lap; its result is then that of the earlier moment.
#[derive(Clone, Copy)]
pub(super) struct Block(pub(super) u64);

/// How a block relates to the lap in which it is to be written.
pub(super) enum Stage {
    /// It has a place for an outcome of the lap.
    Current,
    /// It is full in this lap.
    Full,
    /// It is in a later lap.
    Later,
}

const SLOW_AT: u64 = 16;
const FILLED_AT: u64 = 32;
const LAPPED_AT: u64 = 37;
const LAP_AT: u64 = 38;
const TAG_AT: u64 = 48;
const LAPS: u64 = 1 << 10;

impl Block {
    pub(super) const fn empty(tag: Tag) -> Self {
        Self((tag.0 as u64) << TAG_AT)
    }

    pub(super) const fn tag(self) -> Tag {
        Tag((self.0 >> TAG_AT) as u16)
    }

    /// How many of its outcomes are of its lap.
    pub(super) const fn filled(self) -> u64 {
        self.0 >> FILLED_AT & 0x1f
    }

    const fn lapped(self) -> bool {
        self.0 >> LAPPED_AT & 1 == 1
    }

    const fn lap(self) -> u64 {
        self.0 >> LAP_AT & (LAPS - 1)
    }

    pub(super) fn stage(self, lap: u64, length: u64) -> Stage {
        let (this, last) = (lap % LAPS, lap.wrapping_sub(1) % LAPS);
        if self.filled() == 0 {
            // Never written: only the first lap finds an empty block.
            return if lap == 0 { Stage::Current } else { Stage::Later };
        }
        match self.lap() {
            found if found == this && self.filled() < length => Stage::Current,
            found if found == this => Stage::Full,
            found if found == last => Stage::Current,
            _ => Stage::Later,
        }
    }

    /// The block with one more outcome of this lap. It is [`Stage::Current`].
    pub(super) fn with(self, outcome: Outcome, lap: u64) -> Self {
        let begins = self.filled() == 0 || self.lap() != lap % LAPS;
        let place = if begins { 0 } else { self.filled() };
        let outcomes = self.0 & !(1 << place) & !(1 << (SLOW_AT + place)) & ((1 << FILLED_AT) - 1);
        Self(
            outcomes
                | u64::from(outcome.failed) << place
                | u64::from(outcome.slow) << (SLOW_AT + place)
                | (place + 1) << FILLED_AT
                | u64::from(lap > 0) << LAPPED_AT
                | (lap % LAPS) << LAP_AT
                | u64::from(self.tag().0) << TAG_AT,
        )
    }

    pub(super) fn counts(self, length: u64) -> Counts {
        let (calls, marks) = (if self.lapped() { length } else { self.filled() }, self.marks());
        Counts { calls, failures: marks.failures(), slow: marks.slow() }
    }

    /// How many of its outcomes failed and were slow.
    pub(super) const fn marks(self) -> Marks {
        match self.0 as u32 {
            // Most blocks of a target that works: counting bits takes more than all else.
            0 => Marks(0),
            outcomes => Marks(ones_by_half(outcomes)),
        }
    }
}

/// How many outcomes of a window failed (16 bits) and were slow (16 bits): a window has at most 10 000.
#[derive(Clone, Copy)]
pub(super) struct Marks(u32);

impl Marks {
    pub(super) const NONE: Self = Self(0);

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    pub(super) fn failures(self) -> u64 {
        u64::from(self.0 & 0xffff)
    }

    pub(super) fn slow(self) -> u64 {
        u64::from(self.0 >> SLOW_AT)
    }
}

/// The number of ones in each half of the word, in that half.
const fn ones_by_half(word: u32) -> u32 {
    let pairs = word - (word >> 1 & 0x5555_5555);
    let nibbles = (pairs & 0x3333_3333) + (pairs >> 2 & 0x3333_3333);
    let bytes = (nibbles + (nibbles >> 4)) & 0x0f0f_0f0f;
    (bytes + (bytes >> 8)) & 0x00ff_00ff
}

#[cfg(all(test, not(sluice_loom)))]
mod tests {
    use super::*;

    #[test]
    fn counts_the_ones_of_both_halves() {
        for half in 0..=0xffff_u32 {
            assert_eq!(ones_by_half(half), half.count_ones());
            assert_eq!(ones_by_half(half << 16 | half), half.count_ones() << 16 | half.count_ones());
            assert_eq!(ones_by_half(half << 16 | 0xffff), half.count_ones() << 16 | 16);
        }
    }
}
