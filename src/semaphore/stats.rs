//! Statistics of a semaphore.

use std::collections::HashMap;

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;

use super::semaphore;
use crate::runtime::numbers::double;
use crate::runtime::{error, presence};

/// Counts over all threads; held permits by Node's id of their thread.
#[napi(object)]
pub struct NativeSemaphoreStats {
    pub permits: f64,
    pub held: f64,
    pub waiting: f64,
    pub keys: f64,
    pub acquired: f64,
    pub refused: f64,
    pub taken_back: f64,
    pub per_thread: HashMap<String, f64>,
}

/// Costs one pass over the keys of which permits are held or awaited.
#[napi]
pub fn semaphore_stats(env: Env, handle: u32) -> Result<NativeSemaphoreStats> {
    let stats = error::check(&env, semaphore(handle)?.stats())?;
    // A thread that ends at this moment has no id any more.
    let per_thread = stats
        .per_thread
        .into_iter()
        .filter_map(|(thread, held)| Some((presence::thread_id_of(thread)?.to_string(), double(held))));
    Ok(NativeSemaphoreStats {
        permits: double(stats.permits),
        held: double(stats.held),
        waiting: double(stats.waiting),
        keys: double(stats.keys),
        acquired: double(stats.acquired),
        refused: double(stats.refused),
        taken_back: double(stats.taken_back),
        per_thread: per_thread.collect(),
    })
}

/// Throws once the semaphore is destroyed. Reads no key.
#[napi]
pub fn check_semaphore(env: Env, handle: u32) -> Result<()> {
    error::check(&env, semaphore(handle)?.check_open())
}
