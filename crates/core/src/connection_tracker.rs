//! Who is connected: counted over all threads, released with the thread that held it.

mod connection;
pub(crate) mod gauge;
mod options;
mod tracker;

pub use connection::{Connection, ConnectionOptions};
pub use options::{ConnectionTrackerConfig, ConnectionTrackerOptions};
pub use tracker::{ConnectionTracker, ConnectionTrackerStats, Opened, Refusal};

/// The environment, one per thread, that holds something and with which it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Owner(pub u64);
