//! The clock as JavaScript sees it.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::runtime::clock::{self, MS};

use crate::runtime::numbers::{double, from_ms, in_ms, integer};
use crate::runtime::raw::{Call, Exports};

pub(crate) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("clockNow(): number", clock_now)?;
    exports.function("elapsed(): number", elapsed)?;
    exports.function("utcOfElapsed(ms: number): number", utc_of_elapsed)
}

/// `clockNow()`: the clock of decisions in milliseconds, with fractions.
unsafe extern "C" fn clock_now(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| call.number(in_ms(clock::now())))
}

/// `elapsed()`: what spans of time are measured by, in milliseconds: the clock of decisions, except that a test
/// that sets it back does not move this one.
unsafe extern "C" fn elapsed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| call.number(elapsed_ms()))
}

/// `utcOfElapsed(ms)`: the date of such a time, in UTC milliseconds, rounded up.
unsafe extern "C" fn utc_of_elapsed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let (_, set_back) = clock::now_and_set_back();
        let on_clock = (call.f64(0)? - double(set_back)).max(0.0);
        call.number(double(clock::utc_ms_of(from_ms(on_clock))))
    })
}

/// See `elapsed`.
pub(crate) fn elapsed_ms() -> f64 {
    let (now, set_back) = clock::now_and_set_back();
    in_ms(now) + double(set_back)
}

/// A time of the clock, in the milliseconds of `elapsed`.
pub(crate) fn in_elapsed_ms(time: u64) -> f64 {
    let (_, set_back) = clock::now_and_set_back();
    in_ms(time) + double(set_back)
}

/// The time of the clock at such a time; the latest where that is later than any.
pub(crate) fn from_elapsed_ms(ms: f64) -> u64 {
    let (_, set_back) = clock::now_and_set_back();
    integer::<u64>((ms - double(set_back)).max(0.0).trunc()).saturating_mul(MS)
}
