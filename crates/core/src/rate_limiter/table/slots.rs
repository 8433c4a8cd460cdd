//! Where the slots lie, and which of them a key may use.
//!
//! A key has two groups of eight slots: a newcomer takes the emptier one. A group is two cache lines of four
//! tags and four states each, so most look-ups end in the line in which they began.
//!
//! A large table has a near part besides, small enough for a core's cache, with one more group for each key. It
//! is filled first: a few thousand clients of a table for a million lie close together, and touch few pages.
//! Once the table is crowded, most clients are in the far part, and looked for there first.

use std::io;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::pages::Pages;
use super::word::{AtomicState, AtomicTag, Fingerprint, State, Tag};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::memory::MemoryUse;
use crate::runtime::region::{self, LinePair, PAGE, Region};
use crate::runtime::sync::{AtomicU64, Ordering};

/// Fewer in models, which look at every interleaving of every access.
const LINE_SLOTS: usize = if cfg!(any(sluice_loom, sluice_shuttle)) { 1 } else { 4 };
pub(super) const GROUP_SLOTS: usize = 2 * LINE_SLOTS;

/// Groups of the near part: 256 KiB.
const NEAR_GROUPS: usize = 2_048;
/// A table of fewer groups is near enough.
const LEAST_WITH_NEAR: usize = 2 * NEAR_GROUPS;

/// All slots of a table; zeros are free ones.
pub(super) struct Slots {
    /// The near part, and then the others. Of each line, the first half are tags, the other half the states: four tags are compared at once.
    groups: Region<LinePair>,
    near: usize,
    /// How many clients were sent from the near part to the far one, up to the number that makes a crowd.
    sent_on: CachePadded<AtomicU64>,
    /// Those of which a slot was ever used. A pass over all skips the others.
    used: Pages,
}

/// Bytes of a group.
const GROUP_BYTES: usize = size_of::<[[u64; 8]; 2]>();
/// Groups of a page.
const PAGE_GROUPS: usize = PAGE / GROUP_BYTES;

/// Where a key may be, and by what it is known there.
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
    /// Its place among all of the table.
    pub(super) index: usize,
}

/// A slot that held a value of the key at the moment at which it was read.
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

    /// Which of the tags are of the key, a bit each. Without branches: where the match lies is a toss-up.
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

    /// Where a key is most likely to be.
    #[inline]
    fn likely(&self, key: &Candidates) -> usize {
        if self.near > 0 && !self.is_crowded() { self.near(key) } else { self.home(key) }
    }

    /// The group of the near part, where there is one.
    #[inline]
    fn near(&self, key: &Candidates) -> usize {
        scale(key.low.wrapping_mul(0xbf58_476d_1ce4_e5b9), self.near)
    }

    #[inline]
    fn home(&self, key: &Candidates) -> usize {
        self.near + scale(key.low << 11, self.groups.len() - self.near)
    }

    /// The second group of the far part; the first again where there is no other.
    fn other(&self, key: &Candidates) -> usize {
        let far = self.groups.len() - self.near;
        // Every bit of the half that chose the first moves the second.
        let step = scale(key.low.wrapping_mul(0x9e37_79b9_7f4a_7c15), far - 1);
        let other = self.home(key) + 1 + step;
        if other >= self.groups.len() { other - far } else { other }
    }

    /// The groups of a key, each once, in the key's own order.
    pub(super) fn groups_of(&self, key: &Candidates) -> impl Iterator<Item = usize> + use<> {
        let (home, other) = (self.home(key), self.other(key));
        let near = (self.near > 0).then(|| self.near(key));
        near.into_iter().chain([home]).chain(Some(other).filter(|other| *other != home))
    }

    pub(super) fn is_near(&self, group: usize) -> bool {
        group < self.near
    }

    /// Most clients are in the far part.
    #[inline]
    pub(super) fn is_crowded(&self) -> bool {
        // Relaxed: it says where to look first.
        self.sent_on.load(Ordering::Relaxed) >= (NEAR_GROUPS * GROUP_SLOTS) as u64
    }

    /// A newcomer found no room in the near part.
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

    /// The slots of a key, in the key's own order.
    pub(super) fn of_key(&self, key: &Candidates) -> impl Iterator<Item = Slot<'_>> + use<'_> {
        self.groups_of(key).flat_map(|group| self.of_group(group))
    }

    /// Every slot that may ever have been used.
    pub(super) fn all(&self) -> impl Iterator<Item = Slot<'_>> {
        let groups = self.used.marked().flat_map(|page| page * PAGE_GROUPS..(page + 1) * PAGE_GROUPS);
        groups.take_while(|group| *group < self.groups.len()).flat_map(|group| self.of_group(group))
    }

    /// Before a slot is claimed.
    pub(super) fn use_slot(&self, slot: Slot<'_>) {
        self.used.mark(slot.index / GROUP_SLOTS * GROUP_BYTES);
    }

    /// The slot that holds a value of the key.
    pub(super) fn find(&self, key: &Candidates) -> Option<Found<'_>> {
        // Asked once: the table may get crowded between the two looks.
        let likely = self.likely(key);
        self.find_in(likely, key.fingerprint).or_else(|| self.find_besides(likely, key))
    }

    /// As [`find`](Self::find), where the key is most likely to be.
    #[inline(always)]
    pub(super) fn find_likely(&self, key: &Candidates) -> Option<Found<'_>> {
        if self.is_crowded() {
            // In a third of the calls it is there; so far from the processor, both are asked for at once.
            self.prefetch_group(self.other(key));
        }
        self.find_in(self.likely(key), key.fingerprint)
    }

    /// In the other groups. May miss a key when the table gets crowded at this moment.
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
                // Acquire: the state that is judged is at least as new as the tag it is found by.
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

    /// Asks for the lines where a key is likely to be found.
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
mod tests {
    use super::*;
    use crate::runtime::key_hash::hash_str;

    fn slots(groups: usize) -> Slots {
        Slots::new(groups, Arc::default()).expect("room")
    }

    fn groups(slots: &Slots, key: &str) -> Vec<usize> {
        slots.groups_of(&slots.candidates(hash_str(key))).collect()
    }

    #[test]
    fn a_key_has_two_groups_where_there_are_two() {
        for count in [2, 3, 100, LEAST_WITH_NEAR - 1] {
            let slots = slots(count);
            for i in 0..200 {
                let groups = groups(&slots, &i.to_string());
                assert!(
                    groups.len() == 2 && groups[0] != groups[1] && groups.iter().all(|group| *group < count)
                );
            }
        }
        assert_eq!(groups(&slots(1), "a"), [0]);
    }

    #[test]
    fn a_large_table_has_a_near_group_for_each_key() {
        let slots = slots(LEAST_WITH_NEAR);
        for i in 0..200 {
            let groups = groups(&slots, &i.to_string());
            assert!(groups[0] < NEAR_GROUPS && groups[1..].iter().all(|group| *group >= NEAR_GROUPS));
            assert!(groups.len() == 3 && groups[1] != groups[2] && groups[2] < NEAR_GROUPS + LEAST_WITH_NEAR);
        }
    }

    /// Two keys that share a group seldom share the other one.
    #[test]
    fn the_second_group_does_not_follow_from_the_first() {
        let slots = slots(16);
        let mut seconds: Vec<_> = (0..20_000)
            .map(|i| groups(&slots, &i.to_string()))
            .filter(|groups| groups[0] == 7)
            .map(|groups| groups[1])
            .collect();
        seconds.sort_unstable();
        seconds.dedup();
        assert_eq!(seconds.len(), 15, "each of the others follows for some key");
    }
}
