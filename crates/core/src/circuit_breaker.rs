//! Refuses calls to a target that fails for some time, so that the target can recover and callers do not wait.
//!
//! Each target has a circuit, shared by all threads. In the API a target is called a peer.

mod answer;
mod breaker;
mod change;
mod circuit;
mod count_window;
mod instance;
mod local;
mod opening;
mod options;
mod rates;
mod state;
mod stats;
mod targets;
mod ticket;
mod time_window;
mod trials;
mod window;

pub(crate) use opening::chance;

pub use answer::{Answer, Refused, Request};
pub use breaker::CircuitBreaker;
pub use change::CircuitChange;
pub use local::LocalBreaker;
pub use options::{CircuitBreakerConfig, CircuitBreakerOptions, CircuitWindowOptions, WindowOptions};
pub use rates::{Counts, Outcome};
pub use state::CircuitState;
pub use stats::{CircuitBreakerStats, CircuitStats};
pub use ticket::Ticket;
