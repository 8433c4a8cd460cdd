//! The layout of the slots, and which of them a key may use.
//!
//! Four slots are a line: one cache line of four tags and four states. Two lines are a pair. A key may use three pairs, each
//! from a line of its own on; the line that it uses first of all is its home. A new key gets a slot of its home while that
//! has a vacancy, and otherwise of the emptiest of the other five lines: so most keys are found in the first line, and few
//! new keys find all lines full.
//!
//! A large table also has a near part, small enough for a core's cache, in which each key has a pair as well. It fills
//! first: a few thousand keys in a table for a million lie close together, and touch few pages. Once the table is crowded,
//! most keys are in the far part, and both look-ups and inserts start at home.

mod crowd;
mod lines;

use std::io;

use self::crowd::Crowd;
use super::matching::matching_tags;
use super::pages::Pages;
use super::word::{AtomicState, AtomicTag, Fingerprint, State, Tag};
use crate::runtime::arena::Arena;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;
use crate::runtime::region::{self, CacheLine, PAGE, Region};
use crate::runtime::sync::Ordering;

/// Slots of a line. Fewer in models, which run every interleaving of every access.
pub(super) const LINE_SLOTS: usize = if cfg!(any(sluice_loom, sluice_shuttle)) { 1 } else { 4 };

/// Lines of the near part, a power of two: 256 KiB. One pair in models.
const NEAR_LINES: usize = if cfg!(sluice_loom) { 2 } else { 4_096 };
/// A table of fewer lines has no near part. In models four pairs are the least, as most of them are of smaller tables.
const LEAST_WITH_NEAR: usize = if cfg!(sluice_loom) { 8 } else { 2 * NEAR_LINES };

/// All slots of a table; zeros are free ones.
pub(super) struct Slots {
    /// The near part, then the far part; an even number of lines each.
    lines: Region<CacheLine>,
    near: usize,
    far: usize,
    crowd: Crowd,
    /// Pages of which a slot was ever used. A pass over all slots skips the others.
    used: Pages,
}

/// Bytes of a line.
const LINE_BYTES: usize = size_of::<[u64; 8]>();
/// Lines of a page.
const PAGE_LINES: usize = PAGE / LINE_BYTES;

/// What selects the slots of a key, and what is stored of it there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidates {
    pub(super) fingerprint: Fingerprint,
    /// A random number below 2^53.
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

/// Four slots: the tags are the first half of the cache line, their states the other half.
#[derive(Clone, Copy)]
struct Line<'a> {
    words: &'a CacheLine,
    /// The place of its first slot.
    index: usize,
}

impl<'a> Line<'a> {
    #[inline(always)]
    fn slot(self, lane: usize) -> Slot<'a> {
        let (tag, state) = (&self.words.0[lane], &self.words.0[LINE_SLOTS + lane]);
        Slot { tag: AtomicTag(tag), state: AtomicState(state), index: self.index + lane }
    }

    /// The first of the slots that `matches` names, if it holds a value of the key.
    #[inline(always)]
    fn verify(self, matches: u32, fingerprint: Fingerprint) -> Option<Found<'a>> {
        let slot = self.slot(matches.trailing_zeros() as usize % LINE_SLOTS);
        // Acquire: the state that is decided on is at least as new as the tag.
        let tag = slot.tag.load(Ordering::Acquire);
        // Acquire: pairs with the confirmation, before which the tag was written.
        let state = slot.state.load(Ordering::Acquire);
        (tag.is_of(fingerprint) && state.is_value()).then_some(Found { slot, tag, state })
    }

    #[inline(always)]
    fn find(self, fingerprint: Fingerprint) -> Option<Found<'a>> {
        let mut matches = matching_tags(self.words, fingerprint);
        while matches != 0 {
            if let Some(found) = self.verify(matches, fingerprint) {
                return Some(found);
            }
            matches &= matches - 1;
        }
        None
    }
}

impl Slots {
    /// Bytes of a slot.
    pub(super) const BYTES_EACH: usize = LINE_BYTES / LINE_SLOTS;

    /// Slots in so many pairs of lines, beside those of the near part.
    pub(super) fn new(pairs: usize, arena: &Arena) -> io::Result<Self> {
        let far = 2 * pairs;
        let near = if far >= LEAST_WITH_NEAR { NEAR_LINES } else { 0 };
        Ok(Self {
            lines: arena.region(near + far)?,
            near,
            far,
            crowd: Crowd::new(near * LINE_SLOTS, arena)?,
            used: Pages::new((near + far) * LINE_BYTES, arena)?,
        })
    }

    pub(super) fn count(&self) -> usize {
        self.lines.len() * LINE_SLOTS
    }

    pub(super) fn line_count(&self) -> usize {
        self.lines.len()
    }

    #[inline(always)]
    pub(super) fn candidates(&self, key: KeyHash) -> Candidates {
        let (_, low) = key.halves();
        Candidates { fingerprint: Fingerprint::of(key), low }
    }

    /// The line in which a key is most likely found.
    #[inline(always)]
    fn likely(&self, key: &Candidates) -> usize {
        if self.is_crowded() { self.home(key) } else { self.near(key) }
    }

    /// The line of the near part that a key uses first, if there is one.
    #[inline(always)]
    fn near(&self, key: &Candidates) -> usize {
        // Bits that hardly affect the home.
        key.low as usize % NEAR_LINES
    }

    /// The line of the far part that a key uses first.
    #[inline(always)]
    fn home(&self, key: &Candidates) -> usize {
        self.near + scale(key.low << 11, self.far)
    }

    /// Whether most keys are in the far part.
    #[inline(always)]
    pub(super) fn is_crowded(&self) -> bool {
        self.crowd.is_there()
    }

    /// A new key found no room in the near part.
    pub(super) fn send_on(&self) {
        self.crowd.send_on();
    }

    /// All keys were removed: new ones fill the near part first.
    pub(super) fn begin_anew(&self) {
        self.crowd.disperse();
    }

    /// A key was not found where it is most likely: other processes may have filled the near part.
    #[inline]
    pub(super) fn follow_crowd(&self) {
        self.crowd.follow();
    }

    #[inline(always)]
    fn line(&self, line: usize) -> Line<'_> {
        Line { words: &self.lines[line], index: line * LINE_SLOTS }
    }

    /// The slots of a line, in order.
    #[inline(always)]
    pub(super) fn of_line(&self, line: usize) -> impl Iterator<Item = Slot<'_>> {
        let line = self.line(line);
        (0..LINE_SLOTS).map(move |lane| line.slot(lane))
    }

    /// Whether a slot holds this value. There may be no such slot: its number may have been read from shared memory.
    pub(super) fn holds(&self, index: usize, value: u64) -> bool {
        let line = index / LINE_SLOTS;
        // SeqCst, as the exchanges of states: a value that was taken out of the slot before is not seen.
        let holds = |state: State| state.is_value() && state.word() == value;
        line < self.lines.len()
            && holds(self.line(line).slot(index % LINE_SLOTS).state.load(Ordering::SeqCst))
    }

    /// The slots of a key, always in the same order.
    pub(super) fn of_key(&self, key: &Candidates) -> impl Iterator<Item = Slot<'_>> + use<'_> {
        self.lines_of(key).flat_map(|line| self.of_line(line))
    }

    /// Every slot that may ever have been used.
    pub(super) fn all(&self) -> impl Iterator<Item = Slot<'_>> {
        let lines = self.used.marked().flat_map(|page| page * PAGE_LINES..(page + 1) * PAGE_LINES);
        lines.take_while(|line| *line < self.lines.len()).flat_map(|line| self.of_line(line))
    }

    /// To be called before a slot is claimed.
    pub(super) fn use_slot(&self, slot: Slot<'_>) {
        self.used.mark(slot.index / LINE_SLOTS * LINE_BYTES);
    }

    /// The slot that holds a value of the key.
    pub(super) fn find(&self, key: &Candidates) -> Option<Found<'_>> {
        if planted!(LookEndsAtNear) && self.near_or_home(key) == self.near(key) {
            return self.line(self.near(key)).find(key.fingerprint);
        }
        let mut lines = self.lines_by_likelihood(key);
        if planted!(LookEndsAtHome) {
            return self.line(lines.next()?).find(key.fingerprint);
        }
        lines.find_map(|line| self.line(line).find(key.fingerprint))
    }

    /// As [`find`](Self::find), in the line in which the key is most likely found. Checks the first match only, so it may miss
    /// a key that is there: in rare cases another slot of the line has an old or almost equal tag.
    #[inline(always)]
    pub(super) fn find_likely(&self, key: &Candidates) -> Option<Found<'_>> {
        let line = self.line(if self.is_crowded() { self.near_or_home(key) } else { self.near(key) });
        let matches = matching_tags(line.words, key.fingerprint);
        if matches == 0 { None } else { line.verify(matches, key.fingerprint) }
    }

    /// In a crowded table, the line of the near part that a key uses first, if a tag there matches, else home. Clients that
    /// called before the table was crowded are there, and that line is in a core's cache where home is not.
    #[inline(always)]
    fn near_or_home(&self, key: &Candidates) -> usize {
        let near = self.near(key);
        let is_near = self.near > 0 && matching_tags(self.line(near).words, key.fingerprint) != 0;
        if is_near { near } else { self.home(key) }
    }

    /// Prefetches the line in which a key is most likely found.
    #[inline(always)]
    pub(super) fn prefetch(&self, key: &Candidates) {
        region::prefetch(&self.lines[self.likely(key)]);
    }
}

/// Spreads 64 random bits over `0..count`.
#[inline(always)]
fn scale(random: u64, count: usize) -> usize {
    ((u128::from(random) * count as u128) >> 64) as usize
}

#[cfg(test)]
mod tests;
