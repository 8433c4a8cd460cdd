//! What tests do to the process: forget everything.

use std::sync::atomic::{AtomicU64, Ordering};

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::runtime::mailbox::Item;

use crate::runtime::raw::{Call, Exports};
use crate::runtime::thread;
use crate::{
    broker, circuit_breaker, client_hub, connection_tracker, guard, lifecycle, rate_limiter, registry,
    reputation, security_monitor,
};

/// How often everything was reset.
static RESETS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("resetInstances", reset_instances)?;
    exports.function("resets", resets)
}

/// `resetInstances()`: empties every instance of the process. Events that wait for threads are dropped. Copies of the
/// package that this thread loaded before the one that calls, as a test runner leaves them behind that resets modules,
/// take part in brokers and lifecycles no longer.
unsafe extern "C" fn reset_instances(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        RESETS.fetch_add(1, Ordering::AcqRel);
        call.port.dismiss_those_before();
        guard::reset_all();
        broker::reset_all();
        circuit_breaker::reset_all();
        client_hub::reset_all();
        connection_tracker::reset_all();
        lifecycle::reset_all();
        rate_limiter::reset_all();
        registry::reset_all();
        reputation::reset_all();
        security_monitor::reset_all();
        thread::drop_events();
        thread::tell_all(&Item::Reset);
        call.undefined()
    })
}

/// `resets()`: what waits compares it, to know whether it waits for something that was forgotten.
unsafe extern "C" fn resets(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| call.number(RESETS.load(Ordering::Acquire) as f64))
}
