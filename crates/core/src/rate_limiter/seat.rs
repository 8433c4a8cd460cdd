//! What a thread keeps at hand of a limiter that it calls often.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::calls::COUNTERS;
use super::decision::Decision;
use super::limiter::{Contents, InForce, RateLimiter, check_cost};
use super::options::RateLimiterConfig;
use super::phase::Phase;
use crate::Result;
use crate::key_hash::KeyHash;
use crate::retire::Handle;
use crate::tally::Count;

/// Keys whose memory is asked for at once: as many as a core waits for at a time, and some more.
const PREFETCHED: usize = 32;

/// One thread's place at a limiter: the options in force, and counters that no other thread writes. Calls are
/// those of the limiter, and cost less. It keeps no client's memory once the limiter is closed.
pub struct Seat {
    limiter: Arc<RateLimiter>,
    contents: Handle<Contents>,
    config: Arc<RateLimiterConfig>,
    phase: Phase,
    counts: Arc<SeatCounts>,
}

/// Counters that one thread writes and others read.
#[derive(Debug, Default)]
struct SeatCounts(CachePadded<[AtomicU64; COUNTERS]>);

/// The counters of all seats that are taken, and the sums of those that were left.
#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    seats: Vec<Arc<SeatCounts>>,
    left: [u64; COUNTERS],
}

impl Count for SeatCounts {
    #[inline]
    fn count(&self, counter: usize) {
        let counter = &self.0[counter];
        // Relaxed: a seat is one thread's, so nobody writes in between; nothing is published.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl SeatCounts {
    fn get(&self, counter: usize) -> u64 {
        self.0[counter].load(Ordering::Relaxed)
    }
}

impl Seats {
    pub(super) fn sum(&self, counter: usize) -> u64 {
        let taken = self.0.lock();
        let counted = taken.seats.iter().map(|seat| seat.get(counter)).sum::<u64>();
        taken.left[counter].wrapping_add(counted)
    }

    /// Counts from now on: seats go on, as only their threads write them.
    pub(super) fn reset(&self) {
        let mut taken = self.0.lock();
        for counter in 0..COUNTERS {
            let counted = taken.seats.iter().map(|seat| seat.get(counter)).sum::<u64>();
            taken.left[counter] = 0_u64.wrapping_sub(counted);
        }
    }

    fn take(&self) -> Arc<SeatCounts> {
        let counts = Arc::new(SeatCounts::default());
        self.0.lock().seats.push(Arc::clone(&counts));
        counts
    }

    fn leave(&self, counts: &Arc<SeatCounts>) {
        let mut taken = self.0.lock();
        taken.seats.retain(|seat| !Arc::ptr_eq(seat, counts));
        for (counter, sum) in taken.left.iter_mut().enumerate() {
            *sum = sum.wrapping_add(counts.get(counter));
        }
    }
}

impl Seat {
    /// A seat for the calling thread.
    #[must_use]
    pub fn new(limiter: Arc<RateLimiter>) -> Self {
        // The phase first: options that come later are noticed by the next call.
        let phase = limiter.phase();
        let (config, counts, contents) = (limiter.config(), limiter.seats().take(), limiter.handle());
        Self { phase, config, counts, contents, limiter }
    }

    /// The limiter, for calls that are not made for every request.
    #[must_use]
    pub fn limiter(&self) -> &Arc<RateLimiter> {
        &self.limiter
    }

    /// As [`RateLimiter::try_consume`].
    #[inline]
    pub fn try_consume(&mut self, key: KeyHash, cost: u64, now: u64) -> Result<bool> {
        check_cost(cost)?;
        self.call(|limiter, in_force, counts| limiter.try_consume_by(in_force, counts, key, cost, now))
    }

    /// As [`RateLimiter::consume`]. Inlined, so that what of the decision is not told is not computed.
    #[inline(always)]
    pub fn consume(&mut self, key: KeyHash, cost: u64, now: u64) -> Result<Decision> {
        check_cost(cost)?;
        self.call(|limiter, in_force, counts| limiter.consume_by(in_force, counts, key, cost, now))
    }

    /// As [`RateLimiter::consume_with_limit`].
    pub fn consume_with_limit(&mut self, key: KeyHash, cost: u64, limit: u64, now: u64) -> Result<Decision> {
        check_cost(cost)?;
        let charge = (cost, limit);
        self.call(|limiter, in_force, counts| {
            limiter.consume_with_limit_by(in_force, counts, key, charge, now)
        })?
    }

    /// As [`RateLimiter::peek`].
    pub fn peek(&mut self, key: KeyHash, now: u64) -> Result<Decision> {
        self.call(|limiter, in_force, _| limiter.peek_by(in_force, key, now))
    }

    /// [`try_consume`](Self::try_consume) for each key, whose answers go to `told`. The look-ups wait for memory
    /// together.
    pub fn try_consume_many(
        &mut self,
        keys: &[KeyHash],
        cost: u64,
        now: u64,
        mut told: impl FnMut(bool),
    ) -> Result<()> {
        for batch in keys.chunks(PREFETCHED) {
            self.call(|_, in_force, _| batch.iter().for_each(|key| in_force.contents.prefetch(*key)))?;
            for key in batch {
                told(self.try_consume(*key, cost, now)?);
            }
        }
        Ok(())
    }

    /// Takes a place at the limiter that has replaced this one, if any has.
    pub fn follow(&mut self) {
        while let Some(successor) = self.limiter.successor() {
            *self = Self::new(Arc::clone(successor));
        }
    }

    #[inline(always)]
    fn call<R>(&mut self, body: impl FnOnce(&RateLimiter, InForce<'_>, &SeatCounts) -> R) -> Result<R> {
        self.keep_up()?;
        let Some(contents) = self.contents.enter() else { return Err(self.limiter.closed()) };
        let in_force = InForce { config: &self.config, phase: self.phase, contents: &contents };
        Ok(body(&self.limiter, in_force, &self.counts))
    }

    #[inline]
    fn keep_up(&mut self) -> Result<()> {
        if self.limiter.phase() == self.phase { Ok(()) } else { self.catch_up() }
    }

    #[cold]
    fn catch_up(&mut self) -> Result<()> {
        self.follow();
        self.phase = self.limiter.check_open()?;
        self.config = self.limiter.config();
        Ok(())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.limiter.seats().leave(&self.counts);
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}
