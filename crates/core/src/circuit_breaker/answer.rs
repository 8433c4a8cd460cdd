//! The request for a call to pass, and the answer of the circuit.

use super::state::CircuitState;
use super::ticket::Ticket;
use crate::runtime::ThreadId;

/// A request for one call to pass.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The thread that makes the call.
    pub thread: ThreadId,
    /// Whether the caller ends the call after the breaker's `timeout`. A trial call whose lease expires has then
    /// failed.
    pub has_deadline: bool,
}

/// Why a call may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The circuit's state.
    pub state: CircuitState,
    /// Nanoseconds until a retry may pass; `None` where that depends on other calls or on `reset`.
    pub retry_after: Option<u64>,
}

/// Whether a call may pass.
pub type Answer = std::result::Result<Ticket, Refused>;
