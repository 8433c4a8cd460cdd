//! Where the slots lie, and which of them a key may use.
//!
//! A key has two groups of eight slots: a newcomer takes the emptier one. A group is two cache lines of four
//! tags and four states each, so most look-ups end in the line in which they began.

use super::word::{AtomicState, AtomicTag, Fingerprint, State, Tag};
use crate::key_hash::KeyHash;
use crate::region::{self, LinePair};
use crate::sync::{AtomicU64, Ordering};

/// Fewer in models, which look at every interleaving of every access.
const LINE_SLOTS: usize = if cfg!(sluice_loom) { 1 } else { 4 };
pub(super) const GROUP_SLOTS: usize = 2 * LINE_SLOTS;

/// All slots of a table; zeros are slots that were never used.
pub(super) struct Slots {
    /// Of each line, the first half are tags, the other half the states: four tags are compared at once.
    groups: Box<[LinePair]>,
    /// A bit for every so many groups: whether any of them was ever used. A pass over all skips the others.
    used: Box<[AtomicU64]>,
}

/// Groups per bit of `used`: two pages of memory.
const STRETCH: usize = 64;

/// Where a key may be, and by what it is known there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates {
    pub(super) fingerprint: Fingerprint,
    low: u64,
    home: usize,
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
    pub(super) fn new(groups: usize) -> Self {
        Self { groups: region::zeroed(groups), used: region::zeroed(groups.div_ceil(STRETCH * 64)) }
    }

    pub(super) fn count(&self) -> usize {
        self.groups.len() * GROUP_SLOTS
    }

    #[inline]
    pub(super) fn candidates(&self, key: KeyHash) -> Candidates {
        let (_, low) = key.halves();
        let home = scale(low << 11, self.groups.len());
        Candidates { fingerprint: Fingerprint::of(key), low, home }
    }

    /// The second group of a key; the first again where there is no other.
    fn other(&self, key: &Candidates) -> usize {
        let groups = self.groups.len();
        // Every bit of the half that chose the first moves the second.
        let step = scale(key.low.wrapping_mul(0x9e37_79b9_7f4a_7c15), groups - 1);
        let other = key.home + 1 + step;
        if other >= groups { other - groups } else { other }
    }

    /// The groups of a key, each once, in the key's own order.
    pub(super) fn groups_of(&self, key: &Candidates) -> impl Iterator<Item = usize> + use<> {
        let other = Some(self.other(key)).filter(|other| *other != key.home);
        std::iter::once(key.home).chain(other)
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
        let stretches = (0..self.groups.len().div_ceil(STRETCH)).filter(|stretch| self.is_used(*stretch));
        let groups = stretches.flat_map(|stretch| stretch * STRETCH..(stretch + 1) * STRETCH);
        groups.take_while(|group| *group < self.groups.len()).flat_map(|group| self.of_group(group))
    }

    fn is_used(&self, stretch: usize) -> bool {
        // SeqCst, like the claim that follows `use_slot`: a pass that does not find the bit came before it.
        self.used[stretch / 64].load(Ordering::SeqCst) & 1 << (stretch % 64) != 0
    }

    /// Before a slot is claimed.
    pub(super) fn use_slot(&self, slot: Slot<'_>) {
        let stretch = slot.index / GROUP_SLOTS / STRETCH;
        if !self.is_used(stretch) {
            self.used[stretch / 64].fetch_or(1 << (stretch % 64), Ordering::SeqCst);
        }
    }

    /// The slot that holds a value of the key.
    pub(super) fn find(&self, key: &Candidates) -> Option<Found<'_>> {
        self.find_at_home(key).or_else(|| self.find_elsewhere(key))
    }

    /// As [`find`](Self::find), in the first of its groups, where most are.
    #[inline]
    pub(super) fn find_at_home(&self, key: &Candidates) -> Option<Found<'_>> {
        self.find_in(key.home, key.fingerprint)
    }

    #[inline]
    pub(super) fn find_elsewhere(&self, key: &Candidates) -> Option<Found<'_>> {
        self.find_in(self.other(key), key.fingerprint)
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
        self.groups[key.home].0.iter().for_each(region::prefetch);
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
    use crate::key_hash::hash_str;

    fn groups(slots: &Slots, key: &str) -> Vec<usize> {
        slots.groups_of(&slots.candidates(hash_str(key))).collect()
    }

    #[test]
    fn a_key_has_two_groups_where_there_are_two() {
        for count in [2, 3, 100] {
            let slots = Slots::new(count);
            for i in 0..200 {
                let groups = groups(&slots, &i.to_string());
                assert!(
                    groups.len() == 2 && groups[0] != groups[1] && groups.iter().all(|group| *group < count)
                );
            }
        }
        assert_eq!(groups(&Slots::new(1), "a"), [0]);
    }

    /// Two keys that share a group seldom share the other one.
    #[test]
    fn the_second_group_does_not_follow_from_the_first() {
        let slots = Slots::new(16);
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
