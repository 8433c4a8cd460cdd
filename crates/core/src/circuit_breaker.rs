//! Calls to a peer that fails are refused for a while, so that it can recover and callers need not wait.
//!
//! What a window counts, how long a circuit stays open, who may try a half-open one and where the circuits
//! of all peers are kept: each in a file of its own.

mod answer;
mod breaker;
mod change;
mod circuit;
mod count_window;
mod opening;
mod options;
mod peers;
mod rates;
mod state;
mod stats;

mod ticket;
mod time_window;
mod trials;
mod window;

pub(crate) use opening::chance;

pub use answer::{Answer, Refused, Request};
pub use breaker::CircuitBreaker;
pub use change::CircuitChange;
pub use options::{CircuitBreakerConfig, CircuitBreakerOptions, WindowOptions};
pub use rates::{Counts, Outcome};
pub use state::CircuitState;
pub use stats::{CircuitBreakerStats, CircuitStats};
pub use ticket::Ticket;
