//! How long something took, counted in buckets by all threads.

use std::sync::OnceLock;

use crate::runtime::sharded_counters::ShardedCounters;

/// The buckets of every histogram: their upper bounds in nanoseconds, each of which belongs to its bucket. From 100 ns, as a
/// decision of this process takes, to 10 s.
pub const BOUNDS: [u64; 25] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// One bucket more than there are bounds, for what took longer than the last.
pub const BUCKETS: usize = BOUNDS.len() + 1;

/// The counter after the buckets: the sum of all times.
const SUM: usize = BUCKETS;

/// A histogram of times. It allocates nothing before the first.
#[derive(Debug, Default)]
pub struct LatencyHistogram(OnceLock<ShardedCounters<{ BUCKETS + 1 }>>);

/// What a histogram has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyCounts {
    /// How many times fell into each bucket; not cumulative.
    pub buckets: [u64; BUCKETS],
    /// The sum of the times, in nanoseconds.
    pub sum: u64,
}

impl LatencyHistogram {
    /// A histogram of nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// Adds a time, in nanoseconds.
    pub fn add(&self, nanos: u64) {
        let counters = self.0.get_or_init(ShardedCounters::new);
        counters.add(BOUNDS.partition_point(|bound| *bound < nanos), 1);
        counters.add(SUM, nanos);
    }

    /// What all threads have added; `None` before the first time.
    #[must_use]
    pub fn counts(&self) -> Option<LatencyCounts> {
        let counters = self.0.get()?;
        Some(LatencyCounts {
            buckets: std::array::from_fn(|bucket| counters.sum(bucket)),
            sum: counters.sum(SUM),
        })
    }

    /// Begins anew.
    pub fn reset(&self) {
        if let Some(counters) = self.0.get() {
            counters.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_the_bucket_whose_bound_it_does_not_exceed() {
        let histogram = LatencyHistogram::new();
        assert_eq!(histogram.counts(), None);
        for nanos in [0, 100, 101, 1_000, 10_000_000_000, 10_000_000_001] {
            histogram.add(nanos);
        }
        let LatencyCounts { buckets, sum } = histogram.counts().expect("times were added");
        let filled = |bucket: usize| (bucket, buckets[bucket]);
        assert_eq!([0, 1, 3, 24, 25].map(filled), [(0, 2), (1, 1), (3, 1), (24, 1), (25, 1)]);
        assert_eq!((buckets.iter().sum::<u64>(), sum), (6, 20_000_001_202));
        histogram.reset();
        assert_eq!(histogram.counts(), Some(LatencyCounts { buckets: [0; BUCKETS], sum: 0 }));
    }

    #[test]
    fn bounds_rise() {
        assert!(BOUNDS.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn counts_every_time_of_every_thread() {
        let histogram = LatencyHistogram::new();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let histogram = &histogram;
                scope.spawn(move || (0..1_000).for_each(|_| histogram.add(1_000 * (thread % 2))));
            }
        });
        let LatencyCounts { buckets, sum } = histogram.counts().expect("times were added");
        assert_eq!((buckets[0], buckets[3], sum), (4_000, 4_000, 4_000_000));
    }
}
