//! What limiters of the fleet count.

use napi::bindgen_prelude::Result;
use napi_derive::napi;
use sluice_fleet::{Failure, FleetCounts, LinkStats, NodeStats};

use crate::runtime::numbers::double;
use crate::runtime::seam::Coded;
use crate::runtime::thread;

/// Calls that the server did not decide, by the reason.
#[napi(object)]
pub struct NativeFleetFailures {
    pub timeout: f64,
    pub away: f64,
    pub full: f64,
    pub late: f64,
    pub refused: f64,
    pub foreign: f64,
}

/// One of the servers that a link asks.
#[napi(object)]
pub struct NativeFleetNode {
    pub server: String,
    pub state: String,
}

/// What a limiter of the fleet counts, and the link that it uses.
#[napi(object)]
pub struct NativeFleetStats {
    pub allowed: f64,
    pub refused: f64,
    pub dry_refused: f64,
    pub state: String,
    pub server: String,
    pub nodes: Vec<NativeFleetNode>,
    pub version: Option<String>,
    pub eviction_policy: Option<String>,
    pub last_error: Option<String>,
    pub commands: f64,
    pub connections: f64,
    pub pending: f64,
    pub decisions: f64,
    pub remembered: f64,
    pub remembers: f64,
    pub local: f64,
    pub missed: f64,
    pub held: f64,
    pub given_back: f64,
    pub latency_ms: Option<f64>,
    pub failures: NativeFleetFailures,
}

#[napi]
pub fn fleet_stats(handle: u32) -> Result<NativeFleetStats> {
    let fleets = thread::current()?.fleets.borrow();
    let fleet = fleets.get(handle)?.fleet();
    let counts: FleetCounts = fleet.counts();
    let link: LinkStats = fleet.link_stats();
    let (held, given_back) = fleet.held();
    Ok(NativeFleetStats {
        allowed: double(counts.allowed),
        refused: double(counts.refused),
        dry_refused: double(counts.dry_refused),
        state: link.state.text().to_owned(),
        server: link.server,
        nodes: link.nodes.into_iter().map(node).collect(),
        version: link.version,
        eviction_policy: link.eviction_policy,
        last_error: link.last_error,
        commands: double(link.commands),
        connections: double(link.connections),
        pending: double(link.pending),
        decisions: double(counts.decisions),
        remembered: double(counts.remembered),
        remembers: double(fleet.remembered()),
        local: double(counts.local),
        missed: double(counts.missed),
        held: double(held),
        given_back: double(given_back),
        latency_ms: link.round_trip.map(|time| time.as_secs_f64() * 1_000.0),
        failures: NativeFleetFailures::of(&counts.failures),
    })
}

fn node(node: NodeStats) -> NativeFleetNode {
    NativeFleetNode { server: node.server, state: node.state.text().to_owned() }
}

impl NativeFleetFailures {
    /// `failures` are in the order of `Failure::ALL`.
    pub(crate) fn of(failures: &[u64; Failure::ALL.len()]) -> Self {
        let failed = |failure: Failure| double(failures[failure as usize]);
        Self {
            timeout: failed(Failure::Timeout),
            away: failed(Failure::Away),
            full: failed(Failure::Full),
            late: failed(Failure::Late),
            refused: failed(Failure::Refused),
            foreign: failed(Failure::Foreign),
        }
    }
}
