//! The decision of all maps: a minimal generic cell rate algorithm.

use std::sync::atomic::{AtomicU64, Ordering};

/// `burst` calls at once, and one more per interval.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub burst: u32,
    /// Nanoseconds.
    pub interval: u64,
}

/// Not used up during a measurement.
pub const WIDE: Limit = Limit { burst: 1_000_000_000, interval: 86_400 };

/// Not replenished during a measurement: one unit per ten minutes.
pub const SLOW: Limit = Limit { burst: 1_000_000, interval: 600_000_000_000 };

impl Limit {
    /// The time at which the bucket is full again after charging this call, or `None` if the call is refused.
    pub fn decide(self, tat: u64, now: u64) -> Option<u64> {
        let next = tat.max(now) + self.interval;
        (next <= self.used_up(now)).then_some(next)
    }

    /// Commits [`decide`](Self::decide). True if the call is admitted.
    pub fn charge(self, tat: &AtomicU64, now: u64) -> bool {
        // Relaxed: the word publishes nothing but itself.
        tat.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tat| self.decide(tat, now)).is_ok()
    }

    /// The state of a client that has used up its burst.
    pub fn used_up(self, now: u64) -> u64 {
        now + u64::from(self.burst) * self.interval
    }
}
