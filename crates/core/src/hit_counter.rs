//! Hits counted per key, every one of them, in a window that each call names.
//!
//! A [`RateLimiter`](crate::RateLimiter) decides, and a refusal writes nothing. A counter counts and leaves the decision
//! to its caller, as the stores of other limiters do. It has the limiter's table, and the same exactness.

mod cell;
mod contents;
mod counter;
#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod differential;
#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod floods;
mod instance;
mod kept_keys;
mod lengths;
mod local;
#[cfg(all(test, sluice_loom))]
mod models;
mod options;
#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;
mod window;
mod word;

pub use counter::{HitCounter, HitCounterStats};
pub use kept_keys::KeptHits;
pub use local::LocalHitCounter;
pub use options::{HitCounterConfig, HitCounterOptions};
pub use window::{Exceeding, Hit, Hits, WindowLength};
