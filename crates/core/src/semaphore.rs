//! Permits by key: so many at once over all threads, and lines of calls that wait for them, first in, first out.

mod administration;
mod calls;
mod events;
mod instance;
mod key_state;
mod keys;
mod line;
mod options;
mod stats;

pub use calls::{Acquired, Hold, Semaphore};
pub use events::{PermitWaitId, SemaphoreCaller, SemaphoreEvent};
pub use key_state::Served;
pub use options::{SemaphoreConfig, SemaphoreOptions};
pub use stats::SemaphoreStats;

#[cfg(all(test, sluice_loom))]
mod models;
#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;
