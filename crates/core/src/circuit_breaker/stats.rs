//! What is told of a breaker and of its circuits.

use std::sync::Arc;

use super::rates::Counts;
use super::state::CircuitState;

/// Sums over all threads since creation, and the circuits of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CircuitBreakerStats {
    /// Calls reported as good, slow ones among them.
    pub succeeded: u64,
    /// Calls reported as failed.
    pub failed: u64,
    /// Calls that took too long, good and failed ones.
    pub slow: u64,
    /// Calls refused.
    pub refused: u64,
    /// Reports that came too late to count: for an earlier state, or for a trial that another took over.
    pub ignored: u64,
    /// How often a circuit opened.
    pub opened: u64,
    /// Closed circuits that gave up their place to another peer's.
    pub evicted: u64,
    /// Calls that passed uncounted, as there was no place for their peer.
    pub untracked: u64,
    /// Circuits that are closed now.
    pub closed: u64,
    /// Circuits that are open now.
    pub open: u64,
    /// Circuits that are half-open now.
    pub half_open: u64,
    /// Circuits that are isolated now.
    pub isolated: u64,
    /// Circuits that are disabled now.
    pub disabled: u64,
}

/// One circuit at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitStats {
    /// Whose it is.
    pub peer: Arc<str>,
    /// Its state.
    pub state: CircuitState,
    /// What its window holds, or what the trial calls that reported came to.
    pub counts: Counts,
    /// Nanoseconds until an open circuit may be tried.
    pub retry_after: Option<u64>,
    /// How often in a row it opened, since it last closed.
    pub openings: u32,
}
