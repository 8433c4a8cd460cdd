//! The link to a server: all pending calls of the process, and the thread that sends them. A cluster has one for each node.
//!
//! ```text
//!            ask                          handshake                    two calls overdue
//!  idle ────────────▸ connecting ────────────────────▸ ready ────────────────────────▸ away
//!                       ▴   │ an attempt fails, or          │ cut                      │ ▴
//!                       │   ▾ the first caller gives up     ▾                          │ │
//!                       │  away ◂─────────────────── connecting                        │ │
//!                       └───┴─────────────── an answer, or a connection ◂──────────────┘ │
//!                                            an answer overdue tenfold ends the connection
//! ```
//!
//! While connecting, calls wait for their deadline at most; while away, each is answered at once.

mod cluster;
mod connection;
mod integers;
mod outlet;
mod redirect;
mod sending;
mod sentinel;
mod settle;
mod shared;
mod slots;
mod status;
mod stream;
mod thread;
mod wire;
mod work;

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use self::cluster::Cluster;
pub(crate) use self::connection::{Connected, connect};
pub(crate) use self::redirect::Redirect;
pub(crate) use self::settle::{explain, has_code};
use self::shared::{NodeLink, Shared};
pub(crate) use self::slots::slot_of;
pub(crate) use self::status::{CLOSED, Known, LinkStatus};
pub(crate) use self::work::Manner;
use crate::answer::{Answer, Failure, Ticket};
use crate::request::Request;
use crate::server::{Node, Place, Server, Target};

/// Whether the server can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Nothing was asked yet.
    Idle,
    /// A connection is being made; calls wait for it.
    Connecting,
    /// The server answers.
    Ready,
    /// It does not; calls are answered without it.
    Away,
}

impl LinkState {
    pub(crate) const ALL: [Self; 4] = [Self::Idle, Self::Connecting, Self::Ready, Self::Away];
}

/// One of the servers of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStats {
    /// The server, without credentials.
    pub server: String,
    /// Whether it can be asked.
    pub state: LinkState,
}

/// What a link has done for all limiters of the process that use it.
#[derive(Clone, Debug)]
pub struct LinkStats {
    /// Whether the server can be asked.
    pub state: LinkState,
    /// The server, without credentials.
    pub server: String,
    /// Its name and version, once it was connected.
    pub version: Option<String>,
    /// What it does when its memory is full, where it says so.
    pub eviction_policy: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Script calls sent.
    pub commands: u64,
    /// Connections made.
    pub connections: u64,
    /// Calls pending now.
    pub pending: usize,
    /// A recent round trip of a script call.
    pub round_trip: Option<Duration>,
    /// The servers that are asked: of a cluster all that keep a part of the counts.
    pub nodes: Vec<NodeStats>,
}

/// The link to a server. All limiters of the process that name the server with the same account share one; it ends with the
/// last of them.
#[derive(Debug)]
pub(crate) enum Link {
    One(Arc<NodeLink>),
    Cluster(Arc<Cluster>),
}

type InUse<K, V> = LazyLock<Mutex<HashMap<K, Weak<V>>>>;

static LINKS: InUse<Place, NodeLink> = LazyLock::new(Mutex::default);
static CLUSTERS: InUse<Vec<Node>, Cluster> = LazyLock::new(Mutex::default);

/// The one that is in use, or a new one.
fn shared_one<K: Clone + Eq + Hash, V>(
    known: &InUse<K, V>,
    key: &K,
    make: impl FnOnce() -> Arc<V>,
) -> Arc<V> {
    let mut known = known.lock();
    known.retain(|_, one| one.strong_count() > 0);
    known.get(key).and_then(Weak::upgrade).unwrap_or_else(|| {
        let one = make();
        known.insert(key.clone(), Arc::downgrade(&one));
        one
    })
}

impl Link {
    /// The link to a server; connects with the first call.
    pub(crate) fn to(server: &Server) -> Self {
        match &server.0 {
            Target::Place(place) => {
                Self::One(shared_one(&LINKS, place, || Arc::new(NodeLink::new(place.clone(), None))))
            }
            Target::Cluster(seeds) => Self::Cluster(shared_one(&CLUSTERS, seeds, || Cluster::new(seeds))),
        }
    }

    /// Leaves a call for the server; gives it back where it cannot be asked. Whether the caller must [`flush`](Self::flush).
    #[expect(clippy::result_large_err, reason = "what is given back is what was given")]
    pub(crate) fn ask(&self, request: Request, manner: Manner) -> Result<bool, (Request, Failure)> {
        match self {
            Self::One(link) => link.ask(request, manner),
            Self::Cluster(cluster) => cluster.ask(request, manner),
        }
    }

    /// Sends what callers have left.
    pub(crate) fn flush(&self) {
        match self {
            Self::One(link) => link.flush(),
            Self::Cluster(cluster) => cluster.flush(),
        }
    }

    /// Answers once the server does; at once where it does now.
    pub(crate) fn ready(&self, ticket: Ticket) -> Option<Answer> {
        match self {
            Self::One(link) => link.ready(ticket),
            Self::Cluster(cluster) => cluster.ready(ticket),
        }
    }

    /// Whether calls are answered without the server.
    pub(crate) fn is_away(&self) -> bool {
        match self {
            Self::One(link) => link.state() == LinkState::Away,
            Self::Cluster(cluster) => cluster.is_away(),
        }
    }

    pub(crate) fn stats(&self) -> LinkStats {
        match self {
            Self::One(link) => link.stats(),
            Self::Cluster(cluster) => cluster.stats(),
        }
    }
}
