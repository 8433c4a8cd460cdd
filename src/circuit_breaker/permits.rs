//! Permits: raw calls, once or twice for each protected call.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::runtime::clock::{self, MS};
use sluice_core::runtime::key_hash::{KeyHash, hash_str};
use sluice_core::{Answer, CircuitBreaker, Request, Ticket};

use crate::runtime::error;
use crate::runtime::numbers::{ceil_ms, double, from_ms, in_ms, integer};
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, layout};

layout! {
    /// A permit that was acquired.
    pub(super) struct PermitNumbers = "PERMIT" from 0 => {
        /// When it was acquired, in milliseconds of the clock.
        started_at,
        /// Milliseconds that the call may take; 0: no limit.
        timeout,
    }
}

layout! {
    /// Why no permit was acquired.
    pub(super) struct BreakerRefusal = "BREAKER_REFUSAL" from 0 => {
        /// The circuit's state, by its code.
        state,
        /// Milliseconds until a retry may pass; -1: unknown.
        retry_after,
    }
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("acquirePermit(handle: number, peer: string, hasDeadline: boolean): number", acquire)?;
    exports.function("permitSuccess(handle: number, ticket: number, startedAt: number): void", success)?;
    exports.function(
        "permitSuccessAfter(handle: number, ticket: number, durationMs: number): void",
        success_after,
    )?;
    exports.function("permitFailure(handle: number, ticket: number, startedAt: number): void", failure)?;
    exports.function("releasePermit(handle: number, ticket: number): void", release)
}

/// `acquirePermit(handle, peer, hasDeadline)`: a ticket, with [`PermitNumbers`]; or 0, with a [`BreakerRefusal`].
unsafe extern "C" fn acquire(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (key, has_deadline) = (call.key(1)?, call.flag(2)?);
        let (now, set_back) = clock::now_and_set_back();
        let thread = call.port.thread().id;
        let (timeout_ms, request, tracked) = with_breaker(call, |breaker| {
            let timeout_ms = breaker.timeout_ms();
            let request = Request { thread, has_deadline: has_deadline && timeout_ms > 0 };
            Ok((timeout_ms, request, breaker.try_acquire_known(key, request, now)?))
        })?;
        let answer = match tracked {
            Some(answer) => answer,
            None => {
                let target = target_text(call, key)?;
                with_breaker(call, |breaker| breaker.try_acquire(key, &target, request, now))?
            }
        };
        let started_at = in_ms(now) + double(set_back);
        write(call, answer, PermitNumbers { started_at, timeout: double(timeout_ms) })
    })
}

/// The text of a new target, which events and statistics carry as UTF-8. A text with lone surrogates does not survive
/// that: its hash differs from that of its key.
fn target_text<const N: usize>(call: &Call<'_, N>, key: KeyHash) -> Result<String> {
    let text = call.text(1).unwrap_or_default();
    if hash_str(&text) != key {
        return Err(error::invalid_peer(call.env, call.args[1]));
    }
    Ok(text)
}

fn write<const N: usize>(
    call: &Call<'_, N>,
    answer: Answer,
    permit: PermitNumbers,
) -> Result<sys::napi_value> {
    let number = match answer {
        Ok(ticket) => {
            call.port.write(permit);
            ticket.number()
        }
        Err(refused) => {
            call.port.write(BreakerRefusal {
                state: refused.state.code().into(),
                retry_after: refused.retry_after.map_or(-1.0, ceil_ms),
            });
            0
        }
    };
    call.number(double(number))
}

/// `permitSuccess(handle, ticket, startedAt)`: the call took the time since `startedAt`.
unsafe extern "C" fn success(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    report_since(env, info, false)
}

/// `permitFailure(handle, ticket, startedAt)`.
unsafe extern "C" fn failure(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    report_since(env, info, true)
}

/// `permitSuccessAfter(handle, ticket, durationMs)`.
unsafe extern "C" fn success_after(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let took = integer(call.f64(2)? * double(MS));
        report(call, false, took, clock::now())
    })
}

/// `releasePermit(handle, ticket)`.
unsafe extern "C" fn release(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let ticket = ticket(call)?;
        call.on(&call.port.thread().breakers, |breaker| breaker.release(ticket))?;
        call.undefined()
    })
}

fn report_since(env: sys::napi_env, info: sys::napi_callback_info, failed: bool) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (now, set_back) = clock::now_and_set_back();
        let took = (in_ms(now) + double(set_back) - call.f64(2)?).max(0.0);
        report(call, failed, from_ms(took), now)
    })
}

fn report(call: &Call<'_, 3>, failed: bool, took: u64, now: u64) -> Result<sys::napi_value> {
    let ticket = ticket(call)?;
    call.on(&call.port.thread().breakers, |breaker| breaker.report(ticket, failed, Some(took), now))?;
    call.undefined()
}

fn ticket<const N: usize>(call: &Call<'_, N>) -> Result<Ticket> {
    Ok(Ticket::from_number(integer(call.f64(1)?)))
}

/// Runs `body` on the breaker of argument 0.
fn with_breaker<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&CircuitBreaker) -> sluice_core::Result<R>,
) -> Result<R> {
    call.check(call.on(&call.port.thread().breakers, body)?)
}
