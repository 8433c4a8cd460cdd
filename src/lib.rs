//! The binding: what JavaScript calls, converted, passed to the core, converted back.
//!
//! What is called per request is a raw Node-API callback: the `#[napi]` macro takes process-wide locks and
//! allocates per call. Everything else is `#[napi]`. The classes users see are in `lib/`.

// `runtime::numbers` alone converts inexactly.
#![warn(clippy::cast_possible_truncation, clippy::cast_precision_loss, clippy::cast_sign_loss)]
#![expect(unreachable_pub, reason = "`#[napi]` exports what is `pub`")]
#![expect(missing_debug_implementations, reason = "objects for JavaScript are not printed here")]

mod broker;
mod circuit_breaker;
mod client_hub;
mod client_key;
mod components;
mod connection_tracker;
mod fleet;
mod guard;
mod hit_counter;
mod inspection;
mod lifecycle;
mod listen;
mod load_shedder;
mod machine;
mod observation;
mod rate_limiter;
mod registry;
mod reputation;
mod runtime;
mod security_monitor;
mod semaphore;
mod testing;

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;

/// Runs in every thread that loads the addon, and again when a thread loads it anew.
///
/// # Errors
///
/// Where Node-API refuses to register the end of the thread or an export.
#[napi(module_exports)]
pub fn load(exports: Object, env: Env) -> Result<()> {
    // State lives in statics: they must outlast threads even if only workers loaded the addon.
    napi::bindgen_prelude::retain_current_module_for_unload_safety();
    let port = runtime::thread::enter(&env, components::thread_ended)?;
    let exports = runtime::raw::Exports::new(&env, &exports, port);
    runtime::export(&exports)?;
    components::export(&exports)?;
    testing::export(&exports)
}

/// What JavaScript and this binary both have to know, as JSON: read by `npm run build`.
#[napi]
pub fn describe_seam() -> String {
    let declarations: Vec<_> =
        std::iter::once(&runtime::DECLARATIONS).chain(components::declarations()).collect();
    let constants: Vec<_> = runtime::constants().collect();
    runtime::seam::describe(&declarations, &constants)
}
