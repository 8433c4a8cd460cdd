//! A cluster: a link for each of its nodes that keeps a part of the counts.
//!
//! Which node has which slot is read from a node at each connection to it, whenever a node is lost, and from the nodes that
//! send calls on. Until it is known, calls wait for the first of the nodes that were named.

use std::fmt;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use redis::Value;

use super::shared::{NodeLink, Shared};
use super::slots::{SLOTS, read_ranges};
use super::work::Manner;
use super::{LinkState, LinkStats};
use crate::answer::{Answer, Deliveries, Failure, Ticket};
use crate::request::{Request, Routing};
use crate::server::{Access, Address, Node, Place, Server, Target};

/// The nodes of a cluster.
pub(crate) struct Cluster {
    own: Weak<Self>,
    seeds: Vec<Node>,
    access: Access,
    map: RwLock<Map>,
    awaiting_ready: Mutex<Vec<Ticket>>,
    last_error: Mutex<Option<String>>,
}

/// Which node has which slot.
#[derive(Default)]
struct Map {
    links: Vec<Arc<NodeLink>>,
    /// By slot the place of its owner among the links; empty while nothing is known.
    owners: Vec<Option<u16>>,
}

impl Map {
    fn owner(&self, slot: u16) -> Option<&Arc<NodeLink>> {
        let place = (*self.owners.get(usize::from(slot))?)?;
        self.links.get(usize::from(place))
    }

    fn ready(&self) -> Option<&Arc<NodeLink>> {
        self.links.iter().find(|link| link.state() == LinkState::Ready)
    }

    fn place_of(&self, address: &Address) -> Option<usize> {
        self.links.iter().position(|link| is_at(link, address))
    }

    /// The links whose nodes have slots.
    fn owning(&self) -> Vec<&Arc<NodeLink>> {
        let mut owns = vec![false; self.links.len()];
        for place in self.owners.iter().flatten() {
            owns[usize::from(*place)] = true;
        }
        self.links.iter().zip(owns).filter(|(_, owns)| *owns).map(|(link, _)| link).collect()
    }

    /// Of all that have slots, the one that is furthest from being asked.
    fn state(&self) -> LinkState {
        let is_known = !self.owners.is_empty();
        let states: Vec<_> = if is_known { self.owning() } else { self.links.iter().collect() }
            .iter()
            .map(|link| link.state())
            .collect();
        let any = |state| states.contains(&state);
        let is_covered = self.owners.iter().all(Option::is_some);
        match is_known {
            true if any(LinkState::Away) || !is_covered => LinkState::Away,
            true if any(LinkState::Connecting) || any(LinkState::Idle) => LinkState::Connecting,
            true => LinkState::Ready,
            false if states.is_empty() => LinkState::Idle,
            false if any(LinkState::Connecting) => LinkState::Connecting,
            false => LinkState::Away,
        }
    }
}

impl Cluster {
    pub(super) fn new(seeds: &[Node]) -> Arc<Self> {
        Arc::new_cyclic(|own| Self {
            own: Weak::clone(own),
            seeds: seeds.to_vec(),
            access: seeds.first().map(|seed| seed.access.clone()).unwrap_or_default(),
            map: RwLock::default(),
            awaiting_ready: Mutex::default(),
            last_error: Mutex::default(),
        })
    }

    #[expect(clippy::result_large_err, reason = "what is given back is what was given")]
    pub(super) fn ask(&self, request: Request, manner: Manner) -> Result<bool, (Request, Failure)> {
        match self.link_for(request.slot()) {
            Some(link) => link.ask(request, manner),
            None => Err((request, Failure::Away)),
        }
    }

    /// Sends what callers have left for any node.
    pub(super) fn flush(&self) {
        let links = self.map.read().links.clone();
        for link in links.iter().filter(|link| link.has_pending()) {
            link.flush();
        }
    }

    /// Answers once each part of the counts has a server; at once where it has.
    pub(super) fn ready(&self, ticket: Ticket) -> Option<Answer> {
        if self.map.read().owners.is_empty() {
            self.connect_seeds();
        }
        let mut awaiting = self.awaiting_ready.lock();
        // Under the lock: a link is ready before it takes the list.
        if self.map.read().state() == LinkState::Ready {
            return Some(Answer::Ready);
        }
        awaiting.push(ticket);
        None
    }

    /// One more node can be asked.
    pub(super) fn node_is_ready(&self) {
        let mut awaiting = self.awaiting_ready.lock();
        if awaiting.is_empty() || self.map.read().state() != LinkState::Ready {
            return;
        }
        let tickets = std::mem::take(&mut *awaiting);
        drop(awaiting);
        let mut deliveries = Deliveries::default();
        for ticket in tickets {
            deliveries.put(&ticket, Answer::Ready);
        }
    }

    pub(super) fn failed(&self, error: String) {
        *self.last_error.lock() = Some(error);
    }

    /// The link of the slot's node; while that is not known, the first that may tell.
    fn link_for(&self, slot: u16) -> Option<Arc<NodeLink>> {
        let map = self.map.read();
        if !map.owners.is_empty() {
            // For a slot that has no owner, any node says why.
            return map.owner(slot).or_else(|| map.ready()).cloned();
        }
        drop(map);
        let can_be_asked = |link: &Arc<NodeLink>| link.state() != LinkState::Away;
        self.seeds.iter().map(|seed| self.link_to(&seed.address)).find(can_be_asked)
    }

    /// The link to a node, which may be a new one.
    pub(super) fn link_to(&self, address: &Address) -> Arc<NodeLink> {
        let mut map = self.map.write();
        let place = self.place_in(&mut map, address);
        Arc::clone(&map.links[place])
    }

    fn place_in(&self, map: &mut Map, address: &Address) -> usize {
        map.place_of(address).unwrap_or_else(|| {
            let node = Node { address: address.clone(), access: self.access.clone() };
            map.links.push(Arc::new(NodeLink::new(Place::Node(node), Some(Weak::clone(&self.own)))));
            map.links.len() - 1
        })
    }

    /// A node says that another has the slot.
    pub(super) fn moved(&self, slot: u16, to: &Address) -> Arc<NodeLink> {
        let mut map = self.map.write();
        let place = self.place_in(&mut map, to);
        if let (Some(owner), Ok(place)) = (map.owners.get_mut(usize::from(slot)), u16::try_from(place)) {
            *owner = Some(place);
        }
        Arc::clone(&map.links[place])
    }

    /// A node says how the cluster is divided. The nodes with slots are connected to; links that serve nothing any more end.
    pub(super) fn learn(&self, asked: &Address, answer: &Value) {
        let ranges = read_ranges(asked, answer);
        if ranges.is_empty() {
            return;
        }
        let mut map = self.map.write();
        let known = std::mem::take(&mut *map);
        // What calls are pending on stays until they are answered.
        map.links = known.links.iter().filter(|link| link.has_pending()).cloned().collect();
        map.owners = vec![None; SLOTS];
        for range in ranges {
            if map.place_of(&range.owner).is_none()
                && let Some(place) = known.place_of(&range.owner)
            {
                map.links.push(Arc::clone(&known.links[place]));
            }
            let place = u16::try_from(self.place_in(&mut map, &range.owner)).ok();
            map.owners[usize::from(range.first)..=usize::from(range.last)].fill(place);
        }
        let owning: Vec<_> = map.owning().into_iter().cloned().collect();
        drop(map);
        drop(known);
        for link in owning {
            link.start();
        }
        self.node_is_ready();
    }

    /// Reads anew how the cluster is divided, as a node is lost.
    pub(super) fn refresh(&self) {
        let links: Vec<_> = self.map.read().links.clone();
        let ready: Vec<_> = links.into_iter().filter(|link| link.state() == LinkState::Ready).collect();
        // Any of them: one may be about to be lost as well.
        match fastrand::choice(&ready) {
            Some(link) => link.wants_slots(),
            None => self.connect_seeds(),
        }
    }

    fn connect_seeds(&self) {
        for seed in &self.seeds {
            self.link_to(&seed.address).start();
        }
    }

    /// Sends calls that wait for a node that cannot be asked to those that the cluster has now for them.
    pub(super) fn route(&self, from: &Shared, requests: Vec<Request>) {
        let mut groups: Vec<(Option<Arc<NodeLink>>, Vec<Request>)> = Vec::new();
        for request in requests {
            let link = self.link_for(request.slot());
            let request = Request { routing: Routing { asking: false, ..request.routing }, ..request };
            let is_same = |known: &Option<Arc<NodeLink>>| match (known, &link) {
                (Some(known), Some(link)) => Arc::ptr_eq(known, link),
                (None, None) => true,
                _ => false,
            };
            match groups.iter_mut().find(|(known, _)| is_same(known)) {
                Some((_, group)) => group.push(request),
                None => groups.push((link, vec![request])),
            }
        }
        for (link, group) in groups {
            self.hand(from, link.as_ref(), group);
        }
    }

    /// Gives calls that a link has not had run to another, or answers them.
    #[expect(clippy::unused_self, reason = "only a cluster has several links")]
    pub(super) fn hand(&self, from: &Shared, link: Option<&Arc<NodeLink>>, requests: Vec<Request>) {
        let count = requests.len();
        let refused = match link {
            Some(link) if !link.is(from) => link.take_over(requests),
            _ => requests,
        };
        from.left(count - refused.len());
        from.fail(refused, Failure::Away);
    }

    /// Whether no node can be asked.
    pub(super) fn is_away(&self) -> bool {
        let map = self.map.read();
        !map.links.is_empty() && map.links.iter().all(|link| link.state() == LinkState::Away)
    }

    pub(super) fn stats(&self) -> LinkStats {
        let map = self.map.read();
        let all: Vec<_> = map.links.iter().map(|link| link.stats()).collect();
        let owning: Vec<_> = map.owning().into_iter().map(|link| link.stats()).collect();
        let trips: Vec<_> = owning.iter().filter_map(|link| link.round_trip).collect();
        let sum = |count: fn(&LinkStats) -> u64| all.iter().map(count).sum();
        LinkStats {
            state: map.state(),
            server: Server(Target::Cluster(self.seeds.clone())).to_string(),
            version: owning.iter().find_map(|link| link.version.clone()),
            eviction_policy: owning.iter().find_map(|link| link.eviction_policy.clone()),
            last_error: self.last_error.lock().clone(),
            commands: sum(|link| link.commands),
            connections: sum(|link| link.connections),
            pending: all.iter().map(|link| link.pending).sum(),
            round_trip: trips.iter().max().copied(),
            nodes: owning.into_iter().flat_map(|link| link.nodes).collect(),
        }
    }
}

fn is_at(link: &NodeLink, address: &Address) -> bool {
    matches!(&link.place, Place::Node(node) if node.address == *address)
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("seeds", &self.seeds).finish_non_exhaustive()
    }
}
