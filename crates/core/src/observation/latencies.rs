//! What is measured, and how long decisions of limiters took.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::runtime::latency_histogram::LatencyHistogram;

/// What threads measure once something has asked for it. Nothing is, before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Decisions of limiters and guards.
    Decisions,
    /// Calls of brokers.
    Calls,
}

impl Measured {
    const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// The histograms of the process, and which are in use.
#[derive(Debug)]
pub struct Latencies {
    measured: AtomicU32,
    /// Decisions by the counts of this process.
    pub process: LatencyHistogram,
    /// Decisions that a server was asked for.
    pub fleet: LatencyHistogram,
}

impl Latencies {
    pub(super) const fn new() -> Self {
        Self { measured: AtomicU32::new(0), process: LatencyHistogram::new(), fleet: LatencyHistogram::new() }
    }

    /// Begins to measure; false where that has begun before. It does not end.
    pub fn measure(&self, what: Measured) -> bool {
        self.measured.fetch_or(what.bit(), Ordering::AcqRel) & what.bit() == 0
    }

    /// Whether it is measured.
    #[inline]
    #[must_use]
    pub fn measures(&self, what: Measured) -> bool {
        // Relaxed: a call that sees it late is not measured; nothing else depends on it.
        self.measured.load(Ordering::Relaxed) & what.bit() != 0
    }

    /// It goes on measuring.
    pub(super) fn reset(&self) {
        self.process.reset();
        self.fleet.reset();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_measured_once_it_was_asked_for() {
        let latencies = Latencies::new();
        assert!(!latencies.measures(Measured::Calls));
        assert!(latencies.measure(Measured::Calls));
        assert!(!latencies.measure(Measured::Calls));
        assert!(latencies.measures(Measured::Calls) && !latencies.measures(Measured::Decisions));
        latencies.process.add(1);
        latencies.reset();
        assert!(latencies.measures(Measured::Calls));
        assert_eq!(latencies.process.counts().map(|counts| counts.sum), Some(0));
    }
}
