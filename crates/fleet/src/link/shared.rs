//! What callers and the thread of one connection share.

use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::cluster::Cluster;
use super::connection::Connected;
use super::outlet::Outlet;
use super::status::{Known, LinkStatus};
use super::work::Work;
use super::{LinkState, LinkStats, NodeStats, thread};
use crate::answer::{Answer, Deliveries, Failure, Ticket};
use crate::request::{Caller, Request};
use crate::server::Place;

/// The pending calls for one server, and the thread that sends them, which ends with the last of these.
pub(crate) struct NodeLink(Arc<Shared>);

impl NodeLink {
    /// Of a cluster, the one that the server is a node of.
    pub(super) fn new(place: Place, cluster: Option<Weak<Cluster>>) -> Self {
        Self(Arc::new(Shared::new(place, cluster)))
    }
}

impl Deref for NodeLink {
    type Target = Arc<Shared>;

    fn deref(&self) -> &Arc<Shared> {
        &self.0
    }
}

impl Drop for NodeLink {
    fn drop(&mut self) {
        // No caller has the link any more, so nothing is awaited that could be answered.
        self.0.status.end();
        self.0.wake.notify_one();
    }
}

/// What callers and the thread share.
pub(crate) struct Shared {
    pub(super) place: Place,
    cluster: Option<Weak<Cluster>>,
    pub(super) status: LinkStatus,
    /// A word of its own, so that a call that cannot be held takes no lock.
    pub(super) pending: AtomicUsize,
    pub(super) started: AtomicBool,
    pub(super) work: Mutex<Work>,
    /// Locked before `work`, where both are.
    pub(super) outlet: Mutex<Outlet>,
    pub(super) wake: Notify,
    /// A node of a cluster is to say how that is divided.
    pub(super) wants_slots: AtomicBool,
}

impl Shared {
    fn new(place: Place, cluster: Option<Weak<Cluster>>) -> Self {
        Self {
            work: Mutex::new(Work::new(cluster.is_some())),
            outlet: Mutex::default(),
            place,
            cluster,
            status: LinkStatus::new(LinkState::Idle),
            pending: AtomicUsize::new(0),
            started: AtomicBool::new(false),
            wake: Notify::new(),
            wants_slots: AtomicBool::new(false),
        }
    }

    /// Answers once the server does; at once where it does now.
    pub(super) fn ready(self: &Arc<Self>, ticket: Ticket) -> Option<Answer> {
        self.start();
        self.status.ready(ticket)
    }

    pub(super) fn start(self: &Arc<Self>) {
        if self.started.load(Ordering::Relaxed) || self.started.swap(true, Ordering::AcqRel) {
            return;
        }
        self.set_state(LinkState::Connecting);
        if let Err(error) = thread::start(Arc::clone(self)) {
            self.failed(format!("no thread for the connection: {error}"));
            self.set_state(LinkState::Away);
            self.give_up(Failure::Away);
            self.started.store(false, Ordering::Release);
        }
    }

    pub(crate) fn state(&self) -> LinkState {
        self.status.state()
    }

    pub(super) fn set_state(&self, state: LinkState) {
        if self.status.set_state(state)
            && state == LinkState::Ready
            && let Some(cluster) = self.cluster()
        {
            cluster.node_is_ready();
        }
    }

    /// The cluster that the server is a node of, unless it is not used any more.
    pub(super) fn cluster(&self) -> Option<Arc<Cluster>> {
        self.cluster.as_ref()?.upgrade()
    }

    /// Moves calls that were not run from another link here, before those that came later; gives back those that it
    /// cannot hold.
    pub(super) fn take_over(self: &Arc<Self>, requests: Vec<Request>) -> Vec<Request> {
        if self.state() == LinkState::Away || requests.is_empty() {
            return requests;
        }
        // Relaxed: a bound, which publishes nothing. It may be exceeded by what was pending already.
        self.pending.fetch_add(requests.len(), Ordering::Relaxed);
        self.work.lock().ask_again(requests);
        self.wake.notify_one();
        self.start();
        Vec::new()
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }

    pub(super) fn has_pending(&self) -> bool {
        // Relaxed: what is missed is a call that this link was not given yet.
        self.pending.load(Ordering::Relaxed) > 0
    }

    /// Asks the node how its cluster is divided.
    pub(super) fn wants_slots(&self) {
        self.wants_slots.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    /// The node is lost: others may know which has its slots now.
    pub(super) fn look_elsewhere(&self) {
        if let Some(cluster) = self.cluster() {
            cluster.refresh();
        }
    }

    /// Calls that were given to another link.
    pub(super) fn left(&self, count: usize) {
        self.pending.fetch_sub(count, Ordering::Relaxed);
    }

    pub(super) fn is_closing(&self) -> bool {
        self.status.is_closing()
    }

    pub(super) fn failed(&self, error: String) {
        if let Some(cluster) = self.cluster() {
            cluster.failed(error.clone());
        }
        self.status.failed(error);
    }

    /// A connection was made.
    pub(super) fn connected(&self, connected: &Connected) {
        self.status.connected(connected);
        self.work.lock().connected(connected.clock);
        self.set_state(LinkState::Ready);
    }

    /// Answers the calls whose answer was lost with the connection.
    pub(super) fn give_up_sent(&self) {
        let requests = self.work.lock().take_all_sent();
        self.fail(requests, Failure::Away);
    }

    /// Answers the calls that were not sent; of a cluster, another node may know where they belong.
    pub(super) fn give_up_queued(self: &Arc<Self>) {
        let requests = self.work.lock().take_all_queued();
        match self.cluster() {
            Some(cluster) => cluster.route(self, requests),
            None => self.fail(requests, Failure::Away),
        }
    }

    /// Answers the calls that were not sent, except those that give units back.
    pub(super) fn drop_asks(&self) {
        let requests = self.work.lock().take_asks();
        self.fail(requests, Failure::Away);
    }

    /// Answers every pending call without the server.
    pub(super) fn give_up(&self, failure: Failure) {
        let requests = self.work.lock().take_all();
        self.fail(requests, failure);
    }

    pub(super) fn fail(&self, requests: Vec<Request>, failure: Failure) {
        let mut deliveries = Deliveries::default();
        for request in requests {
            if request.caller.is_none() {
                request.note_unanswered();
            }
            self.answer(request, &mut deliveries, |caller, request| {
                caller.limiter.without_server(request, caller.key, failure)
            });
        }
    }

    /// Answers a call with what `answer` makes of it.
    pub(super) fn answer(
        &self,
        request: Request,
        deliveries: &mut Deliveries,
        answer: impl FnOnce(&Caller, &Request) -> Answer,
    ) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
        if let Some(caller) = &request.caller {
            deliveries.put(&caller.ticket, answer(caller, &request));
        }
    }

    pub(super) fn stats(&self) -> LinkStats {
        let Known { node, version, eviction_policy, last_error } = self.status.known();
        let (state, server) = (self.state(), self.place.to_string());
        let node = node.unwrap_or_else(|| server.clone());
        LinkStats {
            state,
            server,
            nodes: vec![NodeStats { server: node, state }],
            version,
            eviction_policy,
            last_error,
            commands: self.status.commands(),
            connections: self.status.connections(),
            pending: self.pending.load(Ordering::Relaxed),
            round_trip: self.status.round_trip(),
        }
    }
}

impl fmt::Debug for NodeLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeLink").field("place", &self.0.place).finish_non_exhaustive()
    }
}
