//! The event of a circuit that changes its state.

use std::sync::Arc;

use super::rates::Counts;
use super::state::CircuitState;

/// A circuit changed its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitChange {
    /// No other change of the process has it.
    pub number: u64,
    /// The target of the circuit.
    pub peer: Arc<str>,
    /// The state before.
    pub from: CircuitState,
    /// The state now.
    pub to: CircuitState,
    /// The calls that led to the change; none where it was changed by hand, or by time.
    pub counts: Counts,
    /// Nanoseconds for which the circuit is open.
    pub open_for: Option<u64>,
}
