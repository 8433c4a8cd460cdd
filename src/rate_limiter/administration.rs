//! Calls that are not made for every request.

use napi::bindgen_prelude::{Env, Result};
use napi::sys;
use napi_derive::napi;
use sluice_core::RateLimiter;
use sluice_core::runtime::clock;

use super::crossing::receipt;
use super::limiter;
use crate::runtime::error;
use crate::runtime::numbers::{double, from_whole_ms};
use crate::runtime::raw::{Call, Exports};

/// Sums over all threads.
#[napi(object)]
pub struct NativeRateLimiterStats {
    pub allowed: f64,
    pub refused: f64,
    pub dry_refused: f64,
    pub untracked: f64,
    pub live_evictions: f64,
    pub blocked: f64,
    pub refusing: f64,
    pub waiting: f64,
    pub waited: f64,
    pub size: f64,
    pub capacity: f64,
}

#[napi]
pub fn clear_rate_limiter(env: Env, handle: u32) -> Result<()> {
    error::check(&env, limiter(handle)?.clear(clock::now()))
}

#[napi]
pub fn rate_limiter_stats(env: Env, handle: u32) -> Result<NativeRateLimiterStats> {
    let stats = error::check(&env, limiter(handle)?.stats(clock::now()))?;
    Ok(NativeRateLimiterStats {
        allowed: double(stats.allowed),
        refused: double(stats.refused),
        dry_refused: double(stats.dry_refused),
        untracked: double(stats.untracked),
        live_evictions: double(stats.live_evictions),
        blocked: double(stats.blocked),
        refusing: double(stats.refusing),
        waiting: double(stats.waiting),
        waited: double(stats.waited),
        size: double(stats.size),
        capacity: double(stats.capacity),
    })
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("refund(handle: number, key: string, cost: number): void", refund)?;
    exports.function("undoCharge(handle: number, key: string, cost: number): void", undo_charge)?;
    exports.function("penalize(handle: number, key: string, cost: number): void", penalize)?;
    exports.function("block(handle: number, key: string, durationMs: number): 0 | 1", block)?;
    exports.function("reset(handle: number, key: string): 0 | 1", reset)
}

/// Runs `body` on the limiter of argument 0.
fn with_limiter<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&RateLimiter) -> sluice_core::Result<R>,
) -> Result<R> {
    let result = {
        let mut limiters = call.port.thread().limiters.borrow_mut();
        let local = limiters.get_mut(call.u32(0)?)?;
        local.follow();
        body(local.limiter())
    };
    call.check(result)
}

/// `refund(handle, key, cost)`.
unsafe extern "C" fn refund(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (key, cost) = (call.key(1)?, call.cost(2)?);
        with_limiter(call, |limiter| limiter.refund(key, cost, clock::now()))?;
        call.undefined()
    })
}

/// `undoCharge(handle, key, cost)`: takes back the charge whose receipt is among the numbers.
unsafe extern "C" fn undo_charge(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (key, cost, receipt) = (call.key(1)?, call.cost(2)?, receipt(call));
        with_limiter(call, |limiter| limiter.undo(key, cost, &receipt, clock::now()))?;
        call.undefined()
    })
}

/// `penalize(handle, key, cost)`.
unsafe extern "C" fn penalize(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (key, cost) = (call.key(1)?, call.cost(2)?);
        with_limiter(call, |limiter| limiter.penalize(key, cost, clock::now()))?;
        call.undefined()
    })
}

/// `block(handle, key, durationMs)`: 1 when it is kept.
unsafe extern "C" fn block(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (key, duration_ms) = (call.key(1)?, call.f64(2)?);
        let duration = from_whole_ms(duration_ms);
        let kept = with_limiter(call, |limiter| limiter.block(key, duration, clock::now()))?;
        call.int(i32::from(kept))
    })
}

/// `reset(handle, key)`: 1 when there was state or a block to remove.
unsafe extern "C" fn reset(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let key = call.key(1)?;
        let removed = with_limiter(call, |limiter| limiter.reset(key, clock::now()))?;
        call.int(i32::from(removed))
    })
}
