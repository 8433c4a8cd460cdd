//! Holds: a key whose words are those of a time to come, so that nothing may charge it before.
//!
//! A hold is a block whose end its owner may also bring forward. The owner changes the words of the key only while it is
//! held: it extends the hold, exchanges the words, and sets the end exactly. So no call decides by words of the future,
//! and a call that was decided by the words before finds them changed. Owners of one key take turns, by a lock of theirs.

use super::Table;
use super::cell::Cell;
use super::slots::{Found, Slot};
use super::word::{State, Tag};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;
use crate::runtime::sync::{Ordering, full_barrier, pause};

/// A change of a key that is held, or is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold<W> {
    /// The words that it was decided by.
    pub(crate) expected: W,
    pub(crate) words: W,
    /// When the key's block or hold ended before.
    pub(crate) from: u64,
    /// When the hold ends, rounded up to 1/64 ms.
    pub(crate) until: u64,
}

impl<C: Cell> Table<C> {
    /// Changes the words of a key together with its hold. False, and nothing is changed, where the key has other words than
    /// expected.
    pub(crate) fn hold(&self, key: KeyHash, hold: &Hold<C::Words>) -> bool {
        let key = self.slots.candidates(key);
        let longest = hold.from.max(hold.until);
        let mut extended: Option<(Slot<'_>, Tag)> = None;
        let is_done = loop {
            let Some(found) = self.slots.find(&key) else { break false };
            let Some(client) = self.read(&found) else {
                pause();
                continue;
            };
            if client.words != hold.expected {
                break false;
            }
            if extended.is_none() && longest > hold.from && !planted!(ExchangedBeforeHeld) {
                if !self.block_ends.set(found.slot, found.tag, longest) {
                    continue;
                }
                extended = Some((found.slot, found.tag));
                // The end before the mark, as for a block.
                full_barrier();
            }
            if self.exchange(&found, hold) {
                self.block_ends.set(found.slot, found.tag, hold.until);
                break true;
            }
            pause();
        };
        if let (false, Some((slot, tag))) = (is_done, extended) {
            self.block_ends.set(slot, tag, hold.from);
        }
        is_done
    }

    /// Exchanges the words of a key that was read as expected, and marks it as blocked. False where another change came
    /// between.
    fn exchange(&self, found: &Found<'_>, hold: &Hold<C::Words>) -> bool {
        let Found { slot, state, .. } = *found;
        let marked = state.with_block();
        if state != marked && slot.state.swap_if(state, marked).is_err() {
            return false;
        }
        if hold.words == hold.expected {
            return self.is_of_key(found);
        }
        let Some(value) = self.keep(&hold.words, slot) else { return false };
        let held = State::value(value, true);
        if self.replace(slot, marked, held).is_err() {
            self.cell.release(value, slot.index);
            return false;
        }
        if self.is_of_key(found) {
            self.cell.release(marked.word(), slot.index);
            return true;
        }
        // ABA: the slot was reused by a key with an equal state.
        let undone = slot.state.swap_if(held, marked).is_ok();
        self.cell.release(if undone { value } else { marked.word() }, slot.index);
        false
    }

    /// Makes a key ordinary again whose hold has ended: the next call need not look for a block.
    pub(crate) fn end_hold(&self, key: KeyHash, now: u64) {
        if let Some(found) = self.slots.find(&self.slots.candidates(key)) {
            self.unmark(&found, now);
        }
    }

    /// The place of a key among the slots.
    pub(crate) fn place_of(&self, key: KeyHash) -> Option<usize> {
        let found = self.slots.find(&self.slots.candidates(key))?;
        // Acquire: as in `read`.
        found.slot.state.load(Ordering::Acquire).is_value().then_some(found.slot.index)
    }
}
