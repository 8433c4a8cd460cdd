//! How long a script call takes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Each round trip counts for this part of the mean.
const PART: u64 = 8;

/// A moving mean of round trips, in nanoseconds; 0 before the first. It publishes nothing, so relaxed.
#[derive(Debug, Default)]
pub(super) struct RoundTrip(AtomicU64);

impl RoundTrip {
    /// Only the thread that serves the link calls it.
    pub(super) fn add(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        let known = self.0.load(Ordering::Relaxed);
        let mean = if known == 0 { took } else { known - known / PART + took / PART };
        self.0.store(mean.max(1), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Option<Duration> {
        let mean = self.0.load(Ordering::Relaxed);
        (mean > 0).then(|| Duration::from_nanos(mean))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_first_round_trip_is_the_mean() {
        let round_trip = RoundTrip::default();
        assert_eq!(round_trip.get(), None);
        round_trip.add(8 * MS);
        assert_eq!(round_trip.get(), Some(8 * MS));
    }

    #[test]
    fn each_further_one_counts_for_an_eighth() {
        let round_trip = RoundTrip::default();
        round_trip.add(8 * MS);
        round_trip.add(16 * MS);
        assert_eq!(round_trip.get(), Some(9 * MS));
        round_trip.add(Duration::ZERO);
        assert_eq!(round_trip.get(), Some(9 * MS - 9 * MS / 8));
    }

    #[test]
    fn a_round_trip_without_any_time_is_known_as_one() {
        let round_trip = RoundTrip::default();
        round_trip.add(Duration::ZERO);
        assert_eq!(round_trip.get(), Some(Duration::from_nanos(1)));
        round_trip.add(Duration::MAX);
        assert_eq!(round_trip.get(), Some(Duration::from_nanos(u64::MAX / 8 + 1)));
    }
}
