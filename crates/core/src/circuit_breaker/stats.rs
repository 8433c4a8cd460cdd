//! Statistics of a breaker and of its circuits.

use std::cmp::Reverse;
use std::sync::Arc;

use super::breaker::{CircuitBreaker, FAILED, IGNORED, OPENED, REFUSED, SLOW, SUCCEEDED, UNTRACKED};
use super::rates::Counts;
use super::state::CircuitState;
use crate::Result;
use crate::runtime::key_hash::KeyHash;

/// Sums over all threads since creation, and the circuits that exist now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CircuitBreakerStats {
    /// Calls reported as successes, slow ones included.
    pub succeeded: u64,
    /// Calls reported as failures.
    pub failed: u64,
    /// Slow calls, successes and failures.
    pub slow: u64,
    /// Calls refused.
    pub refused: u64,
    /// Reports that came too late to count: for an earlier state, or for a trial whose place another call has taken.
    pub ignored: u64,
    /// How often circuits opened by themselves.
    pub opened: u64,
    /// Closed circuits evicted for new targets.
    pub evicted: u64,
    /// Calls that passed uncounted, as there was no place for their target.
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
    /// The target of the circuit.
    pub peer: Arc<str>,
    /// Its state.
    pub state: CircuitState,
    /// The calls in the window of a closed circuit, or the trial calls of a half-open one that have reported.
    pub counts: Counts,
    /// Nanoseconds until an open circuit may be tried.
    pub retry_after: Option<u64>,
    /// Consecutive openings since the circuit was last closed.
    pub openings: u32,
}

impl CircuitBreaker {
    /// Sums over all threads. Costs one pass over the circuits.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) after the breaker was destroyed.
    pub fn stats(&self) -> Result<CircuitBreakerStats> {
        self.check_open()?;
        let mut stats = CircuitBreakerStats {
            succeeded: self.counters.sum(SUCCEEDED),
            failed: self.counters.sum(FAILED),
            slow: self.counters.sum(SLOW),
            refused: self.counters.sum(REFUSED),
            ignored: self.counters.sum(IGNORED),
            opened: self.counters.sum(OPENED),
            untracked: self.counters.sum(UNTRACKED),
            evicted: self.targets.evicted(),
            ..CircuitBreakerStats::default()
        };
        for state in self.targets.all().iter().filter_map(|circuit| circuit.state()) {
            *match state {
                CircuitState::Closed => &mut stats.closed,
                CircuitState::Open => &mut stats.open,
                CircuitState::HalfOpen => &mut stats.half_open,
                CircuitState::Isolated => &mut stats.isolated,
                CircuitState::Disabled => &mut stats.disabled,
            } += 1;
        }
        Ok(stats)
    }

    /// The circuit of one target; `None` for a target that is not tracked, whose circuit is closed.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) after the breaker was destroyed.
    pub fn peer_stats(&self, key: KeyHash, now: u64) -> Result<Option<CircuitStats>> {
        self.check_open()?;
        Ok(self.targets.get(key).and_then(|circuit| circuit.stats(now)))
    }

    /// All circuits, sorted by target.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) after the breaker was destroyed.
    pub fn all_peer_stats(&self, now: u64) -> Result<Vec<CircuitStats>> {
        self.check_open()?;
        let mut all: Vec<_> = self.targets.all().iter().filter_map(|circuit| circuit.stats(now)).collect();
        all.sort_unstable_by(|a, b| a.peer.cmp(&b.peer));
        Ok(all)
    }

    /// The circuits that an operator looks for, at most so many, sorted by target: those that are not closed come before
    /// those with most failures, then calls. Closed circuits without calls are never among them. With them, how many
    /// circuits there are besides.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) after the breaker was destroyed.
    pub fn foremost_stats(&self, most: usize, now: u64) -> Result<(Vec<CircuitStats>, usize)> {
        self.check_open()?;
        let mut foremost: Vec<_> =
            self.targets.all().iter().filter_map(|circuit| circuit.stats(now)).collect();
        let all = foremost.len();
        foremost.retain(|circuit| circuit.state != CircuitState::Closed || circuit.counts.calls > 0);
        if foremost.len() > most {
            foremost.select_nth_unstable_by_key(most, |circuit| Reverse(urgency(circuit)));
            foremost.truncate(most);
        }
        foremost.sort_unstable_by(|a, b| a.peer.cmp(&b.peer));
        let others = all - foremost.len();
        Ok((foremost, others))
    }
}

fn urgency(circuit: &CircuitStats) -> (bool, u64, u64) {
    (circuit.state != CircuitState::Closed, circuit.counts.failures, circuit.counts.calls)
}
