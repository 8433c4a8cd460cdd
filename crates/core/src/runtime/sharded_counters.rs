//! Counters that many threads raise and few read.

use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use crate::runtime::arena::Arena;
use crate::runtime::region::{CounterLine, Region};

const STRIPES: usize = 32;
/// Counters of a cache line.
const LINE: usize = 8;

/// Something that counts events by number.
pub(crate) trait Count {
    /// One more of a kind.
    fn count(&self, counter: usize);
}

/// `N` counters, striped so that threads seldom write the same cache line. Sums are exact once the
/// counting threads have been synchronised with; while they run, a sum may be a moment old.
#[derive(Debug)]
pub(crate) struct ShardedCounters<const N: usize>(Stripes<N>);

#[derive(Debug)]
enum Stripes<const N: usize> {
    OfProcess(Box<[CachePadded<[AtomicU64; N]>]>),
    Shared(Region<CounterLine>),
}

impl<const N: usize> ShardedCounters<N> {
    pub(crate) fn new() -> Self {
        let stripe = || CachePadded::new(std::array::from_fn(|_| AtomicU64::new(0)));
        Self(Stripes::OfProcess((0..STRIPES).map(|_| stripe()).collect()))
    }

    /// Counters that all processes raise which share the memory.
    pub(crate) fn in_arena(arena: &Arena) -> io::Result<Self> {
        let lines = STRIPES * Self::LINES;
        Ok(if arena.is_shared() { Self(Stripes::Shared(arena.region(lines)?)) } else { Self::new() })
    }

    /// Cache lines of a shared stripe.
    const LINES: usize = N.div_ceil(LINE);

    #[inline]
    fn counter(&self, stripe: usize, counter: usize) -> &AtomicU64 {
        match &self.0 {
            Stripes::OfProcess(stripes) => &stripes[stripe][counter],
            Stripes::Shared(lines) => &lines[stripe * Self::LINES + counter / LINE].0[counter % LINE],
        }
    }

    pub(crate) fn add(&self, counter: usize, n: u64) {
        // Relaxed: statistics only, publishes nothing.
        self.counter(stripe_of_this_thread(), counter).fetch_add(n, Ordering::Relaxed);
    }

    /// Begins anew. What other threads count meanwhile may be lost.
    pub(crate) fn reset(&self) {
        for (stripe, counter) in (0..STRIPES).flat_map(|stripe| (0..N).map(move |counter| (stripe, counter)))
        {
            self.counter(stripe, counter).store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn sum(&self, counter: usize) -> u64 {
        let counts = (0..STRIPES).map(|stripe| self.counter(stripe, counter).load(Ordering::Relaxed));
        counts.fold(0, u64::wrapping_add)
    }
}

impl<const N: usize> Count for ShardedCounters<N> {
    fn count(&self, counter: usize) {
        self.add(counter, 1);
    }
}

fn stripe_of_this_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: usize = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
    }
    // A thread past its destructors still counts, in the first stripe.
    STRIPE.try_with(|stripe| *stripe).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_every_addition_of_every_thread() {
        let counters = ShardedCounters::<2>::new();
        std::thread::scope(|scope| {
            for _ in 0..40 {
                scope.spawn(|| (0..1_000).for_each(|_| counters.add(1, 1)));
            }
        });
        assert_eq!((counters.sum(0), counters.sum(1)), (0, 40_000));
    }
}
