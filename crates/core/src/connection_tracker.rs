//! Open connections: counted over all threads, released with the thread that holds them. Processes can share the counts.

mod config_words;
mod connection;
mod counts;
pub(crate) mod gauge;
mod ids;
mod in_force;
mod instance;
mod options;
mod queries;
mod refusal;
mod shared;
mod stats;
mod stored;
mod tracker;

pub use connection::{Connection, ConnectionEvent, ConnectionOptions, HeldElsewhere, Place};
pub use options::{ConnectionTrackerConfig, ConnectionTrackerOptions};
pub use refusal::{Opened, Refusal};
pub use stats::ConnectionTrackerStats;
pub use tracker::ConnectionTracker;
