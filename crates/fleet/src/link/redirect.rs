//! Calls that a node of a cluster has not run, and where they belong.

use std::sync::Arc;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::cluster::Cluster;
use super::settle::waiting;
use super::shared::Shared;
use super::slots::address_of;
use crate::answer::Failure;
use crate::composer::Batch;
use crate::request::{Request, Routing};
use crate::server::{Address, Place};

/// Nodes that do not agree send a call to and fro; it is refused then.
const MOST_REDIRECTS: u8 = 16;

/// What a node says of a call that it has not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Redirect {
    /// Another node has the slot.
    Moved { slot: u16, to: Address },
    /// The slot is moving to another node, which has the client already, or is to have it.
    Ask { to: Address },
    /// The slot is moving, and of the clients of this call the node has some only.
    TryAgain,
}

impl Redirect {
    /// `None` for every other error.
    pub(crate) fn of(error: &RedisError, asked: &Address) -> Option<Self> {
        let ErrorKind::Server(kind) = error.kind() else { return None };
        if kind == ServerErrorKind::TryAgain {
            return Some(Self::TryAgain);
        }
        let (node, slot) = error.redirect_node()?;
        // The port is behind the last colon: an address of IPv6 has others.
        let (host, port) = node.rsplit_once(':')?;
        let to = address_of(asked, host.trim_matches(['[', ']']), port.parse().ok()?)?;
        if kind == ServerErrorKind::Ask { Some(Self::Ask { to }) } else { Some(Self::Moved { slot, to }) }
    }
}

impl Shared {
    /// Where a call belongs that a node of a cluster has answered with this error.
    pub(super) fn redirect_of(&self, error: &RedisError) -> Option<(Arc<Cluster>, Redirect)> {
        let cluster = self.cluster()?;
        let Place::Node(node) = &self.place else { return None };
        Redirect::of(error, &node.address).map(|redirect| (cluster, redirect))
    }

    /// Sends the calls of a batch, which was not run, where they belong.
    pub(super) fn follow(self: &Arc<Self>, cluster: &Cluster, redirect: Redirect, batch: Batch) {
        let routing = batch.routing();
        let alone = routing.alone || batch.entries().len() > 1;
        let (again, lost): (Vec<_>, Vec<_>) =
            waiting(batch).into_iter().partition(|request| request.routing.redirects < MOST_REDIRECTS);
        if !lost.is_empty() {
            self.failed("the nodes of the cluster do not agree where a slot is".to_owned());
            self.fail(lost, Failure::Refused);
        }
        match redirect {
            Redirect::Moved { slot, to } => {
                let link = cluster.moved(slot, &to);
                self.wants_slots();
                cluster.hand(self, Some(&link), rerouted(again, false, false));
            }
            Redirect::Ask { to } => {
                cluster.hand(self, Some(&cluster.link_to(&to)), rerouted(again, true, alone));
            }
            Redirect::TryAgain => self.work.lock().ask_again(rerouted(again, routing.asking, true)),
        }
    }
}

fn rerouted(requests: Vec<Request>, asking: bool, alone: bool) -> Vec<Request> {
    let reroute = |request: Request| {
        let redirects = request.routing.redirects + 1;
        Request { routing: Routing { asking, alone, redirects }, ..request }
    };
    requests.into_iter().map(reroute).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: ServerErrorKind, detail: &str) -> Option<Redirect> {
        let asked = Address::Tcp { host: "asked".to_owned(), port: 1 };
        let error = RedisError::from((ErrorKind::Server(kind), "", detail.to_owned()));
        Redirect::of(&error, &asked)
    }

    #[test]
    fn reads_where_a_call_belongs() {
        let to = |host: &str, port| Address::Tcp { host: host.to_owned(), port };
        let moved = |host, port| Some(Redirect::Moved { slot: 3_999, to: to(host, port) });
        assert_eq!(of(ServerErrorKind::Moved, "3999 127.0.0.1:6381"), moved("127.0.0.1", 6381));
        assert_eq!(of(ServerErrorKind::Moved, "3999 :6381"), moved("asked", 6381));
        assert_eq!(of(ServerErrorKind::Moved, "3999 2001:db8::1:6381"), moved("2001:db8::1", 6381));
        assert_eq!(of(ServerErrorKind::Ask, "3999 b:6381"), Some(Redirect::Ask { to: to("b", 6381) }));
        assert_eq!(of(ServerErrorKind::TryAgain, ""), Some(Redirect::TryAgain));
        for (kind, detail) in [
            (ServerErrorKind::Moved, "3999"),
            (ServerErrorKind::Moved, "3999 ?:1"),
            (ServerErrorKind::ClusterDown, "3999 a:1"),
        ] {
            assert_eq!(of(kind, detail), None, "{detail}");
        }
    }
}
