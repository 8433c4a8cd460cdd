//! Options of a breaker, and what of them is valid.

use super::circuit::Circuit;
use super::opening::Opening;
use super::rates::Thresholds;
use crate::rate_limiter::MAX_DURATION_MS;
use crate::runtime::clock::MS;
use crate::runtime::instances::{OptionList, or_none};
use crate::runtime::memory;
use crate::{Error, Result};

/// Most calls that a window of calls holds: counting one costs a look at all blocks of 16.
const MAX_WINDOW_CALLS: u64 = 10_000;
const MAX_MINIMUM_CALLS: u64 = 1_000_000;
const MAX_HALF_OPEN_CALLS: u64 = 10_000;
const MAX_PEERS: u64 = 1_000_000;

/// Over what rates are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowOptions {
    /// The last calls, so many.
    Calls(u64),
    /// The calls of the last milliseconds, so many.
    TimeMs(u64),
}

/// Options as a user gives them.
#[derive(Clone, Debug, PartialEq)]
pub struct CircuitBreakerOptions {
    /// The share of failures that opens a circuit.
    pub failure_rate: f64,
    /// A call that takes longer is slow. `None`: no call is.
    pub slow_call_duration_ms: Option<u64>,
    /// The share of slow calls that opens a circuit.
    pub slow_call_rate: f64,
    /// Fewer calls in the window open nothing.
    pub minimum_calls: u64,
    /// Over what rates are taken.
    pub window: WindowOptions,
    /// How long a circuit stays open at first.
    pub open_for_ms: u64,
    /// By how much each opening in a row is longer than the last.
    pub backoff: f64,
    /// The longest opening.
    pub max_open_for_ms: Option<u64>,
    /// The share of an opening that chance may take off.
    pub jitter: f64,
    /// How many calls try a half-open circuit.
    pub half_open_calls: u64,
    /// How long a call may take, where the caller enforces it; a trial call is leased for so long.
    pub timeout_ms: Option<u64>,
    /// Most peers remembered at once.
    pub max_peers: u64,
}

impl CircuitBreakerOptions {
    /// Everything by default.
    #[must_use]
    pub fn new(open_for_ms: u64) -> Self {
        Self {
            failure_rate: 0.5,
            slow_call_duration_ms: None,
            slow_call_rate: 1.0,
            minimum_calls: 10,
            window: WindowOptions::Calls(100),
            open_for_ms,
            backoff: 1.0,
            max_open_for_ms: None,
            jitter: 0.0,
            half_open_calls: 1,
            timeout_ms: None,
            max_peers: 10_000,
        }
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

impl TryFrom<CircuitBreakerOptions> for CircuitBreakerConfig {
    type Error = Error;

    fn try_from(options: CircuitBreakerOptions) -> Result<Self> {
        check_ranges(&options)?;
        let minimum_calls = match options.window {
            // A window never holds more calls than it has places.
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

impl CircuitBreakerConfig {
    /// As the user would read them.
    pub(super) fn list(&self) -> OptionList {
        let options = &self.options;
        let ms = |ms: u64| format!("{ms} ms");
        vec![
            ("failureRate", options.failure_rate.to_string()),
            ("slowCallDuration", or_none(options.slow_call_duration_ms.map(ms))),
            ("slowCallRate", options.slow_call_rate.to_string()),
            ("minimumCalls", options.minimum_calls.to_string()),
            ("window", options.window.to_string()),
            ("openFor", ms(options.open_for_ms)),
            ("backoff", options.backoff.to_string()),
            ("maxOpenFor", or_none(options.max_open_for_ms.map(ms))),
            ("jitter", options.jitter.to_string()),
            ("halfOpenCalls", options.half_open_calls.to_string()),
            ("timeout", or_none(options.timeout_ms.map(ms))),
            ("maxPeers", options.max_peers.to_string()),
        ]
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

fn check_ranges(options: &CircuitBreakerOptions) -> Result<()> {
    let rate = |rate: f64| rate > 0.0 && rate <= 1.0;
    check("failureRate", options.failure_rate, rate, "a number above 0 and up to 1")?;
    check("slowCallRate", options.slow_call_rate, rate, "a number above 0 and up to 1")?;
    check("backoff", options.backoff, |factor| factor >= 1.0 && factor.is_finite(), "a number from 1")?;
    check("jitter", options.jitter, |share| (0.0..=1.0).contains(&share), "a number from 0 to 1")?;
    check_integer("minimumCalls", options.minimum_calls, MAX_MINIMUM_CALLS)?;
    check_integer("halfOpenCalls", options.half_open_calls, MAX_HALF_OPEN_CALLS)?;
    check_integer("maxPeers", options.max_peers, MAX_PEERS)?;
    match options.window {
        WindowOptions::Calls(calls) => check_integer("window calls", calls, MAX_WINDOW_CALLS)?,
        WindowOptions::TimeMs(ms) => check_integer("window time", ms, MAX_DURATION_MS)?,
    }
    memory::check("CircuitBreaker maxPeers", options.max_peers, Circuit::least_bytes(options.window))?;
    check_integer("openFor", options.open_for_ms, MAX_DURATION_MS)?;
    for (option, duration) in
        [("slowCallDuration", options.slow_call_duration_ms), ("timeout", options.timeout_ms)]
    {
        duration.map_or(Ok(()), |ms| check_integer(option, ms, MAX_DURATION_MS))?;
    }
    options.max_open_for_ms.map_or(Ok(()), |most| {
        let accepted = format!("milliseconds from openFor, {}, to {MAX_DURATION_MS}", options.open_for_ms);
        check("maxOpenFor", most, |most| (options.open_for_ms..=MAX_DURATION_MS).contains(&most), accepted)
    })
}

fn check_integer(option: &str, given: u64, most: u64) -> Result<()> {
    check(option, given, |given| (1..=most).contains(&given), format!("an integer from 1 to {most}"))
}

fn check<T: ToString + Copy>(
    option: &str,
    given: T,
    is_valid: impl Fn(T) -> bool,
    accepted: impl ToString,
) -> Result<()> {
    if is_valid(given) {
        return Ok(());
    }
    Err(Error::invalid_option(&format!("CircuitBreaker {option}"), given, accepted))
}
