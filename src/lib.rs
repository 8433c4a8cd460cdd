//! The binding: what JavaScript calls, converted, passed to the core, converted back.
//!
//! What is called per request is a raw Node-API callback: the `#[napi]` macro takes process-wide locks and
//! allocates per call. Everything else is `#[napi]`. The classes users see are in `lib/`.

#![expect(unreachable_pub, reason = "`#[napi]` exports what is `pub`")]
#![expect(missing_debug_implementations, reason = "objects for JavaScript are not printed here")]

mod broker;
mod circuit_breaker;
mod client_hub;
mod client_key;
mod connection_tracker;
mod guard;
mod lifecycle;
mod listen;
mod rate_limiter;
mod registry;
mod reputation;
mod runtime;
mod security_monitor;
mod testing;

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;

/// Runs in every thread that loads the addon, and again when a thread loads it anew.
#[napi(module_exports)]
pub fn load(exports: Object, env: Env) -> Result<()> {
    // State lives in statics: they must outlast threads even if only workers loaded the addon.
    napi::bindgen_prelude::retain_current_module_for_unload_safety();
    let port = runtime::thread::enter(&env)?;
    let exports = runtime::raw::Exports::new(&env, &exports, port);
    runtime::thread::export(&exports)?;
    broker::export(&exports)?;
    client_key::export(&exports)?;
    circuit_breaker::export(&exports)?;
    client_hub::export(&exports)?;
    runtime::clock::export(&exports)?;
    connection_tracker::export(&exports)?;
    guard::export(&exports)?;
    lifecycle::export(&exports)?;
    rate_limiter::export(&exports)?;
    registry::export(&exports)?;
    reputation::export(&exports)?;
    security_monitor::export(&exports)?;
    testing::export(&exports)
}
