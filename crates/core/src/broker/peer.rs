//! One thread's membership in a broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::directory::PeerInfo;
use super::inbox::{Inbox, InboxItem};
use super::occupancy::{Capacity, Occupancy};
use super::reservations::Reservations;
use crate::runtime::ThreadId;
use crate::runtime::latency_histogram::LatencyHistogram;

/// A thread that has joined.
#[derive(Debug)]
pub struct Peer {
    info: Arc<PeerInfo>,
    pub(crate) thread: ThreadId,
    pub(crate) occupancy: Occupancy,
    pub(crate) inbox: Inbox,
    /// Capacity that it reserved at others and has not used yet; released when it leaves.
    pub(crate) reservations: Mutex<Reservations>,
    /// Whether the other peers were notified that it joined.
    is_announced: AtomicBool,
    /// Peers that it refused and that are notified when it has drained.
    pub(crate) refused_senders: Mutex<Vec<u32>>,
    /// How long its answers to calls took, where that is measured.
    pub round_trips: LatencyHistogram,
}

impl Peer {
    pub(crate) fn new(info: PeerInfo, thread: ThreadId, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            info: Arc::new(info),
            thread,
            occupancy: Occupancy::default(),
            inbox: Inbox::new(wake),
            reservations: Mutex::default(),
            refused_senders: Mutex::default(),
            round_trips: LatencyHistogram::new(),
            is_announced: AtomicBool::new(false),
        }
    }

    /// What other peers know about it.
    #[must_use]
    pub fn info(&self) -> &Arc<PeerInfo> {
        &self.info
    }

    pub(super) fn is_announced(&self) -> bool {
        // Acquire: a sender that sees it set sends after the event, which is in every inbox by then.
        self.is_announced.load(Ordering::Acquire)
    }

    /// Whether this call was the first.
    pub(super) fn set_announced(&self) -> bool {
        !self.is_announced.swap(true, Ordering::AcqRel)
    }

    /// Requests sent to it and not answered yet.
    #[must_use]
    pub fn load(&self) -> u32 {
        self.occupancy.held().requests
    }

    /// Messages sent to it and not taken from its inbox yet.
    #[must_use]
    pub fn pending_messages(&self) -> u32 {
        self.occupancy.held().messages
    }

    /// Moves everything pending into the empty `items`. See [`Inbox::take`].
    pub fn take(&self, items: &mut Vec<InboxItem>, stays_awake: bool) {
        self.inbox.take(items, stays_awake);
    }

    /// Whether it is leaving, and nothing is pending nor will be.
    #[must_use]
    pub fn has_finished(&self) -> bool {
        self.occupancy.is_leaving() && self.occupancy.held() == Capacity::default()
    }
}
