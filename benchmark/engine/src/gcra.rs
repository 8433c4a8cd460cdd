//! The decision that all maps keep: the generic cell rate algorithm, in as little code as it takes.

use std::sync::atomic::{AtomicU64, Ordering};

/// So many at once, and one more per interval.
#[derive(Clone, Copy, Debug)]
pub struct Limit {
    pub burst: u32,
    /// Nanoseconds.
    pub interval: u64,
}

/// Nobody uses it up while it is measured.
pub const WIDE: Limit = Limit { burst: 1_000_000_000, interval: 86_400 };

/// Whoever has used it up gets nothing back while it is measured: one per ten minutes.
pub const SLOW: Limit = Limit { burst: 1_000_000, interval: 600_000_000_000 };

impl Limit {
    /// The time at which the client's bucket is full again once this call has been charged.
    pub fn decide(self, tat: u64, now: u64) -> Option<u64> {
        let next = tat.max(now) + self.interval;
        (next <= self.used_up(now)).then_some(next)
    }

    /// As [`decide`](Self::decide), committed; true when the call may pass.
    pub fn charge(self, tat: &AtomicU64, now: u64) -> bool {
        // Relaxed: the time is all that threads tell one another by it.
        tat.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tat| self.decide(tat, now)).is_ok()
    }

    /// The state of a client that has used up everything at once.
    pub fn used_up(self, now: u64) -> u64 {
        now + u64::from(self.burst) * self.interval
    }
}
