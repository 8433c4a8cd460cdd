//! A bounded table of keys, without locks, shared by all threads.
//!
//! A key may use the slots of a few lines (`slots`). A slot is a tag, which says whose it is, and a state. A key that is in
//! the table is charged by one compare-and-swap of its state (`change`). A new key is inserted by a claim: its thread
//! claims a slot, makes sure that no other slot holds or claims the same key, and turns the claim into the first state
//! (`claims`). There is no sweep: an expired key equals a new one, and its slot is reused when a new key needs one
//! (`vacancy`).
//!
//! While a state is a value, its tag does not change: tags are written under a claim only, each with a version that the
//! slot has not had. An equal value alone proves nothing (ABA): clocks tick, and two keys may have equal states. So the
//! tag is read again after each exchange.

mod block_ends;
mod blocks;
mod bound;
mod cell;
mod claims;
mod holds;
mod matching;
#[cfg(all(test, sluice_loom))]
mod models;
mod overflow;
mod pages;
mod passes;
mod quick;
mod records;
mod repair;
#[cfg(all(test, sluice_shuttle))]
mod schedules;
mod size;
mod slots;
#[cfg(all(test, any(sluice_loom, sluice_shuttle)))]
mod small;
mod survey;
#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;
mod vacancy;
mod word;

use std::io;

use self::block_ends::BlockEnds;
use self::bound::Bound;
pub(crate) use self::cell::{Cell, MAX_WORDS, Several, Single, Step, Words};
pub(crate) use self::holds::Hold;
pub use self::overflow::Overflow;
pub(crate) use self::quick::Charged;
pub(crate) use self::records::{OwnedRecords, Records, StackedRecords};
pub(crate) use self::size::bytes_of_a_key;
use self::size::pairs_for;
use self::slots::{Candidates, Found, Slot, Slots};
use self::word::State;
use crate::runtime::arena::{Arena, Word};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;
use crate::runtime::sync::{Ordering, fence, pause};

/// The latest time of a clock, in the year 2079: an algorithm may add up to 2^60 to it, and its word has 62 bits.
const LATEST: u64 = (3 << 60) - 1;

pub(crate) struct Table<C> {
    slots: Slots,
    cell: C,
    block_ends: BlockEnds,
    bound: Bound,
    overflow: Overflow,
    /// Latest time at which an expired entry was evicted. New keys count from here: a thread that read its clock earlier
    /// would otherwise find its key absent at a time when it was not yet expired.
    watermark: Word,
    live_evictions: Word,
}

/// No slot is available for a new key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full {
    /// When the first of the keys that were looked at expires.
    pub(crate) earliest_vacancy: u64,
}

/// The state of a key at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client<W> {
    pub(crate) words: W,
    /// 0 if it was never blocked.
    pub(crate) blocked_until: u64,
}

impl<W> Client<W> {
    /// Nanoseconds until it equals a new key, by its words and its block.
    pub(crate) fn lifetime(&self, now: u64, of_words: impl Fn(&W, u64) -> u64) -> u64 {
        of_words(&self.words, now).max(self.blocked_until.saturating_sub(now))
    }
}

impl<C: Cell> Table<C> {
    /// A table for `max_keys` keys in memory of an arena; `cell` gets the number of slots.
    pub(crate) fn new(
        max_keys: usize,
        overflow: Overflow,
        arena: &Arena,
        cell: impl FnOnce(usize) -> io::Result<C>,
    ) -> io::Result<Self> {
        let bound = if arena.is_shared() { Bound::none() } else { Bound::new(max_keys) };
        Self::of_pairs(pairs_for(max_keys), bound, overflow, arena, cell)
    }

    fn of_pairs(
        pairs: usize,
        bound: Bound,
        overflow: Overflow,
        arena: &Arena,
        cell: impl FnOnce(usize) -> io::Result<C>,
    ) -> io::Result<Self> {
        let slots = Slots::new(pairs, arena)?;
        Ok(Self {
            cell: cell(slots.count())?,
            block_ends: BlockEnds::new(slots.count(), arena)?,
            bound,
            slots,
            overflow,
            watermark: arena.word()?,
            live_evictions: arena.word()?,
        })
    }

    /// Most keys it can hold.
    pub(crate) fn capacity(&self) -> usize {
        self.bound.most().unwrap_or(self.slots.count())
    }

    /// Decides for a key, which is inserted if that writes anything. `decide` gets the key's state and the time to decide
    /// by: `now`, or a little later for a new key. `lifetime` says for how long words matter.
    #[inline]
    pub(crate) fn update<R>(
        &self,
        key: KeyHash,
        now: u64,
        lifetime: impl Fn(&C::Words, u64) -> u64,
        mut decide: impl FnMut(&Client<C::Words>, u64) -> Step<C::Words, R>,
    ) -> Result<R, Full> {
        let key = self.slots.candidates(key);
        if let Some(found) = self.slots.find_likely(&key)
            && let Some(result) = self.change(found, |client| decide(client, self.counts_from(client, now)))
        {
            return Ok(result);
        }
        self.update_elsewhere(&key, now, lifetime, decide)
    }

    /// Out of line, so that what most calls need stays in registers.
    #[inline(never)]
    fn update_elsewhere<R>(
        &self,
        key: &Candidates,
        now: u64,
        lifetime: impl Fn(&C::Words, u64) -> u64,
        mut decide: impl FnMut(&Client<C::Words>, u64) -> Step<C::Words, R>,
    ) -> Result<R, Full> {
        self.slots.follow_crowd();
        if let Some(found) = self.slots.find(key)
            && let Some(result) = self.change(found, |client| decide(client, self.counts_from(client, now)))
        {
            return Ok(result);
        }
        self.insert(key, now, None, &lifetime, &mut decide)
    }

    /// The time to decide by. A key that was inserted but never charged is still a new key.
    #[inline]
    fn counts_from(&self, client: &Client<C::Words>, now: u64) -> u64 {
        let is_new = !planted!(HelpedInsertIgnoresWatermark) && client.words == C::Words::default();
        if is_new { self.new_keys_count_from(now) } else { now }
    }

    fn new_keys_count_from(&self, now: u64) -> u64 {
        if planted!(InsertIgnoresWatermark) { now } else { now.max(self.watermark()) }
    }

    fn watermark(&self) -> u64 {
        // Acquire: a thread that does not find its key because it was evicted sees the time of that. In shared memory it may
        // be any time.
        self.watermark.load(Ordering::Acquire).min(LATEST)
    }

    /// Decides for a key that is in the table.
    #[inline]
    pub(crate) fn update_existing<R>(
        &self,
        key: KeyHash,
        mut decide: impl FnMut(&Client<C::Words>) -> Step<C::Words, R>,
    ) -> Option<R> {
        let key = self.slots.candidates(key);
        loop {
            let found = self.slots.find(&key)?;
            if let Some(result) = self.change(found, &mut decide) {
                return Some(result);
            }
        }
    }

    /// The state of a key now.
    pub(crate) fn get(&self, key: KeyHash) -> Option<Client<C::Words>> {
        self.update_existing(key, |client| Step::Keep(*client))
    }

    /// Removes a key with its block; returns its state.
    pub(crate) fn reset(&self, key: KeyHash) -> Option<Client<C::Words>> {
        self.reset_unless(key, |_| false).map(|(client, _)| client)
    }

    /// As [`reset`](Self::reset), but leaves a key that `stays`. Its state, and whether it was removed.
    pub(crate) fn reset_unless(
        &self,
        key: KeyHash,
        stays: impl Fn(&Client<C::Words>) -> bool,
    ) -> Option<(Client<C::Words>, bool)> {
        let key = self.slots.candidates(key);
        loop {
            let found = self.slots.find(&key)?;
            let Some(client) = self.read(&found) else { continue };
            if stays(&client) {
                return Some((client, false));
            }
            if self.vacate(&found) {
                return Some((client, true));
            }
        }
    }

    pub(crate) fn live_evictions(&self) -> u64 {
        self.live_evictions.load(Ordering::Relaxed)
    }

    /// The state of the key in a slot; `None` when the slot has changed since it was found.
    #[inline]
    fn read(&self, found: &Found<'_>) -> Option<Client<C::Words>> {
        let Found { slot, tag, state } = *found;
        let blocked_until = if state.has_block() { self.block_ends.get(slot, tag) } else { 0 };
        let words = self.cell.read(state.word());
        if C::READ_IS_UNSURE && !planted!(RecordNotChecked) && slot.state.load(Ordering::Relaxed) != state {
            return None;
        }
        let is_same = planted!(ReadIgnoresTag) || self.is_of_key(found);
        is_same.then_some(Client { words, blocked_until })
    }

    /// After a load or an exchange of the state: whether that was the key's.
    #[inline]
    fn is_of_key(&self, found: &Found<'_>) -> bool {
        // Relaxed: read after an access of the state that acquires. If the tag still stands, it stood at that access.
        found.slot.tag.load(Ordering::Relaxed) == found.tag
    }

    /// Decides for the key in a slot and writes the result; `None` when the slot no longer belongs to the key. Repeats only
    /// when another thread's change came between.
    #[inline]
    fn change<R>(
        &self,
        mut found: Found<'_>,
        mut decide: impl FnMut(&Client<C::Words>) -> Step<C::Words, R>,
    ) -> Option<R> {
        loop {
            let Some(client) = self.read(&found) else {
                found.state = self.later_state(&found)?;
                continue;
            };
            let (words, result) = match decide(&client) {
                Step::Keep(result) => return Some(result),
                Step::Write(words, result) => (words, result),
            };
            let slot = found.slot;
            let value = self.keep(&words, slot)?;
            let has_block = found.state.has_block() && !planted!(ChargeClearsBlock);
            let charged = State::value(value, has_block);
            match self.replace(slot, found.state, charged) {
                Ok(()) if planted!(ChargeIgnoresTag) || self.is_of_key(&found) => {
                    self.cell.release(found.state.word(), slot.index);
                    return Some(result);
                }
                Ok(()) => {
                    let undone = self.roll_back(&found, charged);
                    let replaced = if undone && !planted!(UndoLeaks) { value } else { found.state.word() };
                    self.cell.release(replaced, slot.index);
                    return None;
                }
                Err(current) => {
                    self.cell.release(value, slot.index);
                    pause();
                    found.state = current;
                    if !current.is_value() {
                        return None;
                    }
                }
            }
        }
    }

    /// A value that stands for the words in a slot; `None` when there is no room at the moment.
    #[inline(always)]
    fn keep(&self, words: &C::Words, slot: Slot<'_>) -> Option<u64> {
        self.cell.keep(words, slot.index, |slot, value| self.slots.holds(slot, value))
    }

    /// Exchanges a state. The caller then releases its value. If its process is killed before, the value is not lost.
    #[inline(always)]
    fn replace(&self, slot: Slot<'_>, state: State, next: State) -> Result<(), State> {
        if state.is_value() {
            self.cell.disown(state.word());
        }
        slot.state.swap_if(state, next)
    }

    /// Values that calls are about to put into slots, in processes that live. Where no call is made there are none.
    pub(crate) fn values_in_flight(&self) -> u64 {
        self.cell.in_flight(|slot, value| self.slots.holds(slot, value))
    }

    /// The state of the key now, after another thread's change of it came between the reads of one state. `None` when the
    /// slot no longer belongs to the key. Such a change must not count as an attempt to insert the key: of those there is
    /// a bound, and a call that reaches it is admitted uncounted.
    #[cold]
    fn later_state(&self, found: &Found<'_>) -> Option<State> {
        if planted!(ContentionIsAnAttempt) {
            return None;
        }
        pause();
        // Acquire: the words that the state stands for were written before it.
        let state = found.slot.state.load(Ordering::Acquire);
        (state.is_value() && self.is_of_key(found)).then_some(state)
    }

    /// ABA: the slot was reused by a key with an equal state, which was charged. False when another call has changed it
    /// since.
    #[cold]
    fn roll_back(&self, found: &Found<'_>, charged: State) -> bool {
        found.slot.state.swap_if(charged, found.state).is_ok()
    }

    /// Looks at the value of a key that is in the table. `look` may be called for values that are no longer in their slot;
    /// what it answers for these is dropped.
    #[inline]
    pub(crate) fn look_at<R>(&self, key: KeyHash, look: impl Fn(&C, u64) -> R) -> Option<R> {
        let key = self.slots.candidates(key);
        let mut found = self.slots.find_likely(&key);
        loop {
            let seen = match found {
                Some(seen) => seen,
                None => self.slots.find(&key)?,
            };
            let result = look(&self.cell, seen.state.word());
            // A word of a later use was read: then the slot has changed, as in `Cell::read`.
            fence(Ordering::Acquire);
            if seen.slot.state.load(Ordering::Relaxed) == seen.state && self.is_of_key(&seen) {
                return Some(result);
            }
            pause();
            found = None;
        }
    }

    /// Frees the slot, if it still holds what was found.
    fn vacate(&self, found: &Found<'_>) -> bool {
        let Found { slot, tag, state } = *found;
        let free = State::free(tag.version().next());
        if self.replace(slot, state, free).is_err() {
            return false;
        }
        if slot.tag.load(Ordering::Acquire) != tag {
            if planted!(ResetKeepsPlace) {
                return true;
            }
            // Another thread has claimed the slot since, or it held another key with an equal state (ABA). That key is not put
            // back, as it may be in another slot by now; it counts as evicted.
            self.live_evictions.fetch_add(1, Ordering::Relaxed);
        }
        self.cell.release(state.word(), slot.index);
        self.bound.leave();
        true
    }

    /// Prefetches the memory in which the key is most likely found.
    #[inline]
    pub(crate) fn prefetch(&self, key: KeyHash) {
        self.slots.prefetch(&self.slots.candidates(key));
    }
}
