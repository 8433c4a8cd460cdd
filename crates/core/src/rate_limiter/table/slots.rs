//! The layout of the slots, and which of them a key may use.
//!
//! A key may use two groups of eight slots; a new key takes the emptier one. A group is two cache lines of four tags and
//! four states each, so most look-ups touch one line.
//!
//! A large table also has a near part, small enough for a core's cache, in which each key has a third group. It fills
//! first: a few thousand keys in a table for a million lie close together, and touch few pages. Once the table is crowded,
//! most keys are in the far part, and look-ups start there.

use std::io;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::pages::Pages;
use super::word::{AtomicState, AtomicTag, Fingerprint, State, Tag};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::memory::MemoryUse;
use crate::runtime::region::{self, LinePair, PAGE, Region};
use crate::runtime::sync::{AtomicU64, Ordering};

/// Slots of a line. Fewer in models, which run every interleaving of every access.
const LINE_SLOTS: usize = if cfg!(any(sluice_loom, sluice_shuttle)) { 1 } else { 4 };
pub(super) const GROUP_SLOTS: usize = 2 * LINE_SLOTS;

/// Groups of the near part: 256 KiB.
const NEAR_GROUPS: usize = 2_048;
/// A table of fewer groups has no near part.
const LEAST_WITH_NEAR: usize = 2 * NEAR_GROUPS;

/// All slots of a table; zeros are free ones.
pub(super) struct Slots {
    /// The near part, then the far part. The first half of each line are tags, so four tags are compared at once; the
    /// other half are their states.
    groups: Region<LinePair>,
    near: usize,
    /// How many new keys found the near part full, up to the number that makes the table crowded.
    sent_on: CachePadded<AtomicU64>,
    /// Pages of which a slot was ever used. A pass over all slots skips the others.
    used: Pages,
}

/// Bytes of a group.
const GROUP_BYTES: usize = size_of::<[[u64; 8]; 2]>();
/// Groups of a page.
const PAGE_GROUPS: usize = PAGE / GROUP_BYTES;

/// What selects the slots of a key, and what is stored of it there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates {
    pub(super) fingerprint: Fingerprint,
    low: u64,
}

/// One slot, borrowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot<'a> {
    pub(super) tag: AtomicTag<'a>,
    pub(super) state: AtomicState<'a>,
    /// Its place among all slots of the table.
    pub(super) index: usize,
}

/// A slot that held a value of the key when it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found<'a> {
    pub(super) slot: Slot<'a>,
    pub(super) tag: Tag,
    pub(super) state: State,
}

/// Four slots.
#[derive(Clone, Copy)]
struct Line<'a> {
    words: &'a [AtomicU64; 8],
    /// The place of its first slot.
    index: usize,
}

impl<'a> Line<'a> {
    #[inline]
    fn slot(self, lane: usize) -> Slot<'a> {
        let (tag, state) = (&self.words[lane], &self.words[LINE_SLOTS + lane]);
        Slot { tag: AtomicTag(tag), state: AtomicState(state), index: self.index + lane }
    }

    /// A bit for each tag that is of the key. Without branches, as the place of a match cannot be predicted.
    #[inline]
    fn matches(self, fingerprint: Fingerprint) -> u32 {
        // Relaxed: a match is read again.
        let is_of = |lane: usize| AtomicTag(&self.words[lane]).load(Ordering::Relaxed).is_of(fingerprint);
        (0..LINE_SLOTS).fold(0, |matches, lane| matches | u32::from(is_of(lane)) << lane)
    }
}

impl Slots {
    /// Bytes of a slot.
    pub(super) const BYTES_EACH: usize = GROUP_BYTES / GROUP_SLOTS;

    pub(super) fn new(groups: usize, in_use: Arc<MemoryUse>) -> io::Result<Self> {
        let near = if groups >= LEAST_WITH_NEAR { NEAR_GROUPS } else { 0 };
        let all = near + groups;
        Ok(Self {
            groups: Region::zeroed(all)?,
            near,
            sent_on: CachePadded::default(),
            used: Pages::new(all * GROUP_BYTES, in_use)?,
        })
    }

    pub(super) fn count(&self) -> usize {
        self.groups.len() * GROUP_SLOTS
    }

    #[inline]
    pub(super) fn candidates(&self, key: KeyHash) -> Candidates {
        let (_, low) = key.halves();
        Candidates { fingerprint: Fingerprint::of(key), low }
    }

    /// The group in which a key is most likely found.
    #[inline]
    fn likely(&self, key: &Candidates) -> usize {
        if self.near > 0 && !self.is_crowded() { self.near(key) } else { self.home(key) }
    }

    /// The key's group in the near part, if there is one.
    #[inline]
    fn near(&self, key: &Candidates) -> usize {
        scale(key.low.wrapping_mul(0xbf58_476d_1ce4_e5b9), self.near)
    }

    #[inline]
    fn home(&self, key: &Candidates) -> usize {
        self.near + scale(key.low << 11, self.groups.len() - self.near)
    }

    /// The key's second group in the far part; the first again where there is only one.
    fn other(&self, key: &Candidates) -> usize {
        let far = self.groups.len() - self.near;
        // Every bit of the half that chose the first group affects the second.
        let step = scale(key.low.wrapping_mul(0x9e37_79b9_7f4a_7c15), far - 1);
        let other = self.home(key) + 1 + step;
        if other >= self.groups.len() { other - far } else { other }
    }

    /// The groups of a key, each once, always in the same order.
    pub(super) fn groups_of(&self, key: &Candidates) -> impl Iterator<Item = usize> + use<> {
        let (home, other) = (self.home(key), self.other(key));
        let near = (self.near > 0).then(|| self.near(key));
        near.into_iter().chain([home]).chain(Some(other).filter(|other| *other != home))
    }

    pub(super) fn is_near(&self, group: usize) -> bool {
        group < self.near
    }

    /// Whether most keys are in the far part.
    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        // Relaxed: it only decides where to look first.
        self.sent_on.load(Ordering::Relaxed) >= (NEAR_GROUPS * GROUP_SLOTS) as u64
    }

    /// A new key found no room in the near part.
    pub(super) fn send_on(&self) {
        if !self.is_crowded() {
            self.sent_on.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn lines(&self, group: usize) -> impl Iterator<Item = Line<'_>> {
        let index = group * GROUP_SLOTS;
        let [first, second] = &self.groups[group].0;
        [Line { words: first, index }, Line { words: second, index: index + LINE_SLOTS }].into_iter()
    }

    /// The slots of a group, in order.
    pub(super) fn of_group(&self, group: usize) -> impl Iterator<Item = Slot<'_>> {
        self.lines(group).flat_map(|line| (0..LINE_SLOTS).map(move |lane| line.slot(lane)))
    }

    /// The slots of a key, always in the same order.
    pub(super) fn of_key(&self, key: &Candidates) -> impl Iterator<Item = Slot<'_>> + use<'_> {
        self.groups_of(key).flat_map(|group| self.of_group(group))
    }

    /// Every slot that may ever have been used.
    pub(super) fn all(&self) -> impl Iterator<Item = Slot<'_>> {
        let groups = self.used.marked().flat_map(|page| page * PAGE_GROUPS..(page + 1) * PAGE_GROUPS);
        groups.take_while(|group| *group < self.groups.len()).flat_map(|group| self.of_group(group))
    }

    /// To be called before a slot is claimed.
    pub(super) fn use_slot(&self, slot: Slot<'_>) {
        self.used.mark(slot.index / GROUP_SLOTS * GROUP_BYTES);
    }

    /// The slot that holds a value of the key.
    pub(super) fn find(&self, key: &Candidates) -> Option<Found<'_>> {
        // Read once: the table may become crowded between the two look-ups.
        let likely = self.likely(key);
        self.find_in(likely, key.fingerprint).or_else(|| self.find_besides(likely, key))
    }

    /// As [`find`](Self::find), in the most likely group only.
    #[inline(always)]
    pub(super) fn find_likely(&self, key: &Candidates) -> Option<Found<'_>> {
        if self.is_crowded() {
            // A third of the keys are there, and a cache miss is likely, so both groups are loaded at once.
            self.prefetch_group(self.other(key));
        }
        self.find_in(self.likely(key), key.fingerprint)
    }

    /// As [`find`](Self::find), in the other groups. May miss a key if the table becomes crowded at this moment.
    pub(super) fn find_elsewhere(&self, key: &Candidates) -> Option<Found<'_>> {
        self.find_besides(self.likely(key), key)
    }

    #[inline]
    fn find_besides(&self, likely: usize, key: &Candidates) -> Option<Found<'_>> {
        let (home, other) = (self.home(key), self.other(key));
        let [first, second] = match self.near {
            0 => return self.find_in(other, key.fingerprint),
            _ if likely == home => [other, self.near(key)],
            _ => [home, other],
        };
        if let Some(found) = self.find_in(first, key.fingerprint) {
            return Some(found);
        }
        self.find_in(second, key.fingerprint)
    }

    #[inline(always)]
    fn find_in(&self, group: usize, fingerprint: Fingerprint) -> Option<Found<'_>> {
        for line in self.lines(group) {
            let mut matches = line.matches(fingerprint);
            while matches != 0 {
                let slot = line.slot(matches.trailing_zeros() as usize % LINE_SLOTS);
                matches &= matches - 1;
                // Acquire: the state that is decided on is at least as new as the tag.
                let tag = slot.tag.load(Ordering::Acquire);
                // Acquire: pairs with the confirmation, before which the tag was written.
                let state = slot.state.load(Ordering::Acquire);
                if tag.is_of(fingerprint) && state.is_value() {
                    return Some(Found { slot, tag, state });
                }
            }
        }
        None
    }

    /// Prefetches the lines in which a key is most likely found.
    #[inline]
    pub(super) fn prefetch(&self, key: &Candidates) {
        self.prefetch_group(self.likely(key));
    }

    #[inline]
    fn prefetch_group(&self, group: usize) {
        self.groups[group].0.iter().for_each(region::prefetch);
    }
}

/// Spreads 64 random bits over `0..count`.
#[inline]
fn scale(random: u64, count: usize) -> usize {
    ((u128::from(random) * count as u128) >> 64) as usize
}

#[cfg(test)]
mod tests;
