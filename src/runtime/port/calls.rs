//! What JavaScript calls of its port.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi::{check_status, sys};
use sluice_core::VersionCells;

use super::references::References;
use super::{INTEGERS, NUMBERS, Port};
use crate::runtime::numbers::{double, integer};
use crate::runtime::raw::{Call, Exports};
use crate::runtime::{presence, thread};

pub(crate) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function(
        "attachThread(onWake: () => void, numbers: Float64Array, integers: Int32Array, errorClass: unknown, threadId: number, memory: number): 0 | 1",
        attach_thread,
    )?;
    exports.function("keepCopy(keeps: 0 | 1): void", keep_copy)?;
    exports.function("keepForThread(value: unknown): void", keep_for_thread)?;
    exports.function("keepThreadAlive(keeps: 0 | 1): void", keep_thread_alive)?;
    exports.function("versionCells(): ArrayBuffer | undefined", version_cells)?;
    exports.function("referencesHeld(): number", references_held)
}

/// `attachThread(onWake, numbers, integers, SluiceError, threadId, memory)`: completes the port; 1 when it is the first
/// of its thread. `memory` is what the process can use of the machine's, in bytes.
unsafe extern "C" fn attach_thread(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<6>::answer(env, info, |call| {
        let env = Env::from_raw(call.env);
        sluice_core::runtime::memory::set_available(integer(call.f64(5)?));
        let port = call.port;
        port.on_wake.set(call.reference(0, false)?);
        port.waker.attach(&env, port)?;
        let (numbers, integers) = (call.pinned(1, NUMBERS)?, call.pinned(2, INTEGERS)?);
        // SAFETY: arrays of these lengths, which references keep in place until the copy is gone or its environment ends.
        unsafe {
            port.places.attach::<f64>(numbers);
            port.places.attach::<i32>(integers);
        }
        port.error_class.set(call.reference(3, false)?);
        let owned = (&raw const *port).cast_mut().cast::<c_void>();
        // SAFETY: `copy_is_gone` looks whether the port still lives before it touches it.
        check_status!(unsafe {
            sys::napi_add_finalizer(
                call.env,
                call.args[0],
                owned,
                Some(copy_is_gone),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        })?;
        presence::name(port.thread().id, call.u32(4)?);
        call.int(i32::from(port.thread().ports.borrow().len() == 1))
    })
}

/// The function that the waker called was collected, and with it the copy.
unsafe extern "C" fn copy_is_gone(_: sys::napi_env, port: *mut c_void, _: *mut c_void) {
    // A panic must not cross into Node.
    let _ = std::panic::catch_unwind(|| {
        // Without a thread its ports are gone: the environment ends, and collects everything.
        if thread::current().is_ok() {
            // SAFETY: ports are freed with their thread, which lives.
            unsafe { &*port.cast::<Port>() }.retire();
        }
    });
}

/// `keepCopy(keeps)`: whether native code keeps this copy of the JavaScript in memory, for its subscriptions.
unsafe extern "C" fn keep_copy(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let reference = call.port.on_wake();
        // SAFETY: a reference of this environment.
        check_status!(unsafe {
            if call.u32(0)? == 1 {
                sys::napi_reference_ref(call.env, reference, ptr::null_mut())
            } else {
                sys::napi_reference_unref(call.env, reference, ptr::null_mut())
            }
        })?;
        call.undefined()
    })
}

/// `keepForThread(value)`: keeps a value as long as the thread runs, even if the copy is collected.
unsafe extern "C" fn keep_for_thread(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let mut reference = ptr::null_mut();
        // SAFETY: an argument of the running callback.
        check_status!(unsafe { sys::napi_create_reference(call.env, call.args[0], 1, &mut reference) })?;
        call.port.references.hold_for_environment(reference);
        call.undefined()
    })
}

/// `keepThreadAlive(keeps)`: whether the thread stays alive for deliveries of other threads alone.
unsafe extern "C" fn keep_thread_alive(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let keeps = call.u32(0)? == 1;
        call.port.waker.keep_alive(call.env, keeps)?;
        call.undefined()
    })
}

/// `versionCells()`: the memory of this port's versions as an `ArrayBuffer`; undefined where the
/// runtime does not allow buffers of native memory.
unsafe extern "C" fn version_cells(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let cells = Arc::clone(&call.port.versions);
        let (memory, length) = (cells.as_ptr().cast_mut().cast::<c_void>(), 4 * cells.len());
        let held = Arc::into_raw(cells).cast_mut().cast::<c_void>();
        let mut buffer = ptr::null_mut();
        // SAFETY: the memory is that of `held`, which `drop_version_cells` gives up when the buffer is gone.
        // JavaScript reads it by `Atomics.load`, as others write it.
        let status = unsafe {
            sys::napi_create_external_arraybuffer(
                call.env,
                memory,
                length,
                Some(drop_version_cells),
                held,
                &mut buffer,
            )
        };
        if status == sys::Status::napi_ok {
            return Ok(buffer);
        }
        // SAFETY: no buffer was made that would give it up.
        drop(unsafe { Arc::from_raw(held.cast::<VersionCells>()) });
        call.undefined()
    })
}

unsafe extern "C" fn drop_version_cells(_: sys::napi_env, _: *mut c_void, held: *mut c_void) {
    // SAFETY: `held` comes from `Arc::into_raw` in `version_cells`, and a finalizer runs once.
    drop(unsafe { Arc::from_raw(held.cast::<VersionCells>()) });
}

/// `referencesHeld()`: references to objects of all threads' environments that live. For tests.
unsafe extern "C" fn references_held(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| call.number(double(References::held())))
}
