//! How many clients a small table holds at most.
//!
//! A large table holds who finds a slot, up to half as many again as it was made for: counting would make
//! newcomers of all threads write one word. A small one holds exactly `maxKeys`, as somebody who asks for ten
//! means ten.

use crossbeam_utils::CachePadded;

use crate::runtime::sync::{AtomicU64, Ordering};

/// The largest table that is small.
const SMALL: usize = 16_384;

pub(super) struct Bound {
    most: Option<u64>,
    /// Slots that are not free, those being claimed included.
    taken: CachePadded<AtomicU64>,
    /// The group at which the next search for somebody expired begins.
    hand: CachePadded<AtomicU64>,
}

impl Bound {
    pub(super) fn new(max_keys: usize) -> Self {
        Self::of((max_keys <= SMALL).then_some(max_keys as u64))
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

    /// Takes one of the places that are left, if there is one.
    pub(super) fn enter(&self) -> bool {
        let Some(most) = self.most else { return true };
        // SeqCst, as in `leave`: whoever finds the table full has seen all that was taken before.
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

    /// Where to look for somebody expired: `step` groups from here are the caller's.
    pub(super) fn advance(&self, step: usize, groups: usize) -> usize {
        // Relaxed: any place will do.
        (self.hand.fetch_add(step as u64, Ordering::Relaxed) % groups as u64) as usize
    }
}
