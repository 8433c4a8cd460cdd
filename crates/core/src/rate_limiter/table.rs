//! Where clients are: a bounded table without locks, shared by all threads.
//!
//! Each key may be in the slots of two groups (`slots`); a slot is a tag, which says whose it is, and a state.
//! A client that is there is judged and charged by one compare-and-swap of its state (`change`). A newcomer
//! claims a slot, makes sure that nobody else brings the same key in, and then turns the claim into its first
//! state (`claims`). Nothing sweeps: a client whose state has expired is the same as one never seen, and its
//! slot is given away when a newcomer needs one (`vacancy`).
//!
//! While a state is a value, its tag does not change: tags are written under a claim only, each with a version
//! that the slot has not had. A value equal to the one that was judged proves nothing, as clocks tick and two
//! clients may owe the same; so the tag is read again after each exchange.

mod block_ends;
mod bound;
mod claims;
#[cfg(all(test, sluice_loom))]
mod models;
mod pages;
#[cfg(all(test, sluice_shuttle))]
mod schedules;
mod slots;
#[cfg(all(test, any(sluice_loom, sluice_shuttle)))]
mod small;
#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;
mod vacancy;
mod word;

use std::io;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use self::block_ends::BlockEnds;
use self::bound::Bound;
use self::slots::{Candidates, Found, GROUP_SLOTS, Slots};
use self::word::State;
use super::cell::{Cell, Step};
use super::options::Overflow;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::memory::MemoryUse;
use crate::runtime::planted::planted;
use crate::runtime::sync::{AtomicU64, Ordering, full_barrier, pause};

/// Slots per client that the table is made for: two groups of eight, and the emptier one taken, hold them at
/// seven tenths full, in less than 24 bytes each. With as many clients as that, fewer than one newcomer in a thousand
/// pushes one out.
const SLOTS_PER_CLIENT: (usize, usize) = (10, 7);

pub(crate) struct Table<C> {
    slots: Slots,
    cell: C,
    block_ends: BlockEnds,
    bound: Bound,
    overflow: Overflow,
    /// The latest time at which somebody was forgotten as expired. Who comes after counts from here: a thread
    /// that read its clock earlier would otherwise find its client absent when it was not yet.
    watermark: CachePadded<AtomicU64>,
    live_evictions: CachePadded<AtomicU64>,
}

/// Bytes of a slot of a full table, beside those of its cell.
pub(crate) const SLOT_BYTES: usize = Slots::BYTES_EACH + BlockEnds::BYTES_EACH;

/// Slots of a table for so many clients, as far as they grow with them.
pub(crate) fn slots_for(clients: u64) -> u64 {
    let (most, of) = SLOTS_PER_CLIENT;
    (clients * most as u64).div_ceil(of as u64)
}

fn groups_for(max_keys: usize) -> usize {
    (slots_for(max_keys as u64) as usize).div_ceil(GROUP_SLOTS)
}

/// Why a newcomer has no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full {
    /// When the first of the clients looked at will have expired.
    pub(crate) earliest_vacancy: u64,
}

/// A client at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Client<W> {
    pub(crate) words: W,
    /// 0 where it never was blocked.
    pub(crate) blocked_until: u64,
}

impl<W> Client<W> {
    /// Nanoseconds until it is as if never seen, by its words and its block.
    pub(crate) fn lifetime(&self, now: u64, of_words: impl Fn(&W, u64) -> u64) -> u64 {
        of_words(&self.words, now).max(self.blocked_until.saturating_sub(now))
    }
}

impl<C: Cell> Table<C> {
    /// A table for `max_keys` clients; `cell` gets the number of slots. What is written to counts in `in_use`.
    pub(crate) fn new(
        max_keys: usize,
        overflow: Overflow,
        in_use: Arc<MemoryUse>,
        cell: impl FnOnce(usize) -> io::Result<C>,
    ) -> io::Result<Self> {
        Self::of_groups(groups_for(max_keys), Bound::new(max_keys), overflow, in_use, cell)
    }

    fn of_groups(
        groups: usize,
        bound: Bound,
        overflow: Overflow,
        in_use: Arc<MemoryUse>,
        cell: impl FnOnce(usize) -> io::Result<C>,
    ) -> io::Result<Self> {
        let slots = Slots::new(groups, Arc::clone(&in_use))?;
        Ok(Self {
            cell: cell(slots.count())?,
            block_ends: BlockEnds::new(slots.count(), in_use)?,
            bound,
            slots,
            overflow,
            watermark: CachePadded::default(),
            live_evictions: CachePadded::default(),
        })
    }

    /// Most clients it can hold.
    pub(crate) fn capacity(&self) -> usize {
        self.bound.most().unwrap_or(self.slots.count())
    }

    /// Judges the client, who is brought in where that writes anything. `decide` is given the client and the
    /// time to decide by: `now`, or a little later for a newcomer. `lifetime` tells for how long words matter.
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
        if let Some(found) = self.slots.find_elsewhere(key)
            && let Some(result) = self.change(found, |client| decide(client, self.counts_from(client, now)))
        {
            return Ok(result);
        }
        self.bring_in(key, now, None, &lifetime, &mut decide)
    }

    /// The time to judge a client by. One who was brought in but never charged is a newcomer still.
    #[inline]
    fn counts_from(&self, client: &Client<C::Words>, now: u64) -> u64 {
        let is_new = !planted!(HelpedInsertIgnoresWatermark) && client.words == C::Words::default();
        if is_new { self.newcomers_count_from(now) } else { now }
    }

    fn newcomers_count_from(&self, now: u64) -> u64 {
        // Acquire: whoever does not find its client because it has expired sees when.
        if planted!(InsertIgnoresWatermark) { now } else { now.max(self.watermark.load(Ordering::Acquire)) }
    }

    /// Judges the client where there is one.
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

    /// The client as it is now.
    pub(crate) fn get(&self, key: KeyHash) -> Option<Client<C::Words>> {
        self.update_existing(key, |client| Step::Keep(*client))
    }

    /// Blocks the client until `until`, or the end of a block that is longer.
    pub(crate) fn block(
        &self,
        key: KeyHash,
        until: u64,
        now: u64,
        lifetime: impl Fn(&C::Words, u64) -> u64,
    ) -> Result<(), Full> {
        let key = self.slots.candidates(key);
        while let Some(found) = self.slots.find(&key) {
            if self.extend_block(found, until) {
                return Ok(());
            }
        }
        self.bring_in(&key, now, Some(until), &lifetime, &mut |client, _| Step::Write(client.words, ()))
    }

    /// Forgets the client, its block too; what it was.
    pub(crate) fn reset(&self, key: KeyHash) -> Option<Client<C::Words>> {
        let key = self.slots.candidates(key);
        loop {
            let found = self.slots.find(&key)?;
            if let Some(client) = self.read(&found)
                && self.vacate(&found)
            {
                return Some(client);
            }
        }
    }

    /// Forgets every client, one after the other.
    pub(crate) fn clear(&self) {
        for found in self.occupied() {
            // A client whose state has just changed was there a moment later.
            self.vacate(&found);
        }
    }

    /// Forgets every client, and what was counted of them.
    pub(crate) fn reset_all(&self) {
        self.clear();
        self.watermark.store(0, Ordering::SeqCst);
        self.live_evictions.store(0, Ordering::Relaxed);
    }

    /// Changes the words of every client. Newcomers count from `latest` at the latest.
    pub(crate) fn adapt(&self, latest: u64, change: impl Fn(&C::Words) -> C::Words) {
        self.watermark.fetch_min(latest, Ordering::SeqCst);
        for mut found in self.occupied() {
            while found.state.is_value() && found.state != State::FRESH {
                let adapted = self.change(found, |client| match change(&client.words) {
                    words if words == client.words => Step::Keep(()),
                    words => Step::Write(words, ()),
                });
                if adapted.is_some() {
                    break;
                }
                found.tag = found.slot.tag.load(Ordering::SeqCst);
                found.state = found.slot.state.load(Ordering::SeqCst);
            }
        }
    }

    /// How many clients are not as if never seen, and how many of them are blocked. One pass over all.
    pub(crate) fn count(&self, now: u64, lifetime: impl Fn(&C::Words, u64) -> u64) -> (u64, u64) {
        let clients = self.occupied().filter_map(|found| self.read(&found));
        clients.fold((0, 0), |(live, blocked), client| {
            let is_live = client.lifetime(now, &lifetime) > 0;
            (live + u64::from(is_live), blocked + u64::from(client.blocked_until > now))
        })
    }

    pub(crate) fn live_evictions(&self) -> u64 {
        self.live_evictions.load(Ordering::Relaxed)
    }

    /// Every slot that holds a value.
    fn occupied(&self) -> impl Iterator<Item = Found<'_>> {
        let read =
            |slot: slots::Slot<'_>| (slot.tag.load(Ordering::SeqCst), slot.state.load(Ordering::SeqCst));
        self.slots.all().filter_map(move |slot| {
            let (tag, state) = read(slot);
            (state.is_value() && state != State::FRESH).then_some(Found { slot, tag, state })
        })
    }

    /// The client in a slot; `None` when the slot has changed since it was found.
    #[inline]
    fn read(&self, found: &Found<'_>) -> Option<Client<C::Words>> {
        let Found { slot, tag, state } = *found;
        let blocked_until = if state.has_block() { self.block_ends.get(slot, tag) } else { 0 };
        let words = self.cell.read(state.word());
        if C::READ_IS_UNSURE && !planted!(RecordNotChecked) && slot.state.load(Ordering::Relaxed) != state {
            return None;
        }
        // Relaxed: read after the state, whose load acquires. While the tag stands the state was this client's.
        let is_same = planted!(ReadIgnoresTag) || slot.tag.load(Ordering::Relaxed) == tag;
        is_same.then_some(Client { words, blocked_until })
    }

    /// Judges the client in a slot and writes what comes of it; `None` when the slot is no longer the client's.
    /// Repeats only when another thread's change came between.
    #[inline]
    fn change<R>(
        &self,
        mut found: Found<'_>,
        mut decide: impl FnMut(&Client<C::Words>) -> Step<C::Words, R>,
    ) -> Option<R> {
        loop {
            let (words, result) = match decide(&self.read(&found)?) {
                Step::Keep(result) => return Some(result),
                Step::Write(words, result) => (words, result),
            };
            let slot = found.slot;
            let value = self.cell.keep(&words, slot.index)?;
            let has_block = found.state.has_block() && !planted!(ChargeClearsBlock);
            match slot.state.swap_if(found.state, State::value(value, has_block)) {
                Ok(()) if planted!(ChargeIgnoresTag) || slot.tag.load(Ordering::Relaxed) == found.tag => {
                    self.cell.release(found.state.word(), slot.index);
                    return Some(result);
                }
                Ok(()) => {
                    // A stranger who owes the same has moved in, and was charged. Undone, if nobody has judged it.
                    let charged = State::value(value, found.state.has_block());
                    let undone = slot.state.swap_if(charged, found.state).is_ok();
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

    /// False when the slot is no longer the client's.
    fn extend_block(&self, found: Found<'_>, until: u64) -> bool {
        let Found { slot, tag, .. } = found;
        if !self.block_ends.extend(slot, tag, until) {
            return false;
        }
        // The end before the look at the mark: `unmark` does it the other way round.
        full_barrier();
        let state = if planted!(BlockIgnoresMark) { found.state } else { slot.state.load(Ordering::SeqCst) };
        Self::mark(slot, state) && slot.tag.load(Ordering::Acquire) == tag
    }

    /// Says of the client in the slot that it has been blocked; false when there is none. Of a stranger it says
    /// nothing: an end of his own is missing. A charge leaves the mark, whenever the block ends: one that judged
    /// an ended block must not take the mark of a new one away.
    fn mark(slot: slots::Slot<'_>, mut state: State) -> bool {
        while state.is_value() && !state.has_block() {
            match slot.state.swap_if(state, state.with_block()) {
                Ok(()) => return true,
                Err(current) => state = current,
            }
        }
        state.is_value()
    }

    /// Before the slot of a client whose block has ended is taken: its state without the mark; `None` when it
    /// has changed, or the client was blocked anew. Extending an ended block changes no state that is marked
    /// already, so only who takes the mark away first cannot overlook it.
    fn unmark(&self, found: &Found<'_>, now: u64) -> Option<State> {
        let Found { slot, tag, state } = *found;
        if !state.is_value() || !state.has_block() {
            return Some(state);
        }
        let unmarked = state.without_block();
        slot.state.swap_if(state, unmarked).ok()?;
        full_barrier();
        let has_ended = planted!(EvictionIgnoresBlock) || self.block_ends.get(slot, tag) <= now;
        if has_ended && slot.tag.load(Ordering::Acquire) == tag {
            return Some(unmarked);
        }
        Self::mark(slot, unmarked);
        None
    }

    /// Makes the slot free, if it still holds what was found.
    fn vacate(&self, found: &Found<'_>) -> bool {
        let Found { slot, tag, state } = *found;
        let free = State::free(tag.version().next());
        if slot.state.swap_if(state, free).is_err() {
            return false;
        }
        if slot.tag.load(Ordering::Acquire) != tag {
            if planted!(ResetKeepsPlace) {
                return true;
            }
            // Either somebody has claimed the slot since, or it was a stranger who owes the same. Not to be put
            // back, as he may be in another slot by now: counted as one who was pushed out.
            self.live_evictions.fetch_add(1, Ordering::Relaxed);
        }
        self.cell.release(state.word(), slot.index);
        self.bound.leave();
        true
    }

    /// Asks for the memory where the client is likely to be found.
    #[inline]
    pub(crate) fn prefetch(&self, key: KeyHash) {
        self.slots.prefetch(&self.slots.candidates(key));
    }
}
