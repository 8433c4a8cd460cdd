//! What is asked of a circuit before a call, and what it answers.

use super::state::CircuitState;
use super::ticket::Ticket;
use crate::runtime::ThreadId;

/// Who asks for a call to be let pass.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// The thread that makes it.
    pub thread: ThreadId,
    /// Whether the caller ends it after the breaker's `timeout`: a trial whose lease runs out has then failed.
    pub has_deadline: bool,
}

/// Why a call may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// The circuit's state.
    pub state: CircuitState,
    /// Nanoseconds until it is worth asking again; `None` where that depends on others.
    pub retry_after: Option<u64>,
}

/// Whether a call may pass.
pub type Answer = std::result::Result<Ticket, Refused>;
