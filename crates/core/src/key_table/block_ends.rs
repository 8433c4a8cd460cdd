//! The ends of blocks, in memory of their own: pages that no block was ever written to take no memory.
//!
//! The word is `end : 49 | version : 15`. The end is in units of 1/64 ms, rounded down, and reaches 278 years; whole
//! milliseconds are exact. The version is that of the slot's tag when the end was written, so a later key of the slot
//! ignores the end.

use std::io;

use super::pages::Pages;
use super::slots::Slot;
use super::word::{Tag, Version};
use crate::runtime::arena::Arena;
use crate::runtime::planted::planted;
use crate::runtime::region::Region;
use crate::runtime::sync::{AtomicU64, Ordering};

const UNIT: u64 = 15_625;
const VERSION_BITS: u32 = 15;
const MOST_UNITS: u64 = (1 << (64 - VERSION_BITS)) - 1;

pub(super) struct BlockEnds {
    words: Region<AtomicU64>,
    /// Pages that an end was written to.
    used: Pages,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct BlockEnd(u64);

impl BlockEnd {
    fn new(at: u64, version: Version) -> Self {
        Self((at / UNIT).min(MOST_UNITS) << VERSION_BITS | version.bits())
    }

    /// Rounded up instead.
    fn at_or_after(at: u64, version: Version) -> Self {
        Self::new(at.saturating_add(UNIT - 1), version)
    }

    fn at(self) -> u64 {
        (self.0 >> VERSION_BITS) * UNIT
    }

    fn is_since(self, version: Version) -> bool {
        self.0 & ((1 << VERSION_BITS) - 1) == version.bits()
    }
}

impl BlockEnds {
    /// Bytes of a slot.
    pub(super) const BYTES_EACH: usize = size_of::<AtomicU64>();

    pub(super) fn new(slots: usize, arena: &Arena) -> io::Result<Self> {
        let used = Pages::new(slots * Self::BYTES_EACH, arena)?;
        Ok(Self { words: arena.region(slots)?, used })
    }

    /// When the block of the key that `tag` names ends; 0 if it has none. Valid only if the slot still has the tag
    /// afterwards.
    pub(super) fn get(&self, slot: Slot<'_>, tag: Tag) -> u64 {
        // SeqCst: a thread that has cleared the mark of a block reads the end afterwards. A thread that reads the end of
        // a later key then also reads that key's tag.
        let end = BlockEnd(self.words[slot.index].load(Ordering::SeqCst));
        if end.is_since(tag.version()) { end.at() } else { 0 }
    }

    /// Makes the block of the key that `tag` names end at `until` or later. False when the slot no longer belongs to the
    /// key.
    pub(super) fn extend(&self, slot: Slot<'_>, tag: Tag, until: u64) -> bool {
        let word = &self.words[slot.index];
        let wanted = BlockEnd::new(until, tag.version());
        let mut end = BlockEnd(word.load(Ordering::Acquire));
        loop {
            // Read after the end: while the slot has the tag, no later key has written an end that the exchange below
            // could overwrite.
            if !planted!(BlockIgnoresTag) && slot.tag.load(Ordering::Acquire) != tag {
                return false;
            }
            if end.is_since(tag.version()) && end.at() >= wanted.at() {
                return true;
            }
            self.used.mark(slot.index * Self::BYTES_EACH);
            match word.compare_exchange(end.0, wanted.0, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => return true,
                Err(current) => end = BlockEnd(current),
            }
        }
    }

    /// Makes the hold of the key that `tag` names end at `until`, rounded up, be it later or earlier than before; 0 for no
    /// hold. False when the slot no longer belongs to the key.
    pub(super) fn set(&self, slot: Slot<'_>, tag: Tag, until: u64) -> bool {
        let word = &self.words[slot.index];
        let wanted = BlockEnd::at_or_after(until, tag.version());
        let mut end = BlockEnd(word.load(Ordering::Acquire));
        loop {
            // Read after the end, as in `extend`.
            if slot.tag.load(Ordering::Acquire) != tag {
                return false;
            }
            if end == wanted {
                return true;
            }
            self.used.mark(slot.index * Self::BYTES_EACH);
            match word.compare_exchange(end.0, wanted.0, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => return true,
                Err(current) => end = BlockEnd(current),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock::MS;

    #[test]
    fn holds_until_the_end_or_a_little_later() {
        let version = Tag::NONE.version();
        assert_eq!(BlockEnd::at_or_after(MS, version).at(), MS);
        assert_eq!(BlockEnd::at_or_after(MS + 1, version).at(), MS + UNIT, "up to 1/64 ms");
    }

    #[test]
    fn keeps_whole_milliseconds_for_a_century() {
        let version = Tag::NONE.version();
        for ms in [1, 999, 1_800_000_000_000, 4_955_760_000_000] {
            assert_eq!(BlockEnd::new(ms * MS, version).at(), ms * MS);
        }
        assert_eq!(BlockEnd::new(MS - 1, version).at(), MS - UNIT, "down to 1/64 ms");
    }
}
