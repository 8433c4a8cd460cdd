//! The numbers that cross beside the arguments of a call, and the thread-local handle that a call is made on.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{Decision, LocalHandle, MAX_LIMITS, Receipt};

use crate::runtime::numbers::{ceil_ms, double, integer};
use crate::runtime::raw::Call;
use crate::runtime::seam::layout;

layout! {
    /// A decision, as every caller gets it.
    pub(crate) struct DecisionNumbers = "DECISION" from 0 => {
        /// Units per window.
        limit,
        /// Units left.
        remaining,
        /// Milliseconds until the key has its full quota.
        reset_after,
        /// Milliseconds until the same call is admitted; 0 when it is, Infinity when it never is.
        retry_after,
        /// In a dry run: 1 when the call would have been refused, 0 when not. Else -1.
        would_refuse,
        /// The deciding policy, by its place among the limits.
        policy,
        /// The generation of the options that decided.
        generation,
    }
}

layout! {
    /// What middleware gets beside a decision.
    pub(crate) struct MiddlewareNumbers = "MIDDLEWARE" from DecisionNumbers::LENGTH => {
        /// Milliseconds until one more unit is available; 0 when all are.
        more_after,
        /// The receipt, by which `undoCharge` takes the charge back: when it was made, in nanoseconds.
        receipt_at,
        /// The limit that decided.
        receipt_limit,
        /// When the key has its full quota of each limit again, in nanoseconds.
        receipt_settles[MAX_LIMITS],
    }
}

layout! {
    /// What JavaScript leaves for calls of a limiter.
    pub(crate) struct LimiterCall = "LIMITER_CALL" from DecisionNumbers::LENGTH + MiddlewareNumbers::LENGTH => {
        /// The limiter's handle.
        handle,
        /// The key's hash, where the call is by hash: its upper half.
        hash_high,
        /// Its lower half.
        hash_low,
        /// Units, checked by JavaScript, where the call is by hash.
        cost,
        /// The guard on whose behalf middleware asks; negative for none.
        guard,
    }
}

layout! {
    /// What JavaScript leaves for quick calls of a limiter.
    pub(crate) struct QuickLimiterCall: i32 = "QUICK_LIMITER_CALL" from 0 => {
        /// The limiter's handle.
        handle,
    }
}

/// Runs `body` on this thread's handle to the limiter that a quick call is of.
#[inline(always)]
pub(super) fn with_called<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHandle) -> sluice_core::Result<R>,
) -> Result<R> {
    let QuickLimiterCall { handle } = call.port.read();
    // The borrow ends before JavaScript runs again.
    let result = body(call.port.thread().limiters.borrow_mut().at(handle)?);
    call.check(result)
}

/// Runs `body` on this thread's handle to a limiter.
#[inline]
pub(super) fn with_handle<const N: usize, R>(
    call: &Call<'_, N>,
    handle: f64,
    body: impl FnOnce(&mut LocalHandle) -> sluice_core::Result<R>,
) -> Result<R> {
    // The borrow ends before JavaScript runs again.
    let result = body(call.port.thread().limiters.borrow_mut().get_mut(integer(handle))?);
    call.check(result)
}

/// As [`with_handle`], to the limiter that JavaScript left.
#[inline]
pub(super) fn with_left_handle<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHandle) -> sluice_core::Result<R>,
) -> Result<R> {
    let LimiterCall { handle, .. } = call.port.read();
    with_handle(call, handle, body)
}

/// As [`with_left_handle`], with the key's hash and the cost that JavaScript left.
#[inline]
pub(super) fn with_left_hash<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHandle, KeyHash, u64) -> sluice_core::Result<R>,
) -> Result<R> {
    let LimiterCall { handle, hash_high, hash_low, cost, .. } = call.port.read();
    let key = KeyHash::from_halves(integer(hash_high), integer(hash_low));
    with_handle(call, handle, |local| body(local, key, integer(cost)))
}

/// Writes the decision among the numbers, and answers whether the call is admitted.
#[inline]
pub(super) fn write<const N: usize>(call: &Call<'_, N>, decision: &Decision) -> Result<sys::napi_value> {
    call.port.write(DecisionNumbers {
        limit: double(decision.limit),
        remaining: double(decision.remaining),
        reset_after: ceil_ms(decision.reset_after),
        retry_after: decision.retry_after.map_or(f64::INFINITY, ceil_ms),
        would_refuse: decision.would_refuse.map_or(-1.0, |refused| f64::from(u8::from(refused))),
        policy: double(decision.policy),
        generation: double(decision.generation),
    });
    call.boolean(decision.allowed)
}

/// As [`write`], with what only middleware asks for.
pub(super) fn write_for_middleware<const N: usize>(
    call: &Call<'_, N>,
    decision: &Decision,
) -> Result<sys::napi_value> {
    let receipt = &decision.receipt;
    call.port.write(MiddlewareNumbers {
        more_after: ceil_ms(decision.more_after),
        receipt_at: double(receipt.at),
        receipt_limit: double(receipt.limit),
        receipt_settles: receipt.settles.map(double),
    });
    if decision.allowed {
        count_for_guard(call)?;
    }
    write(call, decision)
}

/// Counts here, as a call of its own would cost more.
fn count_for_guard<const N: usize>(call: &Call<'_, N>) -> Result<()> {
    let LimiterCall { guard, .. } = call.port.read();
    if guard >= 0.0 {
        call.port.thread().guards.borrow().get(integer(guard))?.count(sluice_core::GuardCounter::Allowed);
    }
    Ok(())
}

/// The receipt that JavaScript left. A double holds today's nanoseconds in steps of 256, so what is given back is
/// inexact by as much.
pub(super) fn receipt<const N: usize>(call: &Call<'_, N>) -> Receipt {
    let MiddlewareNumbers { receipt_at, receipt_limit, receipt_settles, .. } = call.port.read();
    let settles = receipt_settles.map(integer);
    Receipt { at: integer(receipt_at), limit: integer(receipt_limit), settles }
}
