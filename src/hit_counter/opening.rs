//! Calls that are not made for every request.

use napi::bindgen_prelude::{Env, Object, Result, Uint16Array};
use napi_derive::napi;
use sluice_core::runtime::clock;
use sluice_core::{HitCounterConfig, HitCounterOptions};

use super::COUNTERS;
use super::numbers::{left_ms, time};
use crate::runtime::numbers::double;
use crate::runtime::options::Given;
use crate::runtime::{error, instances, memory, thread};

/// Sums over all threads.
#[napi(object)]
pub struct NativeHitCounterStats {
    pub size: f64,
    pub capacity: f64,
    pub live_evictions: f64,
    pub untracked: f64,
    pub saturated: f64,
}

/// A key whose window runs.
#[napi(object)]
pub struct NativeKeptHits {
    /// Its text, as UTF-16.
    pub key: Uint16Array,
    pub count: f64,
    pub left_ms: f64,
}

/// Attaches to a counter or creates it; the handle is this thread's.
#[napi]
pub fn open_hit_counter(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let options = options.map(|options| HitCounterOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(HitCounterConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let counter = instances::open(&env, &COUNTERS, &name, config, reconfigures)?;
    let port = thread::port_of(&env)?;
    memory::report(port, counter.memory());
    Ok(port.thread().hit_counters.borrow_mut().hold(counter))
}

/// A JavaScript object that stands for the counter was collected.
#[napi]
pub fn release_hit_counter(handle: u32) -> Result<()> {
    thread::current()?.hit_counters.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_hit_counter(name: String) -> bool {
    COUNTERS.destroy(&name)
}

#[napi]
pub fn clear_hit_counter(env: Env, handle: u32) -> Result<()> {
    let cleared = thread::current()?.hit_counters.borrow_mut().get_mut(handle)?.clear();
    error::check(&env, cleared)
}

#[napi]
pub fn hit_counter_stats(env: Env, handle: u32) -> Result<NativeHitCounterStats> {
    let stats = {
        let mut counters = thread::current()?.hit_counters.borrow_mut();
        counters.get_mut(handle)?.stats(clock::now())
    };
    let stats = error::check(&env, stats)?;
    Ok(NativeHitCounterStats {
        size: double(stats.size),
        capacity: double(stats.capacity),
        live_evictions: double(stats.live_evictions),
        untracked: double(stats.untracked),
        saturated: double(stats.saturated),
    })
}

/// All keys whose window runs at `now`: UTC milliseconds, negative for the time of the process.
#[napi]
pub fn dump_hit_counter(env: Env, handle: u32, now: f64) -> Result<Vec<NativeKeptHits>> {
    let dumped = thread::current()?.hit_counters.borrow_mut().get_mut(handle)?.dump(time(now));
    let dumped = error::check(&env, dumped)?.into_iter();
    let kept = dumped.map(|kept| NativeKeptHits {
        key: Uint16Array::new(kept.key.into_vec()),
        count: double(kept.hits.count),
        left_ms: left_ms(kept.hits.left),
    });
    Ok(kept.collect())
}
