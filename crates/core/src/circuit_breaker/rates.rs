//! Outcomes of calls, and the thresholds that open a circuit.

/// The outcome of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// It failed.
    pub failed: bool,
    /// It took longer than `slowCallDuration`, whether it failed or not.
    pub slow: bool,
}

impl Outcome {
    /// A fast call that succeeded.
    pub const SUCCESS: Self = Self { failed: false, slow: false };
    /// A fast call that failed.
    pub const FAILURE: Self = Self { failed: true, slow: false };
}

/// The number of calls, and how many of them failed or were slow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that were reported.
    pub calls: u64,
    /// Those that failed.
    pub failures: u64,
    /// Those that were slow.
    pub slow: u64,
}

impl Counts {
    pub(super) fn add(&mut self, outcome: Outcome) {
        self.calls += 1;
        self.failures += u64::from(outcome.failed);
        self.slow += u64::from(outcome.slow);
    }

    /// The share that failed; 0 without calls.
    #[must_use]
    pub fn failure_rate(self) -> f64 {
        share(self.failures, self.calls)
    }

    /// The share that was slow; 0 without calls.
    #[must_use]
    pub fn slow_rate(self) -> f64 {
        share(self.slow, self.calls)
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.failures += other.failures;
        self.slow += other.slow;
    }
}

/// Both counts are below 2^53, so the quotient is the double nearest to the exact rate, and a rate that equals its
/// threshold compares as equal.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// The rates that open a circuit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Thresholds {
    pub(super) failure_rate: f64,
    /// `None` where no call counts as slow.
    pub(super) slow_rate: Option<f64>,
    /// With fewer calls no threshold is reached.
    pub(super) minimum_calls: u64,
}

impl Thresholds {
    /// Whether there are enough calls, and a rate reaches its threshold.
    pub(super) fn are_reached(&self, counts: Counts) -> bool {
        counts.calls >= self.minimum_calls && self.are_reached_by_share(counts)
    }

    /// As [`are_reached`](Self::are_reached), whatever the number of calls.
    pub(super) fn are_reached_by_share(&self, counts: Counts) -> bool {
        counts.failure_rate() >= self.failure_rate
            || self.slow_rate.is_some_and(|slow_rate| counts.slow_rate() >= slow_rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(calls: u64, failures: u64, slow: u64) -> Counts {
        Counts { calls, failures, slow }
    }

    #[test]
    fn a_threshold_is_reached_by_an_equal_rate_and_enough_calls() {
        let thresholds = Thresholds { failure_rate: 0.3, slow_rate: Some(0.7), minimum_calls: 10 };
        for (of, reached) in [
            (counts(9, 9, 9), false),
            (counts(10, 3, 0), true),
            (counts(10, 2, 0), false),
            (counts(10, 0, 7), true),
            (counts(10, 0, 6), false),
            (counts(1_000_000, 299_999, 699_999), false),
            (counts(1_000_000, 300_000, 0), true),
        ] {
            assert_eq!(thresholds.are_reached(of), reached, "{of:?}");
        }
    }

    #[test]
    fn no_call_is_slow_without_a_slow_call_duration() {
        let thresholds = Thresholds { failure_rate: 1.0, slow_rate: None, minimum_calls: 1 };
        assert!(!thresholds.are_reached(counts(5, 0, 5)));
    }
}
