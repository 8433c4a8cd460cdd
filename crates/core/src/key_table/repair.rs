//! What a killed process leaves in a table that it shared, as far as no call mends it on its way.

use super::Table;
use super::claims::Claim;
use super::slots::Slot;
use super::word::{Kind, Tag};
use crate::key_table::cell::Cell;
use crate::runtime::planted::planted;
use crate::runtime::sync::Ordering;

impl<C: Cell> Table<C> {
    /// Cancels claims, and puts blocks into force whose mark is missing. A claim holds no charge, and a block that ends
    /// after `now` and is of the key in its slot was wanted by a caller, so both are safe beside calls, and twice. How many
    /// claims and blocks it found.
    pub(crate) fn repair(&self, now: u64) -> (u64, u64) {
        self.slots.all().fold((0, 0), |(claims, blocks), slot| {
            let tag = slot.tag.load(Ordering::SeqCst);
            match slot.state.load(Ordering::SeqCst).kind() {
                Kind::Claim(tag) => (claims + u64::from(self.cancel(&Claim { slot, tag })), blocks),
                Kind::Value => (claims, blocks + u64::from(self.mark_again(slot, tag, now))),
                Kind::Free(_) => (claims, blocks),
            }
        })
    }

    /// `unmark` takes the mark away before it reads the end, and a block writes the end before the mark: a process that is
    /// killed in between leaves the end without it.
    fn mark_again(&self, slot: Slot<'_>, tag: Tag, now: u64) -> bool {
        if planted!(BlockNotRepaired) || self.block_ends.get(slot, tag) <= now {
            return false;
        }
        // Read after the end. An end without a mark was left by a process that died, or is of a call that sets the mark next.
        let state = slot.state.load(Ordering::SeqCst);
        if state.has_block() || !state.is_value() || slot.tag.load(Ordering::SeqCst) != tag {
            return false;
        }
        Self::mark(slot, state)
    }
}
