//! What a thread keeps at hand of a limiter that it calls often.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use super::calls::COUNTERS;
use super::config::RateLimiterConfig;
use super::config_epoch::ConfigEpoch;
use super::decision::Decision;
use super::limiter::{Contents, InForce, RateLimiter, check_cost};
use crate::Result;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::retire::Handle;
use crate::runtime::sharded_counters::Count;

/// Keys whose memory is asked for at once: as many as a core waits for at a time, and some more.
const PREFETCHED: usize = 32;

/// One thread's place at a limiter: the options in force, and counters that no other thread writes. Calls are
/// those of the limiter, and cost less. It keeps no client's memory once the limiter is closed.
pub struct LocalHandle {
    limiter: Arc<RateLimiter>,
    contents: Handle<Contents>,
    config: Arc<RateLimiterConfig>,
    epoch: ConfigEpoch,
    counts: Arc<LocalCounts>,
}

/// Counters that one thread writes and others read.
#[derive(Debug, Default)]
struct LocalCounts(CachePadded<[AtomicU64; COUNTERS]>);

/// The counters of all locals that are taken, and the sums of those that were left.
#[derive(Debug, Default)]
pub(super) struct LocalHandles(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    locals: Vec<Arc<LocalCounts>>,
    left: [u64; COUNTERS],
}

impl Count for LocalCounts {
    #[inline]
    fn count(&self, counter: usize) {
        let counter = &self.0[counter];
        // Relaxed: a local is one thread's, so nobody writes in between; nothing is published.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }
}

impl LocalCounts {
    fn get(&self, counter: usize) -> u64 {
        self.0[counter].load(Ordering::Relaxed)
    }
}

impl LocalHandles {
    pub(super) fn sum(&self, counter: usize) -> u64 {
        let taken = self.0.lock();
        let counted = taken.locals.iter().map(|local| local.get(counter)).sum::<u64>();
        taken.left[counter].wrapping_add(counted)
    }

    /// Counts from now on: locals go on, as only their threads write them.
    pub(super) fn reset(&self) {
        let mut taken = self.0.lock();
        for counter in 0..COUNTERS {
            let counted = taken.locals.iter().map(|local| local.get(counter)).sum::<u64>();
            taken.left[counter] = 0_u64.wrapping_sub(counted);
        }
    }

    fn take(&self) -> Arc<LocalCounts> {
        let counts = Arc::new(LocalCounts::default());
        self.0.lock().locals.push(Arc::clone(&counts));
        counts
    }

    fn leave(&self, counts: &Arc<LocalCounts>) {
        let mut taken = self.0.lock();
        taken.locals.retain(|local| !Arc::ptr_eq(local, counts));
        for (counter, sum) in taken.left.iter_mut().enumerate() {
            *sum = sum.wrapping_add(counts.get(counter));
        }
    }
}

impl LocalHandle {
    /// A local for the calling thread.
    #[must_use]
    pub fn new(limiter: Arc<RateLimiter>) -> Self {
        // The epoch first: options that come later are noticed by the next call.
        let epoch = limiter.epoch();
        let (config, counts, contents) = (limiter.config(), limiter.locals().take(), limiter.handle());
        Self { epoch, config, counts, contents, limiter }
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
    fn call<R>(&mut self, body: impl FnOnce(&RateLimiter, InForce<'_>, &LocalCounts) -> R) -> Result<R> {
        self.keep_up()?;
        let Some(contents) = self.contents.enter() else { return Err(self.limiter.closed()) };
        let in_force = InForce { config: &self.config, epoch: self.epoch, contents: &contents };
        Ok(body(&self.limiter, in_force, &self.counts))
    }

    #[inline]
    fn keep_up(&mut self) -> Result<()> {
        if self.limiter.epoch() == self.epoch { Ok(()) } else { self.catch_up() }
    }

    #[cold]
    fn catch_up(&mut self) -> Result<()> {
        self.follow();
        self.epoch = self.limiter.check_open()?;
        self.config = self.limiter.config();
        Ok(())
    }
}

impl Drop for LocalHandle {
    fn drop(&mut self) {
        self.limiter.locals().leave(&self.counts);
    }
}

impl fmt::Debug for LocalHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHandle").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}
