//! Statistics of a breaker and of its circuits.

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::CircuitStats;
use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::hash_str;

use super::breaker;
use crate::runtime::error;
use crate::runtime::numbers::{ceil_ms, double};
use crate::runtime::seam::Coded;

/// Sums over all threads, and the number of circuits in each state.
#[napi(object)]
pub struct NativeCircuitBreakerStats {
    pub successes: f64,
    pub failures: f64,
    pub slow_calls: f64,
    pub refused: f64,
    pub ignored: f64,
    pub opened: f64,
    pub evicted: f64,
    pub untracked: f64,
    pub closed: f64,
    pub open: f64,
    pub half_open: f64,
    pub isolated: f64,
    pub disabled: f64,
}

/// One circuit.
#[napi(object)]
pub struct NativeCircuitStats {
    pub peer: String,
    pub state: String,
    pub calls: f64,
    pub failures: f64,
    pub slow_calls: f64,
    pub failure_rate: f64,
    pub slow_call_rate: f64,
    pub retry_after_ms: Option<f64>,
    pub openings: u32,
}

#[napi]
pub fn circuit_breaker_stats(env: Env, handle: u32) -> Result<NativeCircuitBreakerStats> {
    let stats = error::check(&env, breaker(handle)?.stats())?;
    Ok(NativeCircuitBreakerStats {
        successes: double(stats.succeeded),
        failures: double(stats.failed),
        slow_calls: double(stats.slow),
        refused: double(stats.refused),
        ignored: double(stats.ignored),
        opened: double(stats.opened),
        evicted: double(stats.evicted),
        untracked: double(stats.untracked),
        closed: double(stats.closed),
        open: double(stats.open),
        half_open: double(stats.half_open),
        isolated: double(stats.isolated),
        disabled: double(stats.disabled),
    })
}

/// The circuit of one target; null where the target is not tracked.
#[napi]
pub fn circuit_stats(env: Env, handle: u32, peer: String) -> Result<Option<NativeCircuitStats>> {
    let stats = error::check(&env, breaker(handle)?.peer_stats(hash_str(&peer), clock::now()))?;
    Ok(stats.map(Into::into))
}

/// Some circuits, and how many there are besides.
#[napi(object, object_from_js = false)]
pub struct NativeForemostCircuits {
    pub circuits: Vec<NativeCircuitStats>,
    pub others: f64,
}

/// The circuits that an operator looks for, at most so many, sorted by target.
#[napi]
pub fn foremost_circuit_stats(env: Env, handle: u32, most: u32) -> Result<NativeForemostCircuits> {
    let foremost = breaker(handle)?.foremost_stats(most as usize, clock::now());
    let (circuits, others) = error::check(&env, foremost)?;
    let circuits = circuits.into_iter().map(Into::into).collect();
    Ok(NativeForemostCircuits { circuits, others: double(others) })
}

/// All circuits, sorted by target.
#[napi]
pub fn all_circuit_stats(env: Env, handle: u32) -> Result<Vec<NativeCircuitStats>> {
    let all = error::check(&env, breaker(handle)?.all_peer_stats(clock::now()))?;
    Ok(all.into_iter().map(Into::into).collect())
}

impl From<CircuitStats> for NativeCircuitStats {
    fn from(stats: CircuitStats) -> Self {
        Self {
            peer: stats.peer.to_string(),
            state: stats.state.text().to_owned(),
            calls: double(stats.counts.calls),
            failures: double(stats.counts.failures),
            slow_calls: double(stats.counts.slow),
            failure_rate: stats.counts.failure_rate(),
            slow_call_rate: stats.counts.slow_rate(),
            retry_after_ms: stats.retry_after.map(ceil_ms),
            openings: stats.openings,
        }
    }
}
