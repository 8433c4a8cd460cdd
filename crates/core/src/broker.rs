//! Threads that find and call each other: peers, endpoints, and an inbox per peer.
//!
//! A sender first reserves capacity at the receiver, which may refuse, and later delivers several messages at once. So a
//! refusal is known when the call is made, although messages travel in batches. Replies need no capacity: a bound that
//! could refuse a reply would lose its call.

mod capacity;
mod delivery;
mod directory;
mod inbox;
mod instance;
mod membership;
mod occupancy;
mod options;
mod peer;
mod reservations;
mod routing;
mod shapes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use directory::PeerInfo;
pub use inbox::{Batch, Body, BrokerEvent, HEADER_LENGTH, Header, InboxItem};
pub use membership::JoinRequest;
pub use options::{BrokerConfig, BrokerOptions};
pub use peer::Peer;
pub use routing::{Route, SendRefusal};
pub use shapes::Shapes;

use crate::runtime::instances::OptionList;
use crate::runtime::latency_histogram::LatencyHistogram;
use directory::Directory;

/// Peers that find and call each other under one name.
#[derive(Debug)]
pub struct Broker {
    name: String,
    created_with: OptionList,
    inbox: AtomicU32,
    directory: ArcSwap<Directory>,
    /// Serialises changes of the directory, so that all peers see their events in one order.
    changing: Mutex<LastPeerNumber>,
    /// The number of the next request.
    sequence: AtomicU64,
    first_since_reset: AtomicU64,
    is_closed: AtomicBool,
    undecodable: AtomicU64,
    /// Requests that took a number and were refused.
    refused: AtomicU64,
    /// How long calls took until they were answered, where that is measured.
    round_trips: LatencyHistogram,
}

/// The highest number that a peer of the broker has had.
#[derive(Debug, Default)]
struct LastPeerNumber(u32);

/// Totals over all peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerStats {
    /// Peers.
    pub peers: u64,
    /// Endpoints that at least one peer serves.
    pub endpoints: u64,
    /// Messages that were sent and not taken from an inbox yet.
    pub waiting: u64,
    /// Requests that were sent and not answered yet.
    pub in_flight: u64,
    /// Messages that their receivers could not decode, since the broker was created.
    pub undecodable: u64,
    /// Requests that were sent to a peer, since the broker was created or reset.
    pub calls: u64,
    /// Requests that no peer had room for, or served.
    pub refused: u64,
}

impl Broker {
    /// A broker without peers.
    #[must_use]
    pub fn new(name: &str, config: BrokerConfig) -> Self {
        Self {
            name: name.to_owned(),
            created_with: config.options.list(),
            inbox: AtomicU32::new(config.inbox),
            directory: ArcSwap::default(),
            changing: Mutex::default(),
            sequence: AtomicU64::new(0),
            first_since_reset: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            undecodable: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            round_trips: LatencyHistogram::new(),
        }
    }

    /// Its name in the process.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Most messages pending at a peer, and most requests that it works on.
    #[must_use]
    pub fn inbox(&self) -> u32 {
        // Relaxed: a bound to compare with; it publishes nothing.
        self.inbox.load(Ordering::Relaxed)
    }

    /// The first request number after the last reset. Calls with lower numbers have ended.
    #[must_use]
    pub fn first_since_reset(&self) -> u64 {
        self.first_since_reset.load(Ordering::Acquire)
    }

    /// All peers, in the order in which they joined.
    #[must_use]
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.directory.load().peers().to_vec()
    }

    /// The number of an endpoint that is or was served.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<u32> {
        self.directory.load().endpoint(name)
    }

    /// Endpoints that are served, each with the numbers of its peers.
    #[must_use]
    pub fn endpoints(&self) -> Vec<(Arc<str>, Vec<u32>)> {
        let numbers = |servers: &[Arc<Peer>]| servers.iter().map(|peer| peer.info().number).collect();
        let directory = self.directory.load();
        directory.endpoints().map(|served| (Arc::clone(&served.name), numbers(&served.servers))).collect()
    }

    /// Whether the broker was destroyed.
    #[must_use]
    pub fn is_destroyed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Totals as of now.
    #[must_use]
    pub fn stats(&self) -> BrokerStats {
        let directory = self.directory.load();
        // Refused ones first: each has its number before it is refused, so there are never more of them.
        let refused = self.refused.load(Ordering::Acquire);
        let numbered = self.sequence.load(Ordering::Relaxed).saturating_sub(self.first_since_reset());
        let mut stats = BrokerStats {
            refused,
            calls: numbered.saturating_sub(refused),
            peers: directory.peers().len() as u64,
            endpoints: directory.endpoints().count() as u64,
            // Relaxed: a count, which orders nothing.
            undecodable: self.undecodable.load(Ordering::Relaxed),
            ..BrokerStats::default()
        };
        for peer in directory.peers() {
            stats.waiting += u64::from(peer.pending_messages());
            stats.in_flight += u64::from(peer.load());
        }
        stats
    }

    /// Adds how long the answer to a call took, in nanoseconds. `receiver` is the peer that gave it.
    pub fn add_round_trip(&self, receiver: u32, nanos: u64) {
        self.round_trips.add(nanos);
        if let Some(peer) = self.directory.load().peer(receiver) {
            peer.round_trips.add(nanos);
        }
    }

    /// How long calls took until they were answered: of all peers, those that have left included.
    #[must_use]
    pub fn round_trips(&self) -> &LatencyHistogram {
        &self.round_trips
    }

    /// Counts a message that its receiver could not decode.
    pub fn count_undecodable(&self) {
        // Relaxed: as in `stats`.
        self.undecodable.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests;
