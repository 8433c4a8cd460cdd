//! Statistics of a hub.

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;

use super::hub;
use crate::runtime::error;

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
        hits: stats.hits as f64,
        stale: stats.stale as f64,
        misses: stats.misses as f64,
        initialisations: stats.initialisations as f64,
        failures: stats.failures as f64,
        timeouts: stats.timeouts as f64,
        handovers: stats.handovers as f64,
        evictions: stats.evictions as f64,
        expired: stats.expired as f64,
        too_large: stats.too_large as f64,
        rejected: stats.rejected as f64,
        remembered: stats.remembered as f64,
        entries: stats.entries as f64,
        bytes: stats.bytes as f64,
        waiting: stats.waiting as f64,
        initialising: stats.initialising as f64,
    })
}
