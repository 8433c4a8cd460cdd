//! Who is connected: counted over all threads, released with the thread that held it.

mod connection;
pub(crate) mod gauge;
mod options;
mod tracker;

pub use connection::{Connection, ConnectionEvent, ConnectionOptions};
pub use options::{ConnectionTrackerConfig, ConnectionTrackerOptions};
pub use tracker::{ConnectionTracker, ConnectionTrackerStats, Opened, Refusal};
