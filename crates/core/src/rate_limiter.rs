//! Rate limits per key.
//!
//! An algorithm decides, a table of keys holds what it knows of each, and a call puts them together. The limiter owns the
//! table; a thread-local handle makes its calls cheaper. Imports point in that order only.

pub(crate) mod algorithm;
mod call;
mod call_counter;
mod config;
pub(crate) mod config_epoch;
mod config_words;
mod contents;
mod counts;
mod decision;
mod fixed_window;
pub(crate) mod gcra;
mod in_force;
mod instance;
mod limiter;
mod line;
mod lines;
mod local_handle;
mod options;
mod quick;
mod quota;
mod reconfiguration;
mod refusing;
mod remote;
mod scope;
mod shared;
pub(crate) mod shared_config;
mod sliding_window;
mod stored;
mod waits;

pub use call_counter::CallCounter;
pub use config::RateLimiterConfig;
pub use counts::RateLimiterStats;
pub use decision::{Decision, Receipt};
pub use limiter::RateLimiter;
pub use lines::{WaitRequest, WaitStart};
pub use local_handle::LocalHandle;
pub use options::{AlgorithmKind, LimitOptions, MAX_LIMITS, RateLimiterOptions};
pub(crate) use quota::MAX_SAFE_INTEGER;
pub use quota::Quota;
pub use remote::{Rate, RemoteState, RemoteVerdict, RemoteWord};
pub use scope::Scope;
pub use shared::Repaired;
pub use waits::{WaitId, WaitOutcome, Waited, WaitingThread, Waits};
