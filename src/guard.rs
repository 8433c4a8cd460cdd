//! What the threads share of a guard: a raw call to count, `#[napi]` for the rest.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi::sys;
use napi_derive::napi;
use sluice_core::{Guard, GuardOptions, Instances};

use crate::components::Component;
use crate::runtime::instances;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::Declarations;
use crate::runtime::thread;

/// The counter of requests that went on, in the order of `lib/guard/counts.js`.
pub(crate) const ALLOWED: usize = 0;

static GUARDS: Instances<Guard> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &GUARDS,
    export,
    declarations: Declarations { layouts: &[], codes: &[], options: &[] },
};

/// What threads agree on, as text: `lib/guard/shared-options.js` writes and reads it.
#[napi(object)]
pub struct NativeGuardOptions {
    pub rate_limit: String,
    pub connections: String,
    pub reputation: String,
    pub monitor: String,
    pub record: String,
    pub trusted_proxies: String,
    pub client_address: String,
    pub dry_run: String,
}

impl From<NativeGuardOptions> for GuardOptions {
    fn from(options: NativeGuardOptions) -> Self {
        Self {
            rate_limit: options.rate_limit,
            connections: options.connections,
            reputation: options.reputation,
            monitor: options.monitor,
            record: options.record,
            trusted_proxies: options.trusted_proxies,
            client_address: options.client_address,
            dry_run: options.dry_run,
        }
    }
}

impl From<&GuardOptions> for NativeGuardOptions {
    fn from(options: &GuardOptions) -> Self {
        let options = options.clone();
        Self {
            rate_limit: options.rate_limit,
            connections: options.connections,
            reputation: options.reputation,
            monitor: options.monitor,
            record: options.record,
            trusted_proxies: options.trusted_proxies,
            client_address: options.client_address,
            dry_run: options.dry_run,
        }
    }
}

/// Attaches to a guard or creates it; the handle is this thread's.
#[napi]
pub fn open_guard(
    env: Env,
    name: String,
    options: Option<NativeGuardOptions>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let guard = instances::open(&env, &GUARDS, &name, options.map(Into::into), reconfigures)?;
    Ok(thread::current()?.guards.borrow_mut().hold(guard))
}

/// The options of the guard of this name; none where there is none, nor, with `if_set`, where it was reset and has not been
/// given any since.
#[napi]
pub fn guard_options(name: String, if_set: bool) -> Option<NativeGuardOptions> {
    let guard = if if_set { GUARDS.get_if_set(&name) } else { GUARDS.open(&name, None).ok() };
    guard.map(|guard| (&*guard.options()).into())
}

/// The names of all guards of the process, sorted.
#[napi]
pub fn guard_names() -> Vec<String> {
    let mut names: Vec<String> = GUARDS.all().iter().map(|guard| guard.name().to_owned()).collect();
    names.sort();
    names
}

/// A limiter that the guard's rules use from now on.
#[napi]
pub fn add_guard_limiter(handle: u32, name: String) -> Result<()> {
    let guard: Arc<Guard> = thread::current()?.guards.borrow().get(handle).cloned()?;
    guard.add_limiter(name);
    Ok(())
}

/// The names of the limiters that all threads use for the guard, sorted.
#[napi]
pub fn guard_limiters(handle: u32) -> Result<Vec<String>> {
    let guard: Arc<Guard> = thread::current()?.guards.borrow().get(handle).cloned()?;
    Ok(guard.limiters())
}

/// One JavaScript object less that stands for the guard.
#[napi]
pub fn release_guard(handle: u32) -> Result<()> {
    thread::current()?.guards.borrow_mut().release(handle);
    Ok(())
}

/// Sums over all threads, in the order of `lib/guard/counts.js`.
#[napi]
pub fn guard_counts(handle: u32) -> Result<Vec<f64>> {
    let guard: Arc<Guard> = thread::current()?.guards.borrow().get(handle).cloned()?;
    Ok(guard.counts().map(|count| count as f64).to_vec())
}

fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("countForGuard(handle: number, counter: number): 0 | 1", count)
}

/// `countForGuard(handle, counter)`: one more; 1 when there is such a counter.
unsafe extern "C" fn count(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let counter = call.u32(1)? as usize;
        let counted = call.on(&call.port.thread().guards, |guard| guard.count(counter))?;
        call.int(i32::from(counted))
    })
}
