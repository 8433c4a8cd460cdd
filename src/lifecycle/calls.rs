//! Raw calls: what is asked in hot loops, and what is counted for each connection.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::{LifecycleState, MemberCount};

use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, codes};

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("lifecycleState(handle: number): number", state)?;
    exports.function("lifecycleIsCancelled(handle: number): boolean", is_cancelled)?;
    exports.function("lifecycleResets(handle: number): number", resets)?;
    exports.function("tokenIsCancelled(token: number): boolean", token_is_cancelled)?;
    exports.function("countForLifecycle(handle: number, what: number): void", count)
}

codes! {
    /// The states of a lifecycle, in their order.
    LifecycleState = "LIFECYCLE_STATES" {
        Starting = "starting",
        Running = "running",
        Draining = "draining",
        Stopped = "stopped",
    }
}

codes! {
    /// What a lifecycle counts of a thread.
    MemberCount = "LIFECYCLE_COUNTS" {
        Opened = "opened",
        Closed = "closed",
        Begun = "begun",
        Done = "done",
    }
}

/// `lifecycleState(handle)`: the state by its code.
unsafe extern "C" fn state(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let state = call.on(&call.port.thread().lifecycles, |part| part.lifecycle.state())?;
        call.number(call.check(state)?.code().into())
    })
}

/// `lifecycleResets(handle)`: how often it was reset.
unsafe extern "C" fn resets(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let resets = call.on(&call.port.thread().lifecycles, |part| part.lifecycle.resets())?;
        call.number(f64::from(resets))
    })
}

/// `lifecycleIsCancelled(handle)`.
unsafe extern "C" fn is_cancelled(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let is_cancelled = call.on(&call.port.thread().lifecycles, |part| part.lifecycle.is_cancelled())?;
        call.boolean(call.check(is_cancelled)?)
    })
}

/// `tokenIsCancelled(token)`.
unsafe extern "C" fn token_is_cancelled(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let is_cancelled = call.on(&call.port.thread().tokens, |child| {
            child.token.is_cancelled().map_or_else(|| child.lifecycle.is_cancelled(), Ok)
        })?;
        call.boolean(call.check(is_cancelled)?)
    })
}

/// `countForLifecycle(handle, what)`: adds one to the count of this code.
unsafe extern "C" fn count(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let what = MemberCount::from_code(call.u32(1)?)?;
        call.on(&call.port.thread().lifecycles, |part| part.member.count(what))?;
        call.undefined()
    })
}
