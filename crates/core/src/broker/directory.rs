//! The peers of a broker, and what each serves.

use std::sync::Arc;

use super::inbox::{BrokerEvent, InboxItem};
use super::peer::Peer;

/// What other peers know about a peer.
#[derive(Debug)]
pub struct PeerInfo {
    /// Its number, never reused within a broker. Numbers start at 1 and rise.
    pub number: u32,
    /// The id that users know it by.
    pub id: Box<str>,
    /// Node's id of its thread.
    pub thread_id: u32,
    /// What it published about itself, encoded; empty for nothing.
    pub metadata: Box<[u8]>,
}

/// An immutable snapshot of peers and endpoints.
#[derive(Clone, Debug, Default)]
pub(crate) struct Directory {
    /// Raised when a peer joins or leaves.
    pub(crate) version: u64,
    /// In the order of their numbers.
    peers: Vec<Arc<Peer>>,
    /// By number. An endpoint keeps its number when no peer serves it any more.
    endpoints: Vec<Endpoint>,
}

/// An endpoint that peers serve or have served.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) name: Arc<str>,
    pub(crate) servers: Vec<Arc<Peer>>,
}

impl Directory {
    pub(crate) fn peers(&self) -> &[Arc<Peer>] {
        &self.peers
    }

    pub(crate) fn peer(&self, number: u32) -> Option<&Arc<Peer>> {
        let at = self.peers.binary_search_by_key(&number, |peer| peer.info().number);
        at.ok().map(|at| &self.peers[at])
    }

    pub(crate) fn with_id(&self, id: &str) -> Option<&Arc<Peer>> {
        self.peers.iter().find(|peer| &*peer.info().id == id)
    }

    /// The peers that serve an endpoint.
    pub(crate) fn servers(&self, endpoint: u32) -> &[Arc<Peer>] {
        self.endpoints.get(endpoint as usize).map_or(&[], |endpoint| &endpoint.servers)
    }

    pub(crate) fn endpoint(&self, name: &str) -> Option<u32> {
        let at = self.endpoints.iter().position(|endpoint| &*endpoint.name == name);
        at.and_then(|at| u32::try_from(at).ok())
    }

    /// Endpoints that at least one peer serves.
    pub(crate) fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().filter(|endpoint| !endpoint.servers.is_empty())
    }

    /// Every other peer that accepts messages.
    pub(crate) fn receivers_of(&self, sender: &Peer) -> Vec<Arc<Peer>> {
        let accepts =
            |peer: &&Arc<Peer>| peer.info().number != sender.info().number && !peer.occupancy.is_leaving();
        self.peers.iter().filter(accepts).cloned().collect()
    }

    /// Puts an event into the inbox of every peer, except one.
    pub(crate) fn notify(&self, event: &BrokerEvent, except: Option<u32>) {
        for peer in self.peers.iter().filter(|peer| Some(peer.info().number) != except) {
            peer.inbox.push(InboxItem::Event(event.clone()));
        }
    }

    pub(crate) fn with_peer(&self, peer: Arc<Peer>) -> Self {
        let mut next = self.clone();
        next.version += 1;
        next.peers.push(peer);
        next
    }

    pub(crate) fn without_peer(&self, number: u32) -> Self {
        let mut next = self.without_server(number, None);
        next.version += 1;
        next.peers.retain(|peer| peer.info().number != number);
        next
    }

    /// A snapshot in which `peer` serves `name`, and the endpoint's number.
    pub(crate) fn with_server(&self, peer: &Arc<Peer>, name: &str) -> (Self, u32) {
        let mut next = self.without_server(peer.info().number, Some(name));
        let endpoint = next.endpoint(name).unwrap_or_else(|| {
            next.endpoints.push(Endpoint { name: name.into(), servers: Vec::new() });
            u32::try_from(next.endpoints.len() - 1).unwrap_or(u32::MAX)
        });
        next.endpoints[endpoint as usize].servers.push(Arc::clone(peer));
        (next, endpoint)
    }

    /// A snapshot in which the peer does not serve `name`; with `None`, in which it serves nothing.
    pub(crate) fn without_server(&self, number: u32, name: Option<&str>) -> Self {
        let mut next = self.clone();
        for endpoint in &mut next.endpoints {
            if name.is_none_or(|name| &*endpoint.name == name) {
                endpoint.servers.retain(|peer| peer.info().number != number);
            }
        }
        next
    }
}
