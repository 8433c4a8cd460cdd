//! Quotas: so many units per so much time, and which of them can be kept exactly.

use std::fmt;

use super::algorithm::Algorithm;
use super::fixed_window::FixedWindow;
use super::gcra::Gcra;
use super::options::AlgorithmKind;
use super::sliding_window::SlidingWindow;
use crate::runtime::clock::MS;
use crate::runtime::options::{Accepts, OptionValue, Source, options};
use crate::{Error, Result};

/// The largest cost, limit or burst: what a JavaScript number counts exactly.
pub(crate) const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// A number of units.
const UNITS: Accepts = Accepts::up_to(MAX_SAFE_INTEGER);

options! {
    /// So many units per so much time.
    #[derive(Copy, Eq)]
    pub struct Quota of "Quota" {
        /// Units per window.
        limit: u64 = "limit", UNITS, required as limit;
        /// Length of the window in milliseconds.
        window_ms: u64 = "window", Accepts::duration(), required as window_ms;
        /// Units that may arrive at once; `limit` where it is left out.
        burst: Option<u64> = "burst", UNITS;
    }
}

impl Quota {
    /// The rate in the terms of the algorithm, or what is wrong with it. `owner` names the option in the
    /// message: `RateLimiter`, `ConnectionTracker opens`.
    pub(crate) fn to_gcra(self, owner: &str) -> Result<Gcra> {
        let Self { limit, window_ms, burst } = self;
        let burst = burst.unwrap_or(limit);
        self.check_ranges_of(owner)?;
        let window = u128::from(window_ms * MS);
        // Rounded up, never down: the rate may come out a trifle low, never high.
        let interval = window.div_ceil(u128::from(limit));
        let excess = interval * u128::from(limit) - window;
        if excess * 1_000 > window {
            let accepted = "a limit whose share of the window is a whole number of nanoseconds, within 0.1 %";
            return Err(Error::invalid_option(
                &format!("{owner} limit"),
                format!("{limit} per {window_ms} ms, {:.3} ns a unit", window as f64 / limit as f64),
                accepted,
            ));
        }
        if interval * u128::from(burst) > 1 << 60 {
            let given = format!("{burst} at {limit} per {window_ms} ms");
            let accepted = "a burst that takes at most 36 years to refill";
            return Err(Error::invalid_option(&format!("{owner} burst"), given, accepted));
        }
        Ok(Gcra { emission_interval: interval as u64, burst })
    }

    /// The rate by any algorithm. `existing` is the one it replaces, whose words it must be able to read.
    pub(crate) fn to_algorithm(
        self,
        owner: &str,
        kind: AlgorithmKind,
        existing: Option<&Algorithm>,
    ) -> Result<Algorithm> {
        if kind == AlgorithmKind::Gcra {
            return self.to_gcra(owner).map(Algorithm::Gcra);
        }
        if let Some(burst) = self.burst {
            let accepted = "nothing: a window has no burst; it goes with \"gcra\"";
            return Err(Error::invalid_option(&format!("{owner} burst"), burst, accepted));
        }
        self.check_ranges_of(owner)?;
        let (option, window) = (format!("{owner} limit"), self.window_ms * MS);
        match (kind, existing) {
            (_, Some(Algorithm::SlidingWindow(rate))) => {
                if window != rate.window() {
                    let accepted = format!("{} ms: a sliding window keeps its length", rate.window() / MS);
                    let given = format!("{} ms", self.window_ms);
                    return Err(Error::invalid_option(&format!("{owner} window"), given, accepted));
                }
                SlidingWindow::new(&option, self.limit, window, Some(rate.count_bits()))
                    .map(Algorithm::SlidingWindow)
            }
            (AlgorithmKind::SlidingWindow, _) => {
                SlidingWindow::new(&option, self.limit, window, None).map(Algorithm::SlidingWindow)
            }
            (_, Some(Algorithm::FixedWindow(rate))) => {
                FixedWindow::new(&option, self.limit, window, Some(rate)).map(Algorithm::FixedWindow)
            }
            _ => FixedWindow::new(&option, self.limit, window, None).map(Algorithm::FixedWindow),
        }
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, window_ms, burst } = self;
        write!(f, "{limit} per {window_ms} ms, burst {}", burst.unwrap_or(*limit))
    }
}

impl OptionValue for Quota {
    /// What is required and left out is 0, which is out of range.
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        let quota = source.nested(name)?;
        Some(Self::read(&*quota).unwrap_or_else(|_| Self::new(0, 0)))
    }

    /// Checked by [`to_gcra`](Self::to_gcra): whether a quota can be kept exactly depends on its algorithm.
    fn check(&self, _: &str, _: &Accepts) -> Result<()> {
        Ok(())
    }

    fn print(&self, _: &Accepts) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::options::MAX_DURATION_MS;

    fn gcra(limit: u64, window_ms: u64, burst: Option<u64>) -> Result<Gcra> {
        Quota { limit, window_ms, burst }.to_gcra("RateLimiter")
    }

    #[test]
    fn rounds_the_interval_up() {
        assert_eq!(gcra(3, 1_000, None), Ok(Gcra { emission_interval: 333_333_334, burst: 3 }));
        assert_eq!(gcra(5, 10, Some(1)), Ok(Gcra { emission_interval: 2_000_000, burst: 1 }));
    }

    #[test]
    fn takes_thirty_days() {
        let month = 30 * 24 * 60 * 60 * 1_000;
        assert_eq!(gcra(100_000, month, None).expect("valid").emission_interval, 25_920_000_000);
    }

    #[test]
    fn refuses_a_rate_that_rounding_would_change() {
        // 333.3 ns become 334: 0.2 % too slow.
        let error = gcra(3_000_000, 1_000, None).expect_err("too fine");
        assert_eq!(error.code(), "INVALID_OPTION");
        assert!(error.to_string().contains("RateLimiter limit is 3000000 per 1000 ms"), "{error}");
        // One unit a nanosecond is what the clock can tell apart.
        assert!(gcra(1_000_000_000, 1_000, None).is_ok());
        assert!(gcra(1_500_000_000, 1_000, None).is_err());
    }

    #[test]
    fn refuses_what_would_overflow() {
        assert!(gcra(1, MAX_DURATION_MS, None).is_err());
        assert!(gcra(1, 24 * 3_600_000, Some(13_343)).is_ok());
        assert!(gcra(1, 24 * 3_600_000, Some(13_344)).is_err());
        assert!(gcra(1, 1, Some(MAX_SAFE_INTEGER)).is_err());
    }

    #[test]
    fn refuses_nothing_and_too_much() {
        for (limit, window_ms, burst) in [
            (0, 1, None),
            (1, 0, None),
            (1, 1, Some(0)),
            (MAX_SAFE_INTEGER + 1, 1, None),
            (1, MAX_DURATION_MS + 1, None),
        ] {
            assert_eq!(gcra(limit, window_ms, burst).expect_err("out of range").code(), "INVALID_OPTION");
        }
    }
}
