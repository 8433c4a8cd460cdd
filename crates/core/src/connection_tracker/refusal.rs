//! What an attempt to open a connection comes to.

use std::sync::Arc;

use super::connection::Connection;

/// Why a connection was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `max` connections are open.
    Max,
    /// The client has `maxPerClient` open connections.
    MaxPerClient,
    /// The client opens too often.
    Opens {
        /// Nanoseconds until it may open again.
        retry_after: u64,
    },
}

/// The answer to an attempt to open.
#[derive(Clone, Debug)]
pub enum Opened {
    /// The connection counts from now on.
    Yes(Arc<Connection>),
    /// Nothing was charged.
    No(Refusal),
}
