//! How many keys a small table holds at most.
//!
//! A large table holds every key that finds a slot, so up to 10/7 of `maxKeys` and the slots of its near part: with a
//! count, new keys of all threads would write one word. A small table holds exactly `maxKeys`.
//!
//! A table that processes share has no count either: a process that is killed between the count and the slot would take
//! a place for good.

use crossbeam_utils::CachePadded;

use crate::runtime::sync::{AtomicU64, Ordering};

/// The largest table that is small.
const SMALL: usize = 16_384;

pub(super) struct Bound {
    most: Option<u64>,
    /// Slots that are not free, claimed ones included.
    taken: CachePadded<AtomicU64>,
    /// The line at which the next search for an expired key starts.
    hand: CachePadded<AtomicU64>,
}

impl Bound {
    pub(super) fn new(max_keys: usize) -> Self {
        Self::of((max_keys <= SMALL).then_some(max_keys as u64))
    }

    /// For tables that hold every key that finds a slot.
    pub(super) fn none() -> Self {
        Self::of(None)
    }

    pub(super) fn of(most: Option<u64>) -> Self {
        Self { most, taken: CachePadded::default(), hand: CachePadded::default() }
    }

    #[cfg(all(test, any(sluice_loom, sluice_shuttle)))]
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::SeqCst)
    }

    pub(super) fn most(&self) -> Option<usize> {
        self.most.map(|most| most as usize)
    }

    /// Whether a place is left at the moment.
    pub(super) fn has_room(&self) -> bool {
        // Relaxed: `enter` decides.
        self.most.is_none_or(|most| self.taken.load(Ordering::Relaxed) < most)
    }

    /// Takes a place, if one is left.
    pub(super) fn enter(&self) -> bool {
        let Some(most) = self.most else { return true };
        // SeqCst, as in `leave`: a thread that finds the table full sees every slot that was taken before.
        let entered = self
            .taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| (taken < most).then_some(taken + 1));
        entered.is_ok()
    }

    pub(super) fn leave(&self) {
        if self.most.is_some() {
            self.taken.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// Where to search for an expired key: the caller gets `step` lines from here.
    pub(super) fn advance(&self, step: usize, lines: usize) -> usize {
        // Relaxed: any line will do.
        (self.hand.fetch_add(step as u64, Ordering::Relaxed) % lines as u64) as usize
    }
}
