//! Limits per client: how much, decided how, kept where. Four things in four files.

pub(crate) mod cell;
pub(crate) mod gcra;
mod limiter;
mod quota;
mod table;

pub use limiter::{Decision, RateLimiter, RateLimiterStats};
pub(crate) use quota::{MAX_DURATION_MS, MAX_SAFE_INTEGER};
pub use quota::{Overflow, Quota, RateLimiterConfig, RateLimiterOptions};
