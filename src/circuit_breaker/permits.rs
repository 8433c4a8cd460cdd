//! Permits: raw calls, once or twice for each protected call.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::runtime::clock::{self, MS};
use sluice_core::runtime::key_hash::{KeyHash, hash_str};
use sluice_core::{LocalBreaker, Refused, Request, Ticket};

use crate::runtime::error;
use crate::runtime::numbers::{ceil_ms, double, in_ms, integer};
use crate::runtime::raw::{Admission, Answer, Call, Exports};
use crate::runtime::seam::{Coded, layout};

layout! {
    /// What JavaScript leaves for a call of a breaker: its handle and, for a report, the permit.
    pub(super) struct PermitCall: i32 = "PERMIT_CALL" from 0 => {
        /// The breaker's handle.
        handle,
        /// The upper half of the ticket.
        ticket_high,
        /// Its lower half.
        ticket_low,
        /// The upper half of when it was acquired.
        started_high,
        /// Its lower half.
        started_low,
    }
}

layout! {
    /// A permit that was acquired.
    pub(super) struct PermitAnswer: i32 = "PERMIT" from 0 => {
        /// ADMITTED; or REFUSED, and then there is no permit but a BREAKER_REFUSAL.
        answer,
        /// The upper half of its ticket.
        ticket_high,
        /// Its lower half.
        ticket_low,
        /// The upper half of when it was acquired, in nanoseconds.
        started_high,
        /// Its lower half.
        started_low,
    }
}

impl Answer for PermitAnswer {}

layout! {
    /// The times of a call with a deadline, beside its permit.
    pub(super) struct CallTimes = "CALL_TIMES" from 0 => {
        /// When the permit was acquired, in milliseconds of the clock.
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

impl PermitCall {
    #[inline(always)]
    fn ticket(self) -> Ticket {
        Ticket::from_number(joined(self.ticket_high, self.ticket_low))
    }

    #[inline(always)]
    fn started(self) -> u64 {
        joined(self.started_high, self.started_low)
    }
}

impl PermitAnswer {
    #[inline(always)]
    fn acquired(ticket: Ticket, started: u64) -> Self {
        let (ticket_high, ticket_low) = halves(ticket.number());
        let (started_high, started_low) = halves(started);
        let Admission { answer } = Admission::from(true);
        Self { answer, ticket_high, ticket_low, started_high, started_low }
    }

    #[inline(always)]
    fn refused() -> Self {
        let Admission { answer } = Admission::from(false);
        Self { answer, ticket_high: 0, ticket_low: 0, started_high: 0, started_low: 0 }
    }
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("acquirePermit(peer: string): void", acquire_permit)?;
    exports.function("acquireForCall(peer: string): void", acquire_for_call)?;
    exports.function("permitSuccess(): void", success)?;
    exports.function("permitSuccessAfter(durationMs: number): void", success_after)?;
    exports.function("permitFailure(): void", failure)?;
    exports.function("releasePermit(): void", release)
}

/// `acquirePermit(peer)`: a [`PermitAnswer`]; where it is refused, a [`BreakerRefusal`] too.
unsafe extern "C" fn acquire_permit(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| acquire(call, false))
}

/// `acquireForCall(peer)`: as `acquirePermit`, with [`CallTimes`], for a caller that ends the call after the breaker's
/// timeout.
unsafe extern "C" fn acquire_for_call(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| acquire(call, true))
}

#[inline(always)]
fn acquire(call: &Call<'_, 1>, has_deadline: bool) -> Result<PermitAnswer> {
    let key = call.key(0)?;
    let PermitCall { handle, .. } = call.port.read();
    let (now, set_back) = clock::now_and_set_back();
    let thread = call.port.thread().id;
    let (timeout_ms, request, tracked) = with_breaker(call, handle, |local| {
        let timeout_ms = if has_deadline { local.breaker().timeout_ms() } else { 0 };
        let request = Request { thread, has_deadline: timeout_ms > 0 };
        Ok((timeout_ms, request, local.try_acquire_known(key, request, now)?))
    })?;
    let answer = match tracked {
        Some(answer) => answer,
        None => {
            let target = target_text(call, key)?;
            with_breaker(call, handle, |local| local.breaker().try_acquire(key, &target, request, now))?
        }
    };
    let ticket = match answer {
        Ok(ticket) => ticket,
        Err(refused) => return Ok(refuse(call, refused)),
    };
    if has_deadline {
        let started_at = in_ms(now) + double(set_back);
        call.port.write(CallTimes { started_at, timeout: double(timeout_ms) });
    }
    Ok(PermitAnswer::acquired(ticket, elapsed(now, set_back)))
}

fn refuse(call: &Call<'_, 1>, refused: Refused) -> PermitAnswer {
    call.port.write(BreakerRefusal {
        state: refused.state.code().into(),
        retry_after: refused.retry_after.map_or(-1.0, ceil_ms),
    });
    PermitAnswer::refused()
}

/// The text of a new target, which events and statistics carry as UTF-8. A text with lone surrogates does not survive
/// that: its hash differs from that of its key.
#[cold]
fn target_text<const N: usize>(call: &Call<'_, N>, key: KeyHash) -> Result<String> {
    let text = call.text(0).unwrap_or_default();
    if hash_str(&text) != key {
        return Err(error::invalid_peer(call.env, call.args[0]));
    }
    Ok(text)
}

/// `permitSuccess()`: the call took the time since the permit was acquired.
unsafe extern "C" fn success(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::quick(env, info, |call| report_now(call, false))
}

/// `permitFailure()`.
unsafe extern "C" fn failure(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::quick(env, info, |call| report_now(call, true))
}

/// `permitSuccessAfter(durationMs)`.
unsafe extern "C" fn success_after(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        let took = integer(call.f64(0)? * double(MS));
        report(call, call.port.read(), false, (took, clock::now()))
    })
}

/// `releasePermit()`.
unsafe extern "C" fn release(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::quick(env, info, |call| {
        let permit: PermitCall = call.port.read();
        with_breaker(call, permit.handle, |local| {
            local.breaker().release(permit.ticket());
            Ok(Admission::from(true))
        })
    })
}

#[inline(always)]
fn report_now(call: &Call<'_, 0>, failed: bool) -> Result<Admission> {
    let permit: PermitCall = call.port.read();
    let (now, set_back) = clock::now_and_set_back();
    let took = elapsed(now, set_back).saturating_sub(permit.started());
    report(call, permit, failed, (took, now))
}

/// Whether the report counted.
#[inline(always)]
fn report<const N: usize>(
    call: &Call<'_, N>,
    permit: PermitCall,
    failed: bool,
    (took, now): (u64, u64),
) -> Result<Admission> {
    with_breaker(call, permit.handle, |local| {
        Ok(Admission::from(local.report(permit.ticket(), failed, Some(took), now)))
    })
}

/// Nanoseconds that go on when a test sets the clock back.
#[inline(always)]
fn elapsed(now: u64, set_back_ms: u64) -> u64 {
    now + set_back_ms * MS
}

/// Runs `body` on this thread's handle to a breaker.
#[inline(always)]
fn with_breaker<const N: usize, R>(
    call: &Call<'_, N>,
    handle: i32,
    body: impl FnOnce(&mut LocalBreaker) -> sluice_core::Result<R>,
) -> Result<R> {
    // The borrow ends before JavaScript runs again.
    let result = body(call.port.thread().breakers.borrow_mut().at(handle)?);
    call.check(result)
}

/// The two halves of a word, each as an integer that JavaScript holds without a box.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "each half is what is left of the word")]
fn halves(word: u64) -> (i32, i32) {
    (((word >> 32) as u32).cast_signed(), (word as u32).cast_signed())
}

/// The inverse of [`halves`].
#[inline(always)]
fn joined(high: i32, low: i32) -> u64 {
    u64::from(high.cast_unsigned()) << 32 | u64::from(low.cast_unsigned())
}
