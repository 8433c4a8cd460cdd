//! Trackers in a directory of their own.
#![allow(dead_code, reason = "each test uses some of it")]

use std::path::Path;
use std::sync::Arc;

use sluice_core::{
    Connection, ConnectionOptions, ConnectionTrackerConfig, ConnectionTrackerOptions, Opened, Refusal,
    ThreadId,
};
use sluice_machine::{Directory, Result, SharedTracker};

pub(crate) const CLIENT: &str = "203.0.113.7";

pub(crate) fn caps(max: Option<u64>, max_per_client: Option<u64>) -> ConnectionTrackerOptions {
    ConnectionTrackerOptions { max, max_per_client, ..ConnectionTrackerOptions::default() }
}

pub(crate) fn open_tracker(path: &Path, options: ConnectionTrackerOptions) -> Result<SharedTracker> {
    let config = ConnectionTrackerConfig::try_from(options)?;
    SharedTracker::open(&Directory::open(path)?, "sockets", config)
}

/// Opens a connection of a client, in a thread of this number.
pub(crate) fn connect(
    tracker: &SharedTracker,
    client: &str,
    thread: u64,
) -> std::result::Result<Arc<Connection>, Refusal> {
    let session = ConnectionOptions::session(ThreadId(thread));
    match tracker.tracker().open(Some(client), session, (0, 0)).expect("open") {
        Opened::Yes(connection) => Ok(connection),
        Opened::No(refusal) => Err(refusal),
    }
}

pub(crate) fn count_for(tracker: &SharedTracker, client: &str) -> u64 {
    tracker.tracker().count_for(client).expect("open")
}

/// Opens connections of as many clients as are given, until one is refused; how many there are then.
pub(crate) fn fill(tracker: &SharedTracker, clients: impl Iterator<Item = String>) -> Vec<Arc<Connection>> {
    clients.map_while(|client| connect(tracker, &client, 1).ok()).collect()
}

/// Addresses of clients, each of another one.
pub(crate) fn addresses() -> impl Iterator<Item = String> {
    (0_u32..).map(|number| std::net::Ipv4Addr::from_bits(0x0a00_0000 + number).to_string())
}
