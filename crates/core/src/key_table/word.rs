//! The two words of a slot: the tag, which says whose it is, and the state of that key.
//!
//! | word | bits |
//! |---|---|
//! | tag | `0 : fingerprint 48 : version 15` |
//! | state, a value | `1 : blocked 1 : word of the algorithm 62` |
//! | state, a claim | `0 :` the tag that will be stored |
//! | state, free | `0 : 0 : version 15` |
//!
//! All zero is a free slot, so memory that was never written is an empty table.

use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;
use crate::runtime::sync::{AtomicU64, Ordering};

const VERSION_BITS: u32 = 15;
const VERSION_MASK: u64 = (1 << VERSION_BITS) - 1;
const VALUE: u64 = 1 << 63;
const BLOCKED: u64 = 1 << 62;

/// What a slot stores of a key; never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    pub(super) fn of(key: KeyHash) -> Self {
        let (high, _) = key.halves();
        Self((high >> 5).max(1))
    }

    /// The upper half of each tag of it.
    #[inline(always)]
    pub(super) fn upper_half(self) -> u32 {
        (self.0 >> (32 - VERSION_BITS)) as u32
    }
}

/// Which claim of a slot wrote a word. A late write by a suspended thread has an old version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version(u64);

impl Version {
    /// The version after which versions wrap.
    #[cfg(all(test, sluice_loom))]
    pub(super) const LAST: Self = Self(VERSION_MASK);

    pub(super) fn next(self) -> Self {
        if planted!(VersionNotRaised) { self } else { Self((self.0 + 1) & VERSION_MASK) }
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }
}

/// Which key a slot belongs to, and by which claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u64);

impl Tag {
    #[cfg(test)]
    pub(super) const NONE: Self = Self(0);

    pub(super) fn new(fingerprint: Fingerprint, version: Version) -> Self {
        Self(fingerprint.0 << VERSION_BITS | version.0)
    }

    #[inline]
    pub(super) fn is_of(self, fingerprint: Fingerprint) -> bool {
        // For any version: the difference has no bit above the version's.
        self.0 ^ (fingerprint.0 << VERSION_BITS) <= VERSION_MASK
    }

    pub(super) fn version(self) -> Version {
        Version(self.0 & VERSION_MASK)
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(u64);

/// The kinds of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The state of the key that the tag names.
    Value,
    /// A key is being inserted. Nothing is charged yet.
    Claim(Tag),
    /// Free; only a newer version may claim it.
    Free(Version),
}

impl State {
    /// A key that was inserted without a charge.
    pub(super) const FRESH: Self = Self(VALUE);

    #[inline]
    pub(super) fn value(word: u64, blocked: bool) -> Self {
        debug_assert!(word < BLOCKED, "an algorithm's word has 62 bits");
        Self(VALUE | word | if blocked { BLOCKED } else { 0 })
    }

    pub(super) fn claim(tag: Tag) -> Self {
        Self(tag.0)
    }

    pub(super) fn free(version: Version) -> Self {
        Self(version.0)
    }

    #[inline]
    pub(super) fn is_value(self) -> bool {
        self.0 & VALUE != 0
    }

    pub(super) fn kind(self) -> Kind {
        let tag = Tag(self.0);
        match self.0 {
            _ if self.is_value() => Kind::Value,
            0..=VERSION_MASK => Kind::Free(tag.version()),
            _ => Kind::Claim(tag),
        }
    }

    /// Of a value: the algorithm's word.
    #[inline]
    pub(super) fn word(self) -> u64 {
        self.0 & (BLOCKED - 1)
    }

    /// The algorithm's word, where a call may decide by it alone: of a value that was charged and never blocked. A key that
    /// was not charged yet is new, and counts from the watermark.
    #[inline]
    pub(super) fn ordinary_word(self) -> Option<u64> {
        if self.is_value()
            && (planted!(QuickChargesNewKey) && self.word() == 0
                || planted!(QuickIgnoresBlock) && self.has_block())
        {
            return Some(self.word());
        }
        // One comparison: 0 comes out too large, as do a word with the bit of a block, claims and free slots.
        let word = self.0 ^ VALUE;
        (word.wrapping_sub(1) < BLOCKED - 1).then_some(word)
    }

    /// Of a value: the key was blocked; the end is in `BlockEnds`.
    #[inline]
    pub(super) fn has_block(self) -> bool {
        self.0 & BLOCKED != 0
    }

    pub(super) fn without_block(self) -> Self {
        Self(self.0 & !BLOCKED)
    }

    pub(super) fn with_block(self) -> Self {
        Self(self.0 | BLOCKED)
    }
}

/// A tag in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtomicTag<'a>(pub(super) &'a AtomicU64);

impl AtomicTag<'_> {
    #[inline]
    pub(super) fn load(self, order: Ordering) -> Tag {
        Tag(self.0.load(order))
    }

    /// AcqRel: publishes what was written under the claim to every reader of the new tag.
    pub(super) fn swap_if(self, expected: Tag, next: Tag) -> bool {
        self.0.compare_exchange(expected.0, next.0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

/// A state in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct AtomicState<'a>(pub(super) &'a AtomicU64);

impl AtomicState<'_> {
    #[inline]
    pub(super) fn load(self, order: Ordering) -> State {
        State(self.0.load(order))
    }

    /// `SeqCst`: the single order of all these exchanges decides between claims, and of a charge and a reconfiguration one
    /// sees the other.
    #[inline]
    pub(super) fn swap_if(self, expected: State, next: State) -> Result<(), State> {
        if planted!(StateStored) && self.load(Ordering::SeqCst) == expected {
            self.0.store(next.0, Ordering::SeqCst);
            return Ok(());
        }
        let swapped = self.0.compare_exchange(expected.0, next.0, Ordering::SeqCst, Ordering::Acquire);
        swapped.map(|_| ()).map_err(State)
    }
}
