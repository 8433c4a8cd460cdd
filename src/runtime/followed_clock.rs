//! A manual clock that follows the date of a thread: the fake timers of its test runner move it.
//!
//! The date is read whenever that thread reads the clock; other threads see what it read last. A clock that is not manual
//! never comes here.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use napi::bindgen_prelude::Result;
use napi::{check_status, sys};
use sluice_core::runtime::clock::{self, MS};

use crate::runtime::numbers::from_ms;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::thread;
use crate::testing;

/// The year 2100 in milliseconds: the end of the clock.
const LATEST_MS: f64 = 4_102_444_800_000.0;

/// Which call of `followClock` is in force; 0 for none.
static IN_FORCE: AtomicU64 = AtomicU64::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static DATE: RefCell<Option<Date>> = const { RefCell::new(None) };
    static IS_LOOKING: Cell<bool> = const { Cell::new(false) };
}

/// A function of JavaScript that returns the date of its thread, in milliseconds.
#[derive(Clone, Copy)]
struct Date {
    call: u64,
    env: sys::napi_env,
    read: sys::napi_ref,
}

pub(crate) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("followClock(date: () => number): void", follow)?;
    exports.function("isClockFollowed(): 0 | 1 | 2", is_followed)?;
    exports.function("doesTimePass(): 0 | 1", time_passes)
}

/// `followClock(date)`: the clock of the process is what `date()` returns in this thread, until it is restored.
unsafe extern "C" fn follow(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let mut read = ptr::null_mut();
        // SAFETY: `env` is that of the running callback, and the argument a value of it.
        check_status!(unsafe { sys::napi_create_reference(env, call.args[0], 1, &mut read) })?;
        let number = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
        let before = DATE.replace(Some(Date { call: number, env, read }));
        if let Some(Date { env, read, .. }) = before {
            // SAFETY: both were stored together by this function, in this thread.
            unsafe { sys::napi_delete_reference(env, read) };
        }
        clock::follow_by(look);
        IN_FORCE.store(number, Ordering::Release);
        // Makes the clock manual.
        testing::move_clock(clock::read() / MS * MS);
        look();
        call.undefined()
    })
}

/// `isClockFollowed()`: 1 where the clock follows the date of this thread, 2 where it follows that of another.
unsafe extern "C" fn is_followed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let is_followed = IN_FORCE.load(Ordering::Acquire) != 0;
        call.int(if is_own() { 1 } else { 2 * i32::from(is_followed) })
    })
}

/// `doesTimePass()`: see [`does_time_pass`].
unsafe extern "C" fn time_passes(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| call.int(i32::from(does_time_pass())))
}

/// Whether timers of this thread fire when their time has come. Under a stopped clock they only keep the thread alive, as time
/// passes by hand; a clock that follows the date of this thread passes with its timers.
pub(crate) fn does_time_pass() -> bool {
    !clock::is_manual() || is_own()
}

/// The clock follows the date of this thread.
fn is_own() -> bool {
    DATE.with_borrow(|date| date.is_some_and(is_in_force))
}

/// The clock is set by hand, or runs again.
pub(crate) fn end() {
    IN_FORCE.store(0, Ordering::Release);
}

/// The current thread ends: a clock that follows its date stands from now on, and may be set.
pub(crate) fn thread_ended() {
    if let Ok(Some(Date { call, .. })) = DATE.try_with(|date| *date.borrow()) {
        let _ = IN_FORCE.compare_exchange(call, 0, Ordering::AcqRel, Ordering::Relaxed);
    }
}

fn is_in_force(date: Date) -> bool {
    IN_FORCE.load(Ordering::Acquire) == date.call
}

/// Moves the clock to the date of this thread, if it follows that. Called by what reads the clock.
fn look() {
    // Without a thread its environment is ending, and no JavaScript can run.
    if thread::current().is_err() || IS_LOOKING.get() {
        return;
    }
    let Some(date) = DATE.with_borrow(|date| *date).filter(|date| is_in_force(*date)) else { return };
    IS_LOOKING.set(true);
    if let Some(ms) = read(date) {
        let now = from_ms(ms.clamp(0.0, LATEST_MS).trunc());
        if now != clock::read() {
            testing::move_clock(now);
        }
    }
    IS_LOOKING.set(false);
}

/// Calls the function. `None` where it throws or returns no number: its realm may be gone.
fn read(Date { env, read, .. }: Date) -> Option<f64> {
    let mut scope = ptr::null_mut();
    // SAFETY: this thread runs JavaScript of `env` or of another copy in the same environment; `read` belongs to `env`. The
    // scope ends before this function does.
    unsafe {
        let mut is_pending = false;
        sys::napi_is_exception_pending(env, &mut is_pending);
        if is_pending || sys::napi_open_handle_scope(env, &mut scope) != sys::Status::napi_ok {
            return None;
        }
        let ms = call(env, read);
        if ms.is_none() {
            let mut thrown = ptr::null_mut();
            sys::napi_get_and_clear_last_exception(env, &mut thrown);
        }
        sys::napi_close_handle_scope(env, scope);
        ms.filter(|ms| ms.is_finite())
    }
}

/// # Safety
///
/// As of `read`, within a handle scope.
unsafe fn call(env: sys::napi_env, read: sys::napi_ref) -> Option<f64> {
    let (mut function, mut this, mut answer) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    let mut ms = 0.0;
    let is_ok = |status| status == sys::Status::napi_ok;
    // SAFETY: as the caller promises.
    let is_read = unsafe {
        is_ok(sys::napi_get_reference_value(env, read, &mut function))
            && is_ok(sys::napi_get_undefined(env, &mut this))
            && is_ok(sys::napi_call_function(env, this, function, 0, ptr::null(), &mut answer))
            && is_ok(sys::napi_get_value_double(env, answer, &mut ms))
    };
    is_read.then_some(ms)
}
