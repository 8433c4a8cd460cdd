//! Calls of a limiter: what JavaScript left for one, the thread-local handle that it is made on, and its answer.

use napi::bindgen_prelude::Result;
use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{Decision, GuardCounter, LocalHandle, Receipt};

use super::layouts::{DecisionIntegers, DecisionNumbers, LimiterCall, LimiterCost, MiddlewareNumbers};
use super::observed::{Began, reason};
use crate::runtime::error::throw_core;
use crate::runtime::numbers::{ceil_ms, double, integer, last_bits, natural, of_parts, parts};
use crate::runtime::raw::{Admission, Call, IN_NUMBERS, Left};
use crate::runtime::slab::no_such_handle;

/// Whether the handle is of a limiter that counts elsewhere than in the memory of this process, so that the key is hashed
/// by another hash function, or only later.
#[inline(always)]
pub(super) fn is_elsewhere<const N: usize>(call: &Call<'_, N>) -> bool {
    let LimiterCall { handle, .. } = call.port.read();
    handle < 0
}

/// Runs `body` on this thread's handle to the limiter, with the units that JavaScript left; what `answer` makes of its
/// outcome.
#[inline(always)]
pub(super) fn with_limiter<const N: usize, R, A>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHandle, u64) -> sluice_core::Result<R>,
    answer: impl FnOnce(R) -> A,
) -> Result<A> {
    let LimiterCall { handle, cost, .. } = call.port.read();
    let cost = if cost == 0 { large_cost(call) } else { natural(cost) };
    // The borrow ends before JavaScript runs again.
    let mut limiters = call.port.thread().limiters.borrow_mut();
    let Some(local) = limiters.find(handle) else {
        drop(limiters);
        return Err(no_such_handle());
    };
    let outcome = body(local, cost);
    drop(limiters);
    match outcome {
        Ok(outcome) => Ok(answer(outcome)),
        Err(error) => Err(throw_core(call.env, call.port, &error)),
    }
}

/// The units that JavaScript left.
#[inline]
pub(crate) fn units_of<const N: usize>(call: &Call<'_, N>) -> u64 {
    let LimiterCall { cost, .. } = call.port.read();
    if cost == 0 { large_cost(call) } else { natural(cost) }
}

#[cold]
fn large_cost<const N: usize>(call: &Call<'_, N>) -> u64 {
    let LimiterCost { cost } = call.port.read();
    integer(cost)
}

/// The key whose hash JavaScript left.
#[inline(always)]
pub(super) fn left_key<const N: usize>(call: &Call<'_, N>) -> KeyHash {
    let LimiterCall { hash: [high, high_rest, low, low_rest], .. } = call.port.read();
    KeyHash::from_halves(of_parts([high, high_rest]), of_parts([low, low_rest]))
}

/// A key's hash as JavaScript keeps it.
pub(super) fn parts_of(key: KeyHash) -> [i32; 4] {
    let (high, low) = key.halves();
    let ([high, high_rest], [low, low_rest]) = (parts(high), parts(low));
    [high, high_rest, low, low_rest]
}

/// Leaves a decision: as integers, where it consists of such. Inlined, so that unused fields of the decision are optimised
/// away.
#[inline(always)]
pub(crate) fn leave_decision<const N: usize>(call: &Call<'_, N>, decision: &Decision) -> Left {
    let reset_after = clock::ceil_ms(decision.reset_after);
    let retry_after = decision.retry_after.map_or(u64::MAX, clock::ceil_ms);
    let of_all = decision.limit | decision.remaining | reset_after | retry_after;
    let Admission { mut answer } = decision.allowed.into();
    if i32::try_from(of_all).is_err() || decision.would_refuse.is_some() {
        write_large(
            call,
            &LargeDecision {
                limit: decision.limit,
                reset_after,
                remaining: decision.remaining,
                retry_after,
                would_refuse: decision.would_refuse,
                allowed: decision.allowed,
            },
        );
        answer = IN_NUMBERS;
    }
    call.leave(DecisionIntegers {
        answer,
        limit: last_bits(decision.limit),
        remaining: last_bits(decision.remaining),
        reset_after: last_bits(reset_after),
        retry_after: last_bits(retry_after),
        policy: last_bits(decision.policy as u64),
        generation: last_bits(decision.generation),
    })
}

/// What [`DecisionNumbers`] are made of. Times are milliseconds; without an end, the largest.
struct LargeDecision {
    limit: u64,
    reset_after: u64,
    remaining: u64,
    retry_after: u64,
    would_refuse: Option<bool>,
    allowed: bool,
}

#[cold]
#[inline(never)]
fn write_large<const N: usize>(call: &Call<'_, N>, decision: &LargeDecision) {
    let &LargeDecision { limit, reset_after, remaining, retry_after, would_refuse, allowed } = decision;
    call.port.write(DecisionNumbers {
        allowed: f64::from(u8::from(allowed)),
        limit: double(limit),
        remaining: double(remaining),
        reset_after: double(reset_after),
        retry_after: if retry_after == u64::MAX { f64::INFINITY } else { double(retry_after) },
        would_refuse: would_refuse.map_or(-1.0, |refused| f64::from(u8::from(refused))),
    });
}

/// As [`leave_decision`], with what only middleware asks for.
pub(crate) fn leave_for_middleware<const N: usize>(call: &Call<'_, N>, decision: &Decision) -> Result<Left> {
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
    Ok(leave_decision(call, decision))
}

/// As `leave_for_middleware`, of a call that may be seen.
#[inline(always)]
pub(super) fn leave_observed<const N: usize>(
    call: &Call<'_, N>,
    began: Began,
    decision: &Decision,
) -> Result<Left> {
    began.end(call, || reason(decision));
    leave_for_middleware(call, decision)
}

/// Counts here, as a call of its own would cost more.
fn count_for_guard<const N: usize>(call: &Call<'_, N>) -> Result<()> {
    let LimiterCall { guard, .. } = call.port.read();
    if let Ok(guard) = u32::try_from(guard) {
        call.port.thread().guards.borrow().get(guard)?.count(GuardCounter::Allowed);
    }
    Ok(())
}

/// The receipt that JavaScript left. A double holds today's nanoseconds in steps of 256, so what is given back is
/// inexact by as much.
pub(crate) fn receipt<const N: usize>(call: &Call<'_, N>) -> Receipt {
    let MiddlewareNumbers { receipt_at, receipt_limit, receipt_settles, .. } = call.port.read();
    let settles = receipt_settles.map(integer);
    Receipt { at: integer(receipt_at), limit: integer(receipt_limit), settles }
}
