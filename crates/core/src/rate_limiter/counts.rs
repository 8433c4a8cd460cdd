//! Counters of calls: each thread-local handle has its own, and calls without a handle share some.

use crate::key_table::Overflow;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::config::RateLimiterConfig;
use crate::machine::{Processes, Seat, Seats};
use crate::runtime::arena::Arena;
use crate::runtime::region::{CounterLine, Pinned};
use crate::runtime::sharded_counters::Count;

/// Sums over all threads since creation, and the state of the table now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimiterStats {
    /// Calls admitted.
    pub allowed: u64,
    /// Calls refused.
    pub refused: u64,
    /// Calls that `dryRun` admitted and a live limiter would have refused.
    pub dry_refused: u64,
    /// Calls that found no slot: admitted uncounted, refused, or a block that was not kept.
    pub untracked: u64,
    /// Keys evicted while their state still mattered.
    pub live_evictions: u64,
    /// Keys blocked now.
    pub blocked: u64,
    /// Keys whose next call would be refused, by their quota or a block: an estimate, at most a second old.
    pub refusing: u64,
    /// Calls that wait now.
    pub waiting: u64,
    /// Calls that waited and were charged.
    pub waited: u64,
    /// Keys below their full quota, or blocked, now.
    pub size: u64,
    /// Most keys held at once.
    pub capacity: u64,
}

pub(super) const ALLOWED: usize = 0;
pub(super) const REFUSED: usize = 1;
pub(super) const DRY_REFUSED: usize = 2;
pub(super) const UNTRACKED: usize = 3;
pub(super) const COUNTERS: usize = 4;

/// Counts a call that found the table full; true when it is refused.
pub(super) fn overflow_refuses(config: &RateLimiterConfig, counts: &impl Count) -> bool {
    counts.count(UNTRACKED);
    config.options.overflow == Overflow::Deny
}

/// Counts a call; true when it is admitted.
#[inline]
pub(super) fn count(refused: bool, config: &RateLimiterConfig, counts: &impl Count) -> bool {
    let counter = match (refused, config.options.dry_run) {
        (false, _) => ALLOWED,
        (true, false) => REFUSED,
        (true, true) => DRY_REFUSED,
    };
    counts.count(counter);
    counter != REFUSED
}

/// Counters that one thread writes and others read.
pub(super) struct LocalCounts {
    counters: Pinned<CounterLine>,
    /// Where processes share the counters.
    seat: Option<Seat>,
}

const _: () = assert!(COUNTERS <= size_of::<CounterLine>() / size_of::<AtomicU64>());

impl Count for LocalCounts {
    #[inline]
    fn count(&self, counter: usize) {
        let counter = &self.counters.0[counter];
        // Relaxed: only one thread writes it, and nothing is published. Another process may have left any number.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }
}

/// The counters of all thread-local handles, and the sums of those that were dropped.
#[derive(Default)]
pub(super) struct CountsOfHandles {
    registered: Mutex<Registered>,
    /// Where processes share the limiter. A handle that finds no seat is counted in its process only.
    seats: Option<Seats>,
}

#[derive(Default)]
struct Registered {
    handles: Vec<Pinned<CounterLine>>,
    dropped: [u64; COUNTERS],
}

impl Registered {
    fn sum_of_handles(&self, counter: usize) -> u64 {
        let counts = self.handles.iter().map(|counters| read(counters, counter));
        counts.fold(0, u64::wrapping_add)
    }
}

fn read(counters: &CounterLine, counter: usize) -> u64 {
    counters.0[counter].load(Ordering::Relaxed)
}

impl CountsOfHandles {
    pub(super) fn shared(arena: &Arena, processes: Arc<Processes>) -> io::Result<Self> {
        Ok(Self { seats: Some(Seats::new(arena, processes)?), ..Self::default() })
    }

    /// Counters for a new handle.
    pub(super) fn register(&self) -> LocalCounts {
        if let Some(seat) = self.seats.as_ref().and_then(Seats::take) {
            return LocalCounts { counters: seat.counters.clone(), seat: Some(seat) };
        }
        let counters = Pinned::<CounterLine>::of_process();
        self.registered.lock().handles.push(counters.clone());
        LocalCounts { counters, seat: None }
    }

    /// Keeps the sums of a handle that is dropped.
    pub(super) fn unregister(&self, counts: &LocalCounts) {
        if let (Some(seats), Some(seat)) = (&self.seats, &counts.seat) {
            return seats.leave(seat);
        }
        let mut registered = self.registered.lock();
        registered.handles.retain(|known| !known.is(&counts.counters));
        for (counter, sum) in registered.dropped.iter_mut().enumerate() {
            *sum = sum.wrapping_add(read(&counts.counters, counter));
        }
    }

    pub(super) fn sum(&self, counter: usize) -> u64 {
        let of_seats = self.seats.as_ref().map_or(0, |seats| seats.sum(counter));
        let registered = self.registered.lock();
        let of_handles = registered.dropped[counter].wrapping_add(registered.sum_of_handles(counter));
        of_seats.wrapping_add(of_handles)
    }

    /// Sums start at 0 again. Only their threads write the counters of handles, so those keep their values and are
    /// subtracted. Counters that processes share go on.
    pub(super) fn reset(&self) {
        let mut registered = self.registered.lock();
        for counter in 0..COUNTERS {
            registered.dropped[counter] = 0_u64.wrapping_sub(registered.sum_of_handles(counter));
        }
    }
}
