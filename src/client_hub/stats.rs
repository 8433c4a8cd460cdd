//! Statistics of a hub.

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;

use super::hub;
use crate::runtime::error;
use crate::runtime::numbers::double;

#[napi(object)]
pub struct NativeClientHubStats {
    pub hits: f64,
    pub stale: f64,
    pub misses: f64,
    pub initialisations: f64,
    pub failures: f64,
    pub timeouts: f64,
    pub handovers: f64,
    pub evictions: f64,
    pub expired: f64,
    pub too_large: f64,
    pub rejected: f64,
    pub remembered: f64,
    pub entries: f64,
    pub bytes: f64,
    pub waiting: f64,
    pub initialising: f64,
}

#[napi]
pub fn client_hub_stats(env: Env, handle: u32) -> Result<NativeClientHubStats> {
    let stats = error::check(&env, hub(handle)?.stats())?;
    Ok(NativeClientHubStats {
        hits: double(stats.hits),
        stale: double(stats.stale),
        misses: double(stats.misses),
        initialisations: double(stats.initialisations),
        failures: double(stats.failures),
        timeouts: double(stats.timeouts),
        handovers: double(stats.handovers),
        evictions: double(stats.evictions),
        expired: double(stats.expired),
        too_large: double(stats.too_large),
        rejected: double(stats.rejected),
        remembered: double(stats.remembered),
        entries: double(stats.entries),
        bytes: double(stats.bytes),
        waiting: double(stats.waiting),
        initialising: double(stats.initialising),
    })
}
