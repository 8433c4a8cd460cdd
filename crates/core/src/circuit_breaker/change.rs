//! The event of a circuit that changed.

use std::sync::Arc;

use super::rates::Counts;
use super::state::CircuitState;

/// A circuit has another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitChange {
    /// The target of the circuit.
    pub peer: Arc<str>,
    /// Its state before.
    pub from: CircuitState,
    /// Its state now.
    pub to: CircuitState,
    /// Calls that led to it; none when it was changed by hand, or by time.
    pub counts: Counts,
    /// Nanoseconds for which it is open.
    pub open_for: Option<u64>,
}
