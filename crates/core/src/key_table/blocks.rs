//! Blocks: a mark in the state of a key, and an end beside the slots.

use super::slots::{Found, Slot};
use super::word::State;
use super::{Full, Table};
use crate::key_table::cell::{Cell, Step};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;
use crate::runtime::sync::{Ordering, full_barrier};

impl<C: Cell> Table<C> {
    /// Blocks a key until `until`, or until the end of a longer block.
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
        self.insert(&key, now, Some(until), &lifetime, &mut |client, _| Step::Write(client.words, ()))
    }

    /// False when the slot no longer belongs to the key.
    pub(super) fn extend_block(&self, found: Found<'_>, until: u64) -> bool {
        let Found { slot, tag, .. } = found;
        if !self.block_ends.extend(slot, tag, until) {
            return false;
        }
        // The end is written before the mark is read: `unmark` does it the other way round.
        full_barrier();
        let state = if planted!(BlockIgnoresMark) { found.state } else { slot.state.load(Ordering::SeqCst) };
        Self::mark(slot, state) && slot.tag.load(Ordering::Acquire) == tag
    }

    /// Marks the key in a slot as blocked; false when there is none. On another key that reused the slot the mark is
    /// harmless, as that key has no end of a block. A charge keeps the mark even after the block has ended: a call that saw
    /// the ended block must not clear the mark of a new one.
    pub(super) fn mark(slot: Slot<'_>, mut state: State) -> bool {
        while state.is_value() && !state.has_block() {
            match slot.state.swap_if(state, state.with_block()) {
                Ok(()) => return true,
                Err(current) => state = current,
            }
        }
        state.is_value()
    }

    /// Clears the mark before the slot of a key whose block has ended is taken; returns the state without it. `None` when the
    /// state has changed, or the key was blocked again. Extending an ended block does not change a state that is marked
    /// already, so the mark is cleared first and the end is read afterwards.
    pub(super) fn unmark(&self, found: &Found<'_>, now: u64) -> Option<State> {
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
}
