//! Raw calls: counts, and what is called for each message.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::ConnectionTracker;
use sluice_core::runtime::clock;

use crate::runtime::numbers::{double, integer};
use crate::runtime::raw::{Call, Exports};

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("countConnections(handle: number): number", count)?;
    exports.function("countOwnConnections(handle: number): number", count_own)?;
    exports.function("touchConnection(handle: number, serial: number): void", touch)?;
    exports.function("tryMessage(handle: number, serial: number, bytes: number): 0 | 1", try_message)
}

/// Runs `body` on the tracker of argument 0.
fn with_tracker<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&ConnectionTracker) -> sluice_core::Result<R>,
) -> Result<R> {
    call.check(call.on(&call.port.thread().trackers, body)?)
}

/// `countConnections(handle)`: open connections over all threads, and over all processes that share the tracker.
unsafe extern "C" fn count(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let count = with_tracker(call, |tracker| tracker.check_open().map(|()| tracker.count()))?;
        call.number(double(count))
    })
}

/// `countOwnConnections(handle)`: open connections of this process.
unsafe extern "C" fn count_own(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let count = with_tracker(call, |tracker| tracker.check_open().map(|()| tracker.count_of_process()))?;
        call.number(double(count))
    })
}

/// `touchConnection(handle, serial)`: something was transferred.
unsafe extern "C" fn touch(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let serial = integer(call.f64(1)?);
        with_tracker(call, |tracker| {
            if let Some(connection) = tracker.by_serial(serial) {
                connection.touch(clock::now());
            }
            Ok(())
        })?;
        call.undefined()
    })
}

/// `tryMessage(handle, serial, bytes)`: 1 when the connection may send it.
unsafe extern "C" fn try_message(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (serial, bytes) = (integer(call.f64(1)?), integer(call.f64(2)?));
        let allowed = with_tracker(call, |tracker| tracker.try_message(serial, bytes, clock::now()))?;
        call.int(i32::from(allowed))
    })
}
