//! Calls that are not made for every request.

use napi::bindgen_prelude::{Env, Result};
use napi::sys;
use napi_derive::napi;
use sluice_core::RateLimiter;
use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::KeyHash;

use super::crossing::receipt;
use super::{limiter, shared};
use crate::machine::NativeMachineStats;
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
    /// Where processes share the limiter.
    pub machine: Option<NativeMachineStats>,
}

#[napi]
pub fn clear_rate_limiter(env: Env, handle: i32) -> Result<()> {
    error::check(&env, limiter(handle)?.clear(now_of(handle)?))
}

#[napi]
pub fn rate_limiter_stats(env: Env, handle: i32) -> Result<NativeRateLimiterStats> {
    let machine = shared::by_handle(handle)?.map(|attachment| shared::stats(&attachment));
    let stats = error::check(&env, limiter(handle)?.stats(now_of(handle)?))?;
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
        machine,
    })
}

/// The time that the limiter decides by.
fn now_of(handle: i32) -> Result<u64> {
    Ok(shared::by_handle(handle)?.map_or_else(clock::now, |attachment| shared::now(&attachment)))
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("refund(handle: number, key: string, cost: number): void", refund)?;
    exports.function("undoCharge(handle: number, key: string, cost: number): void", undo_charge)?;
    exports.function("penalize(handle: number, key: string, cost: number): void", penalize)?;
    exports.function("block(handle: number, key: string, durationMs: number): 0 | 1", block)?;
    exports.function("reset(handle: number, key: string): 0 | 1", reset)
}

/// Runs `body` on the limiter of argument 0, with the key of argument 1 and the time.
fn with_key<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&RateLimiter, KeyHash, u64) -> sluice_core::Result<R>,
) -> Result<R> {
    let handle = call.u32(0)?.cast_signed();
    let result = if let Some(attachment) = shared::by_handle(handle)? {
        let key = call.key_by(1, shared::hasher(&attachment))?;
        let key = key.ok_or_else(|| error::invalid_key(call.env, call.args[1]))?;
        body(shared::limiter(&attachment), key, shared::now(&attachment))
    } else {
        let (key, now) = (call.key(1)?, clock::now());
        let mut limiters = call.port.thread().limiters.borrow_mut();
        let local = limiters.at(handle)?;
        local.follow();
        body(local.limiter(), key, now)
    };
    call.check(result)
}

/// `refund(handle, key, cost)`.
unsafe extern "C" fn refund(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let cost = call.cost(2)?;
        with_key(call, |limiter, key, now| limiter.refund(key, cost, now))?;
        call.undefined()
    })
}

/// `undoCharge(handle, key, cost)`: takes back the charge whose receipt is among the numbers.
unsafe extern "C" fn undo_charge(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (cost, receipt) = (call.cost(2)?, receipt(call));
        with_key(call, |limiter, key, now| limiter.undo(key, cost, &receipt, now))?;
        call.undefined()
    })
}

/// `penalize(handle, key, cost)`.
unsafe extern "C" fn penalize(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let cost = call.cost(2)?;
        with_key(call, |limiter, key, now| limiter.penalize(key, cost, now))?;
        call.undefined()
    })
}

/// `block(handle, key, durationMs)`: 1 when it is kept.
unsafe extern "C" fn block(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let duration = from_whole_ms(call.f64(2)?);
        let kept = with_key(call, |limiter, key, now| limiter.block(key, duration, now))?;
        call.int(i32::from(kept))
    })
}

/// `reset(handle, key)`: 1 when there was state or a block to remove.
unsafe extern "C" fn reset(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let removed = with_key(call, |limiter, key, now| limiter.reset(key, now))?;
        call.int(i32::from(removed))
    })
}
