//! What a peer can ask about its broker.

use std::sync::Arc;

use napi::bindgen_prelude::{BufferSlice, Env, Result};
use napi_derive::napi;
use sluice_core::{Broker, LatencyCounts, Peer};

use super::{BROKERS, Membership, on};
use crate::runtime::numbers::double;

#[napi(object)]
pub struct NativePeer<'env> {
    pub number: u32,
    pub id: String,
    pub thread_id: u32,
    pub metadata: Option<BufferSlice<'env>>,
    pub load: u32,
}

#[napi(object)]
pub struct NativeEndpoint {
    pub name: String,
    /// Numbers of the peers that serve it.
    pub peers: Vec<u32>,
}

/// Totals over all threads.
#[napi(object)]
pub struct NativeBrokerStats {
    pub peers: f64,
    pub endpoints: f64,
    pub waiting: f64,
    pub in_flight: f64,
    /// Messages that their receivers could not decode, since the broker was created.
    pub undecodable: f64,
}

/// Most messages pending at a peer, and most requests that it works on.
#[napi]
pub fn broker_inbox(handle: u32) -> Result<u32> {
    on(handle, |membership| membership.broker.inbox())
}

/// The first request number after the last reset.
#[napi]
pub fn first_request_since_reset(handle: u32) -> Result<f64> {
    on(handle, |membership| double(membership.broker.first_since_reset()))
}

/// The number of an endpoint that is or was served.
#[napi]
pub fn endpoint_number(handle: u32, endpoint: String) -> Result<Option<u32>> {
    on(handle, |membership| membership.broker.endpoint(&endpoint))
}

#[napi]
pub fn broker_peers(env: &Env, handle: u32) -> Result<Vec<NativePeer<'_>>> {
    let peers = on(handle, |membership| membership.broker.peers())?;
    peers.iter().map(|peer| describe(env, peer)).collect()
}

#[napi]
pub fn broker_endpoints(handle: u32) -> Result<Vec<NativeEndpoint>> {
    let endpoints = on(handle, |membership| membership.broker.endpoints())?;
    Ok(endpoints.into_iter().map(|(name, peers)| NativeEndpoint { name: name.to_string(), peers }).collect())
}

#[napi]
pub fn broker_stats(handle: u32) -> Result<NativeBrokerStats> {
    let stats = on(handle, |membership| membership.broker.stats())?;
    Ok(NativeBrokerStats {
        peers: double(stats.peers),
        endpoints: double(stats.endpoints),
        waiting: double(stats.waiting),
        in_flight: double(stats.in_flight),
        undecodable: double(stats.undecodable),
    })
}

/// A broker, as one sees it that has not joined.
#[napi(object, object_from_js = false)]
pub struct NativeBrokerOverview {
    /// Most messages pending at a peer, and most requests that it works on.
    pub inbox: u32,
    pub peers: Vec<NativePeerLoad>,
    pub endpoints: Vec<NativeEndpoint>,
    pub undecodable: f64,
    /// Calls that were sent to a peer.
    pub calls: f64,
    /// Calls that no peer had room for, or served.
    pub refused_calls: f64,
}

/// A peer and what it has to do.
#[napi(object, object_from_js = false)]
pub struct NativePeerLoad {
    pub number: u32,
    pub id: String,
    pub thread_id: u32,
    /// Requests sent to it and not answered yet.
    pub in_flight: u32,
    /// Messages sent to it and not taken from its inbox yet.
    pub waiting: u32,
    /// How many of its answers took how long, by bucket; none where that was not measured.
    pub round_trips: Option<Vec<f64>>,
}

/// The peers and endpoints of a broker; none where there is none of this name.
#[napi]
pub fn broker_overview(name: String) -> Option<NativeBrokerOverview> {
    let broker = BROKERS.open(&name, None).ok()?;
    let load = |peer: &Arc<Peer>| {
        let info = peer.info();
        NativePeerLoad {
            number: info.number,
            id: info.id.to_string(),
            thread_id: info.thread_id,
            in_flight: peer.load(),
            waiting: peer.pending_messages(),
            round_trips: peer.round_trips.counts().map(|counts| counts.buckets.map(double).to_vec()),
        }
    };
    let endpoints = broker.endpoints().into_iter();
    let stats = broker.stats();
    Some(NativeBrokerOverview {
        inbox: broker.inbox(),
        peers: broker.peers().iter().map(load).collect(),
        endpoints: endpoints.map(|(name, peers)| NativeEndpoint { name: name.to_string(), peers }).collect(),
        undecodable: double(stats.undecodable),
        calls: double(stats.calls),
        refused_calls: double(stats.refused),
    })
}

/// How long calls of each broker took, where that was measured.
pub(crate) fn latencies() -> Vec<(String, LatencyCounts)> {
    let of = |broker: &Arc<Broker>| Some((broker.name().to_owned(), broker.round_trips().counts()?));
    BROKERS.all().iter().filter_map(of).collect()
}

/// Counts a message that this thread could not decode.
#[napi]
pub fn count_undecodable_in_broker(handle: u32) -> Result<()> {
    on(handle, |membership| membership.broker.count_undecodable())
}

/// Releases the capacity that this thread has reserved. It has delivered all its messages before.
#[napi]
pub fn release_unused_in_broker(handle: u32) -> Result<()> {
    on(handle, |Membership { broker, peer, .. }| broker.release_unused(peer))
}

/// Whether the broker was destroyed.
#[napi]
pub fn is_broker_destroyed(handle: u32) -> Result<bool> {
    on(handle, |membership| membership.broker.is_destroyed())
}

pub(super) fn describe<'env>(env: &'env Env, peer: &Peer) -> Result<NativePeer<'env>> {
    let info = peer.info();
    let metadata =
        (!info.metadata.is_empty()).then(|| BufferSlice::copy_from(env, &info.metadata)).transpose()?;
    Ok(NativePeer {
        number: info.number,
        id: info.id.to_string(),
        thread_id: info.thread_id,
        metadata,
        load: peer.load(),
    })
}
