//! The clock as JavaScript sees it, and the hand that tests set it with.

use napi::bindgen_prelude::Result;
use napi::sys;
use napi_derive::napi;
use sluice_core::clock::{self, MS};
use sluice_core::mailbox::Item;

use crate::raw::{Call, Exports};
use crate::{
    circuit_breaker, client_hub, connection_tracker, rate_limiter, reputation, security_monitor, thread,
};

pub(crate) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("clockNow", clock_now)?;
    exports.function("utcOfClock", utc_of_clock)
}

/// `clockNow()`: the clock of decisions in milliseconds, with fractions.
unsafe extern "C" fn clock_now(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| call.number(in_ms(clock::now())))
}

/// `utcOfClock(ms)`: the date of a time of that clock, in UTC milliseconds, rounded up.
unsafe extern "C" fn utc_of_clock(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| call.number(clock::utc_ms_of(from_ms(call.f64(0)?)) as f64))
}

/// Milliseconds, with fractions. Nanoseconds since 1970 are more than a double counts: in one division, whole
/// milliseconds would not come out whole, and what is due at one of them would be early or late.
pub(crate) fn in_ms(nanos: u64) -> f64 {
    (nanos / MS) as f64 + (nanos % MS) as f64 / MS as f64
}

/// Nanoseconds of what [`in_ms`] told; exact for whole milliseconds.
pub(crate) fn from_ms(ms: f64) -> u64 {
    ms.trunc() as u64 * MS + (ms.fract() * MS as f64) as u64
}

/// Whether a test has stopped the clock.
#[napi]
pub fn is_clock_manual() -> bool {
    clock::is_manual()
}

/// Stops the clock of the process at this many milliseconds.
#[napi]
pub fn set_clock(ms: f64) {
    move_clock(|| clock::set_manual(ms as u64 * MS));
}

/// Moves the stopped clock on.
#[napi]
pub fn advance_clock(ms: f64) {
    move_clock(|| {
        clock::advance_manual(ms as u64 * MS);
    });
}

/// Lets the clock run again.
#[napi]
pub fn restore_clock() {
    move_clock(clock::restore);
}

fn move_clock(by_hand: impl FnOnce()) {
    let before = clock::now();
    by_hand();
    let now = clock::now();
    if now < before {
        rate_limiter::clock_was_set_back(now);
        circuit_breaker::clock_was_set_back(now);
        client_hub::clock_was_set_back(now);
        connection_tracker::clock_was_set_back(now);
        reputation::clock_was_set_back(now);
        security_monitor::clock_was_set_back(now);
    }
    thread::tell_all(&Item::ClockMoved);
}
