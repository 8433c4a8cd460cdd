//! A thread's own handle to what its process holds.

use std::hash::Hash;
use std::sync::Arc;

use super::book::Leases;
use super::cell::Taken;
use super::table::HeldEach;
use crate::rate_limiter::CallCounter;
use crate::runtime::key_hash::KeyHash;

/// One thread's handle to what its process holds of a limiter's clients, with counters that no other thread writes.
#[derive(Debug)]
pub struct LocalLease<N> {
    leases: Arc<Leases<N>>,
    counter: CallCounter,
}

impl<N: Clone + Eq + Hash> LocalLease<N> {
    /// A handle for the calling thread. `counter` is of the limiter by whose options `leases` were made, and was there before
    /// these options were read: later ones are noticed.
    #[must_use]
    pub fn new(counter: CallCounter, leases: Arc<Leases<N>>) -> Self {
        Self { leases, counter }
    }

    /// Whether the limiter has other options, or ended, since this was made.
    #[inline]
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        !self.counter.is_current()
    }

    /// Spends units of a client, if they are held, and counts a call that they admit. Of several limits, leaves in `rests`
    /// what is held of each afterwards.
    #[inline]
    pub fn take(&self, key: KeyHash, cost: u64, now: u64, rests: &mut HeldEach) -> Taken {
        let taken = self.leases.take(key, cost, now, rests);
        if matches!(taken, Taken::Admitted { .. }) {
            self.counter.count_admitted();
        }
        taken
    }

    /// As [`take`](Self::take), where that admits the call and there is nothing else to do. Else false, and nothing was done.
    #[inline]
    #[must_use]
    pub fn take_at_once(&self, key: KeyHash, cost: u64, now: u64) -> bool {
        let is_taken = self.leases.take_at_once(key, cost, now);
        if is_taken {
            self.counter.count_admitted();
        }
        is_taken
    }

    /// Counts a call that was refused; true where a dry run admits it all the same.
    pub fn count_refused(&self) -> bool {
        self.counter.count_refused()
    }
}
