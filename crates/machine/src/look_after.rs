//! When the processes of a file are looked after: on the way of calls, and not by each of them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Lets one call of a process look after the others every so many nanoseconds.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    next: AtomicU64,
}

impl Lookout {
    /// Whether [`take`](Self::take) may succeed: one load. Also where the clock has gone back by much: a look then finds out
    /// why.
    #[inline(always)]
    pub(crate) fn is_due(&self, now: u64, every: u64) -> bool {
        // Relaxed: nothing is published by it, and two threads that look at once do no harm.
        is_due(self.next.load(Ordering::Relaxed), now, every)
    }

    /// Whether the calling thread is the one to look now.
    pub(crate) fn take(&self, now: u64, every: u64) -> bool {
        let next = self.next.load(Ordering::Relaxed);
        let later = now.saturating_add(every);
        is_due(next, now, every)
            && self.next.compare_exchange(next, later, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Has the next call look.
    pub(crate) fn expedite(&self) {
        self.next.store(0, Ordering::Relaxed);
    }
}

#[inline(always)]
const fn is_due(next: u64, now: u64, every: u64) -> bool {
    next.wrapping_sub(now).wrapping_sub(1) >= 2 * every
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: u64 = 100_000_000;

    #[test]
    fn one_call_looks_every_while() {
        let lookout = Lookout::default();
        assert!(lookout.is_due(5, EVERY) && lookout.take(5, EVERY));
        assert!(!lookout.is_due(5 + EVERY - 1, EVERY) && !lookout.take(5 + EVERY - 1, EVERY));
        assert!(lookout.take(5 + EVERY, EVERY) && !lookout.take(5 + EVERY, EVERY));
        lookout.expedite();
        assert!(lookout.take(6 + EVERY, EVERY));
        assert!(!lookout.is_due(6 + EVERY - 1, EVERY), "a thread that has read the clock before");
    }

    #[test]
    fn a_clock_that_goes_back_is_looked_at() {
        let lookout = Lookout::default();
        assert!(lookout.take(1_000 * EVERY, EVERY) && !lookout.is_due(1_001 * EVERY - 1, EVERY));
        assert!(lookout.is_due(10, EVERY) && lookout.take(10, EVERY) && !lookout.is_due(11, EVERY));
    }
}
