//! When blocks end, beside the slots: pages that no block was ever written to take no room.
//!
//! The word is `end : 49 | version : 15`. The end counts 1/64 ms and reaches 208 years; a whole millisecond
//! is exact, anything else is rounded down. The version is that of the tag under which it was written: a word
//! of an earlier client of the slot means nothing to a later one.

use super::slots::{Found, Slot};
use super::word::{State, Tag, Version};
use crate::region;
use crate::sync::{AtomicU64, Ordering};

const UNIT: u64 = 15_625;
const VERSION_BITS: u32 = 15;
/// From here on a word says that the slot is being given away, and in 47 bits in which state.
const GIVEN_AWAY: u64 = 3 << 47;

pub(super) struct BlockEnds {
    words: Box<[AtomicU64]>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct BlockEnd(u64);

/// What came of a change of an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extended {
    Yes,
    /// The slot is no longer the client's.
    Gone,
    /// The slot is about to be taken from the client, in this state.
    GivenAway(State),
}

impl BlockEnd {
    fn new(at: u64, version: Version) -> Self {
        Self((at / UNIT).min(GIVEN_AWAY - 1) << VERSION_BITS | version.bits())
    }

    /// The slot is about to be taken from its client, if it is still in this state.
    fn given_away(state: State, version: Version) -> Self {
        Self((GIVEN_AWAY | state.digest()) << VERSION_BITS | version.bits())
    }

    fn is_given_away(self) -> bool {
        self.0 >> VERSION_BITS >= GIVEN_AWAY
    }

    fn at(self) -> u64 {
        if self.is_given_away() { 0 } else { (self.0 >> VERSION_BITS) * UNIT }
    }

    fn is_since(self, version: Version) -> bool {
        self.0 & ((1 << VERSION_BITS) - 1) == version.bits()
    }
}

impl BlockEnds {
    pub(super) fn new(slots: usize) -> Self {
        Self { words: region::zeroed(slots) }
    }

    /// When the block of the client that `tag` names ends; 0 where it has none. Of the tag's client only if the
    /// tag still stands afterwards.
    pub(super) fn get(&self, slot: Slot<'_>, tag: Tag) -> u64 {
        // Acquire: whoever reads the end of a later client finds that client's tag as well.
        let end = BlockEnd(self.words[slot.index].load(Ordering::Acquire));
        if end.is_since(tag.version()) { end.at() } else { 0 }
    }

    /// Lets the block of the client that `tag` names end at `until` or later.
    pub(super) fn extend(&self, slot: Slot<'_>, tag: Tag, until: u64) -> Extended {
        let wanted = BlockEnd::new(until, tag.version());
        self.change(slot, tag, |end| {
            let since_tag = end.is_since(tag.version());
            if since_tag && end.is_given_away() {
                let state = slot.state.load(Ordering::SeqCst);
                if !state.is_value() || slot.tag.load(Ordering::Acquire) != tag {
                    return Err(Extended::Gone);
                }
                if end == BlockEnd::given_away(state, tag.version()) {
                    return Err(Extended::GivenAway(state));
                }
            }
            if since_tag && end.at() >= wanted.at() { Err(Extended::Yes) } else { Ok(wanted) }
        })
    }

    /// Before the slot is taken from a client whose block has ended, in the state that was judged. Whoever
    /// blocks the client anew finds this word and moves, as its block does not change the state that is about
    /// to be exchanged. False when the client was blocked anew already.
    pub(super) fn give_away(&self, found: &Found<'_>, now: u64) -> bool {
        let version = found.tag.version();
        let wanted = BlockEnd::given_away(found.state, version);
        let given = self.change(found.slot, found.tag, |end| match end {
            _ if end == wanted => Err(Extended::Yes),
            _ if end.is_since(version) && end.at() > now => Err(Extended::Gone),
            _ => Ok(wanted),
        });
        given == Extended::Yes
    }

    /// Exchanges the end for what `next` makes of it, while the slot is of the client that `tag` names.
    fn change(
        &self,
        slot: Slot<'_>,
        tag: Tag,
        next: impl Fn(BlockEnd) -> Result<BlockEnd, Extended>,
    ) -> Extended {
        let word = &self.words[slot.index];
        let mut end = BlockEnd(word.load(Ordering::SeqCst));
        loop {
            // Read after the end: while the tag stands, no later client has written an end, and none can be
            // overwritten by the exchange below.
            if slot.tag.load(Ordering::Acquire) != tag {
                return Extended::Gone;
            }
            let next = match next(end) {
                Ok(next) => next,
                Err(extended) => return extended,
            };
            match word.compare_exchange(end.0, next.0, Ordering::SeqCst, Ordering::SeqCst) {
                Ok(_) => return Extended::Yes,
                Err(current) => end = BlockEnd(current),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MS;

    #[test]
    fn keeps_whole_milliseconds_for_a_century() {
        let version = Tag::NOBODY.version();
        for ms in [1, 999, 1_800_000_000_000, 4_955_760_000_000] {
            assert_eq!(BlockEnd::new(ms * MS, version).at(), ms * MS);
        }
        assert_eq!(BlockEnd::new(MS - 1, version).at(), MS - UNIT, "down to 1/64 ms");
    }
}
