//! A call that waits for the server.

use std::sync::Arc;
use std::time::Instant;

use sluice_core::runtime::key_hash::KeyHash;

use crate::answer::Ticket;
use crate::client_name::ClientName;
use crate::limiter::FleetLimiter;
use crate::operation::Operation;
use crate::plan::Plan;

/// What waits for the answer.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) limiter: Arc<FleetLimiter>,
    pub(crate) ticket: Ticket,
    /// The client in this process's own table.
    pub(crate) key: KeyHash,
}

/// A call that waits for the server.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) plan: Arc<Plan>,
    pub(crate) client: ClientName,
    /// The client in the table of what is held.
    pub(crate) key: KeyHash,
    pub(crate) operation: Operation,
    pub(crate) asked: Instant,
    /// When it is answered without the server.
    pub(crate) deadline: Instant,
    /// `None`: what comes of it is of no interest.
    pub(crate) caller: Option<Caller>,
    /// How often the server has said that it did not run it.
    pub(crate) tries: u8,
    /// How it goes to a node of a cluster.
    pub(crate) routing: Routing,
}

/// How a call goes to a node of a cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Routing {
    /// Its slot is moving to the node.
    pub(crate) asking: bool,
    /// No call of another client goes with it: of a slot that is moving, each node has some of the clients.
    pub(crate) alone: bool,
    /// How often a node has named another.
    pub(crate) redirects: u8,
}

impl Routing {
    pub(crate) fn goes_with(&self, other: &Self) -> bool {
        (self.asking, self.alone) == (other.asking, other.alone)
    }
}

impl Request {
    /// A request of which nothing waits for the answer. Its time is over now.
    pub(crate) fn new(plan: Arc<Plan>, client: ClientName, operation: Operation) -> Self {
        let (asked, key) = (Instant::now(), KeyHash::from_halves(0, 0));
        let routing = Routing::default();
        Self { plan, client, key, operation, asked, deadline: asked, caller: None, tries: 0, routing }
    }

    /// The slot of its key in a cluster.
    pub(crate) fn slot(&self) -> u16 {
        match self.operation {
            Operation::Announce => self.plan.options_slot(),
            _ => self.plan.slot_of(&self.client),
        }
    }

    /// Notes that the server does not answer it: where it asked for units, the next call may.
    pub(crate) fn note_unanswered(&self) {
        if let (Operation::Lease { .. }, Some(leases)) = (self.operation, &self.plan.leases) {
            leases.unanswered(&self.client);
        }
    }
}
