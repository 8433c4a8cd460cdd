//! When blocks end, beside the slots: pages that no block was ever written to take no room.
//!
//! The word is `end : 49 | version : 15`. The end counts 1/64 ms and reaches 278 years; a whole millisecond
//! is exact, anything else is rounded down. The version is that of the tag under which it was written: a word
//! of an earlier client of the slot means nothing to a later one.

use std::io;
use std::sync::Arc;

use super::pages::Pages;
use super::slots::Slot;
use super::word::{Tag, Version};
use crate::runtime::memory::MemoryUse;
use crate::runtime::planted::planted;
use crate::runtime::region::Region;
use crate::runtime::sync::{AtomicU64, Ordering};

const UNIT: u64 = 15_625;
const VERSION_BITS: u32 = 15;
const MOST_UNITS: u64 = (1 << (64 - VERSION_BITS)) - 1;

pub(super) struct BlockEnds {
    words: Region<AtomicU64>,
    /// Those that an end was written to.
    used: Pages,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct BlockEnd(u64);

impl BlockEnd {
    fn new(at: u64, version: Version) -> Self {
        Self((at / UNIT).min(MOST_UNITS) << VERSION_BITS | version.bits())
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

    pub(super) fn new(slots: usize, in_use: Arc<MemoryUse>) -> io::Result<Self> {
        let used = Pages::new(slots * Self::BYTES_EACH, in_use)?;
        Ok(Self { words: Region::zeroed(slots)?, used })
    }

    /// When the block of the client that `tag` names ends; 0 where it has none. Of the tag's client only if the
    /// tag still stands afterwards.
    pub(super) fn get(&self, slot: Slot<'_>, tag: Tag) -> u64 {
        // SeqCst: who takes a mark away looks at the end afterwards. Whoever reads the end of a later client
        // finds that client's tag as well.
        let end = BlockEnd(self.words[slot.index].load(Ordering::SeqCst));
        if end.is_since(tag.version()) { end.at() } else { 0 }
    }

    /// Lets the block of the client that `tag` names end at `until` or later. False when the slot is no
    /// longer the client's.
    pub(super) fn extend(&self, slot: Slot<'_>, tag: Tag, until: u64) -> bool {
        let word = &self.words[slot.index];
        let wanted = BlockEnd::new(until, tag.version());
        let mut end = BlockEnd(word.load(Ordering::Acquire));
        loop {
            // Read after the end: while the tag stands, no later client has written an end, and none can be
            // overwritten by the exchange below.
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::clock::MS;

    #[test]
    fn keeps_whole_milliseconds_for_a_century() {
        let version = Tag::NOBODY.version();
        for ms in [1, 999, 1_800_000_000_000, 4_955_760_000_000] {
            assert_eq!(BlockEnd::new(ms * MS, version).at(), ms * MS);
        }
        assert_eq!(BlockEnd::new(MS - 1, version).at(), MS - UNIT, "down to 1/64 ms");
    }
}
