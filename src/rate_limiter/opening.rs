//! Opening a limiter, and its options.

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::runtime::clock;
use sluice_core::{Instance, LimitOptions, Quota, RateLimiter, RateLimiterConfig, RateLimiterOptions};
use sluice_fleet::FleetOptions;

use super::{LIMITERS, limiter, shared};
use crate::fleet::{self, NativeScope};
use crate::machine::NativeSharedScope;
use crate::runtime::instances::{self, check_other, scope_of};
use crate::runtime::numbers::{double, integer, last_bits};
use crate::runtime::options::Given;
use crate::runtime::{error, memory, thread};

/// Held while an instance is looked for in one place and made in another, and until the counts of a new one are in the fleet:
/// no thread attaches to it before, and none destroys it.
static OPENING: Mutex<()> = Mutex::new(());

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

/// The handles of a limiter; they are this thread's.
#[napi(object)]
pub struct NativeOpenedLimiter {
    /// Of the limiter itself, which has the options.
    pub limiter: i32,
    /// Of its counts in a fleet; none where this process or machine counts.
    pub fleet: Option<u32>,
}

impl NativeOpenedLimiter {
    /// Of a limiter that no fleet counts.
    fn alone(limiter: i32) -> Self {
        Self { limiter, fleet: None }
    }
}

/// Attaches to a limiter or creates it. With `scope` all processes of the machine share it, with `fleet` many machines.
#[napi]
pub fn open_rate_limiter(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
    scope: Option<NativeSharedScope>,
    fleet: Option<NativeScope>,
) -> Result<NativeOpenedLimiter> {
    let options = options.map(|options| RateLimiterOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(RateLimiterConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let fleet = error::check(&env, fleet.map(FleetOptions::try_from).transpose())?;
    if let (Some(fleet), Some(config)) = (&fleet, &config) {
        // Before anything has these options.
        error::check(&env, fleet.check(config))?;
    }
    let _one_at_a_time = OPENING.lock();
    match (config, scope) {
        (Some(config), Some(scope)) => {
            let existing =
                LIMITERS.get_if_set(&name).and_then(|limiter| scope_of(limiter.created_with().clone()));
            check_other(&env, &name, existing, || scope_in(&config))?;
            let limiter = shared::open(&env, &name, scope, config, reconfigures)?;
            fleet::destroy(&name);
            Ok(NativeOpenedLimiter::alone(limiter))
        }
        (Some(config), None) => {
            check_other(&env, &name, shared::options(&name).and_then(scope_of), || scope_in(&config))?;
            open_by(&env, &name, config, reconfigures, fleet)
        }
        (None, _) => attach(&env, &name),
    }
}

/// The scope of a config, in words.
fn scope_in(config: &RateLimiterConfig) -> String {
    scope_of(RateLimiter::list_options(config)).unwrap_or_default()
}

/// Opens a limiter of this process, and its counts in a fleet.
fn open_by(
    env: &Env,
    name: &str,
    config: RateLimiterConfig,
    reconfigures: Option<bool>,
    fleet: Option<FleetOptions>,
) -> Result<NativeOpenedLimiter> {
    let is_new = !LIMITERS.has(name);
    let limiter = open_in_process(env, name, Some(config), reconfigures)?;
    let Some(options) = fleet else {
        // After a reset of tests another scope may be chosen.
        fleet::destroy(name);
        return Ok(NativeOpenedLimiter::alone(limiter));
    };
    let opened = self::limiter(limiter).and_then(|local| fleet::open(env, name, options, local));
    if opened.is_err() {
        release_rate_limiter(limiter)?;
        // Nothing attaches to a limiter that is there in part.
        if is_new {
            LIMITERS.destroy(name);
        }
    }
    Ok(NativeOpenedLimiter { limiter, fleet: Some(opened?) })
}

/// Attaches to a limiter, wherever it counts.
fn attach(env: &Env, name: &str) -> Result<NativeOpenedLimiter> {
    if LIMITERS.get_if_set(name).is_none()
        && let Some(limiter) = shared::attach(name)?
    {
        return Ok(NativeOpenedLimiter::alone(limiter));
    }
    let limiter = open_in_process(env, name, None, None)?;
    Ok(NativeOpenedLimiter { limiter, fleet: fleet::attach(name)? })
}

fn open_in_process(
    env: &Env,
    name: &str,
    config: Option<RateLimiterConfig>,
    reconfigures: Option<bool>,
) -> Result<i32> {
    let limiter = instances::open(env, &LIMITERS, name, config, reconfigures)?;
    let port = thread::port_of(env)?;
    memory::report(port, limiter.memory());
    Ok(port.thread().limiters.borrow_mut().hold(limiter).cast_signed())
}

/// A JavaScript object that stands for the limiter was collected.
#[napi]
pub fn release_rate_limiter(handle: i32) -> Result<()> {
    if !shared::release(handle)? {
        thread::current()?.limiters.borrow_mut().release(handle.cast_unsigned());
    }
    Ok(())
}

/// Ends a limiter: in this process, or in all that share it.
#[napi]
pub fn destroy_rate_limiter(name: String, everywhere: Option<bool>) -> bool {
    // What a construction makes at the same time is destroyed as a whole, or not at all.
    let _one_at_a_time = OPENING.lock();
    fleet::destroy(&name);
    let was_shared = shared::destroy(&name, everywhere == Some(true));
    LIMITERS.destroy(&name) || was_shared
}

/// Replaces the given options, which JavaScript has checked, in all threads.
#[napi]
pub fn reconfigure_rate_limiter(env: Env, handle: i32, options: Object<'_>) -> Result<()> {
    match shared::by_handle(handle)? {
        Some(attachment) => {
            let clock = || shared::now(&attachment);
            let limiter = shared::limiter(&attachment);
            error::check(&env, limiter.reconfigure_with(&Given(options), clock))
        }
        None => error::check(&env, limiter(handle)?.reconfigure_with(&Given(options), clock::read)),
    }
}

/// The limits in force, which another thread may have changed.
#[napi]
pub fn rate_limiter_policies(handle: i32) -> Result<Vec<NativePolicy>> {
    Ok(limiter(handle)?.config().options().limits.iter().map(Into::into).collect())
}

/// The generation of the options in force, raised by every `reconfigure`: its last 32 bits, as a decision has them.
#[napi]
pub fn rate_limiter_generation(handle: i32) -> Result<i32> {
    Ok(last_bits(limiter(handle)?.config().generation()))
}
