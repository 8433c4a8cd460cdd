//! Options of a breaker and their validation.

use super::circuit::Circuit;
use super::opening::Opening;
use super::rates::Thresholds;
use crate::runtime::clock::MS;
use crate::runtime::memory;
use crate::runtime::options::{Accepts, MAX_DURATION_MS, OptionValue, Source, options};
use crate::{Error, Result};

/// Bounded, as counting a call reads every block of 16 calls.
const WINDOW_CALLS: Accepts = Accepts::up_to(10_000);

/// The calls over which rates are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowOptions {
    /// The last N calls.
    Calls(u64),
    /// The calls of the last N milliseconds.
    TimeMs(u64),
}

options! {
    /// Options as a user gives them.
    pub struct CircuitBreakerOptions of "CircuitBreaker" {
        /// The share of failures that opens a circuit.
        failure_rate: f64 = "failureRate", Accepts::rate(), default 0.5;
        /// A call that takes longer is slow. `None`: no call is.
        slow_call_duration_ms: Option<u64> = "slowCallDuration", Accepts::duration();
        /// The share of slow calls that opens a circuit.
        slow_call_rate: f64 = "slowCallRate", Accepts::rate(), default 1.0;
        /// With fewer calls in the window, no circuit opens.
        minimum_calls: u64 = "minimumCalls", Accepts::up_to(1_000_000), default 10;
        /// The calls over which rates are computed.
        window: WindowOptions = "window", Accepts::Other, default WindowOptions::Calls(100), fixed;
        /// How long a circuit stays open at first.
        open_for_ms: u64 = "openFor", Accepts::duration(), required as open_for_ms;
        /// The factor by which consecutive openings grow.
        backoff: f64 = "backoff", Accepts::factor(), default 1.0;
        /// The longest opening.
        max_open_for_ms: Option<u64> = "maxOpenFor", Accepts::duration();
        /// The share of an opening that jitter may remove.
        jitter: f64 = "jitter", Accepts::share(), default 0.0;
        /// How many trial calls a half-open circuit admits.
        half_open_calls: u64 = "halfOpenCalls", Accepts::up_to(10_000), default 1;
        /// How long a call may take, where the caller enforces it. The lease of a trial lasts as long.
        timeout_ms: Option<u64> = "timeout", Accepts::duration();
        /// Most targets tracked at once.
        max_peers: u64 = "maxPeers", Accepts::up_to(1_000_000), default 10_000, fixed;
    }
}

options! {
    /// The window as a user gives it: one of both.
    pub struct CircuitWindowOptions of "CircuitBreaker window" {
        /// The number of calls.
        calls: Option<u64> = "calls", WINDOW_CALLS;
        /// The period in milliseconds.
        time_ms: Option<u64> = "time", Accepts::duration();
    }
}

impl OptionValue for WindowOptions {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        let CircuitWindowOptions { calls, time_ms } =
            CircuitWindowOptions::read(&*source.nested(name)?).ok()?;
        time_ms.map(Self::TimeMs).or(calls.map(Self::Calls))
    }

    fn check(&self, option: &str, _: &Accepts) -> Result<()> {
        match *self {
            Self::Calls(calls) => calls.check(&format!("{option} calls"), &WINDOW_CALLS),
            Self::TimeMs(ms) => ms.check(&format!("{option} time"), &Accepts::duration()),
        }
    }

    fn print(&self, _: &Accepts) -> String {
        self.to_string()
    }
}

/// Valid options.
#[derive(Clone, Debug)]
pub struct CircuitBreakerConfig {
    pub(super) options: CircuitBreakerOptions,
    pub(super) thresholds: Thresholds,
    pub(super) opening: Opening,
    /// Nanoseconds beyond which a call is slow.
    pub(super) slow_after: Option<u64>,
    /// Nanoseconds for which a trial call is leased.
    pub(super) lease: u64,
}

impl CircuitBreakerConfig {
    pub(super) fn capacity(&self) -> usize {
        // Validated to a million.
        usize::try_from(self.options.max_peers).unwrap_or(usize::MAX)
    }
}

impl TryFrom<CircuitBreakerOptions> for CircuitBreakerConfig {
    type Error = Error;

    fn try_from(options: CircuitBreakerOptions) -> Result<Self> {
        options.check_ranges()?;
        check_relations(&options)?;
        let minimum_calls = match options.window {
            // A window never holds more calls than its size.
            WindowOptions::Calls(calls) => options.minimum_calls.min(calls),
            WindowOptions::TimeMs(_) => options.minimum_calls,
        };
        Ok(Self {
            thresholds: Thresholds {
                failure_rate: options.failure_rate,
                slow_rate: options.slow_call_duration_ms.map(|_| options.slow_call_rate),
                minimum_calls,
            },
            opening: Opening {
                first: options.open_for_ms * MS,
                factor: options.backoff,
                most: options.max_open_for_ms.unwrap_or(MAX_DURATION_MS) * MS,
                jitter: options.jitter,
            },
            slow_after: options.slow_call_duration_ms.map(|ms| ms * MS),
            lease: options.timeout_ms.unwrap_or(options.open_for_ms) * MS,
            options,
        })
    }
}

impl std::fmt::Display for WindowOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Calls(calls) => write!(f, "{calls} calls"),
            Self::TimeMs(ms) => write!(f, "{ms} ms"),
        }
    }
}

/// Checks that involve several options, or the memory of the machine.
fn check_relations(options: &CircuitBreakerOptions) -> Result<()> {
    memory::check("CircuitBreaker maxPeers", options.max_peers, Circuit::least_bytes(options.window))?;
    match options.max_open_for_ms {
        Some(most) if most < options.open_for_ms => {
            let accepted =
                format!("milliseconds from openFor, {}, to {MAX_DURATION_MS}", options.open_for_ms);
            Err(Error::invalid_option("CircuitBreaker maxOpenFor", most, accepted))
        }
        _ => Ok(()),
    }
}
