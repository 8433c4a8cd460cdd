//! How long decisions and calls take: what starts the measuring, what JavaScript adds, and what it reads.

use napi::bindgen_prelude::Result;
use napi::sys;
use napi_derive::napi;
use sluice_core::deliveries::Item;
use sluice_core::observation::Measured;
use sluice_core::{LATENCY_BOUNDS, LatencyCounts};

use super::OBSERVATION;
use crate::runtime::numbers::{double, from_ms};
use crate::runtime::presence;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::Coded;
use crate::{broker, guard};

const NANOS_PER_SECOND: f64 = 1e9;

/// A histogram.
#[napi(object, object_from_js = false)]
pub struct NativeLatency {
    /// What was measured: an instance, or a scope of limiters.
    pub name: String,
    /// By bucket, not cumulative; the last one is beyond all bounds.
    pub buckets: Vec<f64>,
    /// The sum of all times, in seconds.
    pub sum: f64,
}

/// All histograms of the process that have counted anything.
#[napi(object, object_from_js = false)]
pub struct NativeLatencies {
    /// By scope: `process`, `fleet`.
    pub limiters: Vec<NativeLatency>,
    pub guards: Vec<NativeLatency>,
    pub brokers: Vec<NativeLatency>,
}

/// Has all threads measure something from now on, by its code in `MEASURED`.
#[napi]
pub fn measure(what: u32) -> Result<()> {
    if OBSERVATION.latencies.measure(Measured::from_code(what)?) {
        presence::notify_all(&Item::MeasuredChanged);
    }
    Ok(())
}

/// Whether threads measure something, by its code in `MEASURED`.
#[napi]
pub fn is_measured(what: u32) -> Result<bool> {
    Ok(OBSERVATION.latencies.measures(Measured::from_code(what)?))
}

/// The upper bounds of the buckets, in seconds.
#[napi]
pub fn latency_bounds() -> Vec<f64> {
    LATENCY_BOUNDS.map(|nanos| double(nanos) / NANOS_PER_SECOND).to_vec()
}

#[napi]
pub fn read_latencies() -> NativeLatencies {
    let all = |named: Vec<(String, LatencyCounts)>| named.into_iter().map(Into::into).collect();
    let latencies = &OBSERVATION.latencies;
    let scopes = [("process", &latencies.process), ("fleet", &latencies.fleet)];
    let limiters = scopes.into_iter().filter_map(|(name, histogram)| {
        let counts = histogram.counts()?;
        Some((name.to_owned(), counts))
    });
    NativeLatencies {
        limiters: all(limiters.collect()),
        guards: all(guard::latencies()),
        brokers: all(broker::latencies()),
    }
}

impl From<(String, LatencyCounts)> for NativeLatency {
    fn from((name, LatencyCounts { buckets, sum }): (String, LatencyCounts)) -> Self {
        Self { name, buckets: buckets.map(double).to_vec(), sum: double(sum) / NANOS_PER_SECOND }
    }
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("addFleetDecision(ms: number): void", add_fleet_decision)
}

/// `addFleetDecision(ms)`: adds how long a decision took that a server was asked for.
unsafe extern "C" fn add_fleet_decision(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        OBSERVATION.latencies.fleet.add(from_ms(call.f64(0)?));
        call.undefined()
    })
}
