//! Opening a limiter, and its options.

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use sluice_core::runtime::clock;
use sluice_core::{LimitOptions, Quota, RateLimiterConfig, RateLimiterOptions};

use super::{LIMITERS, limiter};
use crate::runtime::numbers::{double, integer, last_bits};
use crate::runtime::options::Given;
use crate::runtime::{error, instances, memory, thread};

/// So many units per so much time; checked to be integers by JavaScript.
#[napi(object)]
pub struct NativeQuota {
    pub limit: f64,
    pub window_ms: f64,
    pub burst: Option<f64>,
}

impl From<NativeQuota> for Quota {
    fn from(quota: NativeQuota) -> Self {
        let burst = quota.burst.map(integer);
        Self { limit: integer(quota.limit), window_ms: integer(quota.window_ms), burst }
    }
}

/// A limit as headers describe it.
#[napi(object)]
pub struct NativePolicy {
    pub name: String,
    pub limit: f64,
    pub window_ms: f64,
}

impl From<&LimitOptions> for NativePolicy {
    fn from(LimitOptions { name, quota, .. }: &LimitOptions) -> Self {
        Self { name: name.clone(), limit: double(quota.limit), window_ms: double(quota.window_ms) }
    }
}

/// Attaches to a limiter or creates it; the handle is this thread's.
#[napi]
pub fn open_rate_limiter(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let options = options.map(|options| RateLimiterOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(RateLimiterConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let limiter = instances::open(&env, &LIMITERS, &name, config, reconfigures)?;
    let port = thread::port_of(&env)?;
    memory::report(port, limiter.memory());
    Ok(port.thread().limiters.borrow_mut().hold(limiter))
}

/// A JavaScript object that stands for the limiter was collected.
#[napi]
pub fn release_rate_limiter(handle: u32) -> Result<()> {
    thread::current()?.limiters.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_rate_limiter(name: String) -> bool {
    LIMITERS.destroy(&name)
}

/// Replaces the given options, which JavaScript has checked, in all threads.
#[napi]
pub fn reconfigure_rate_limiter(env: Env, handle: u32, options: Object<'_>) -> Result<()> {
    error::check(&env, limiter(handle)?.reconfigure_with(&Given(options), clock::read))
}

/// The limits in force, which another thread may have changed.
#[napi]
pub fn rate_limiter_policies(handle: u32) -> Result<Vec<NativePolicy>> {
    Ok(limiter(handle)?.config().options().limits.iter().map(Into::into).collect())
}

/// The generation of the options in force, raised by every `reconfigure`: its last 32 bits, as a decision has them.
#[napi]
pub fn rate_limiter_generation(handle: u32) -> Result<i32> {
    Ok(last_bits(limiter(handle)?.config().generation()))
}
