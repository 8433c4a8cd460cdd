//! Limits per client: how much, decided how, kept where. Each in a file of its own.

pub(crate) mod algorithm;
mod calls;
mod cell;
mod config_epoch;
mod decision;
mod fixed_window;
pub(crate) mod gcra;
mod limiter;
mod local_handle;
mod options;
mod quota;
mod records;
mod sliding_window;
mod table;

pub use calls::RateLimiterStats;
pub use decision::{Decision, Receipt};
pub use limiter::RateLimiter;
pub use local_handle::LocalHandle;
pub use options::{AlgorithmKind, LimitOptions, MAX_LIMITS, Overflow, RateLimiterConfig, RateLimiterOptions};
pub(crate) use quota::MAX_SAFE_INTEGER;
pub use quota::Quota;
