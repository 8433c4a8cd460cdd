//! Calls that wait for their moment.

use std::sync::Arc;

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::observation::Reason;
use sluice_core::runtime::clock::{self, MS};
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{
    Decision, LocalHandle, ThreadId, WaitOutcome, WaitRequest, WaitStart, Waited, WaitingThread, Waits,
};

use super::crossing::{leave_decision, leave_for_middleware, left_key, with_limiter};
use super::layouts::{JoinKind, WaitAnswer, WaitKind, WaitNumbers};
use super::observed::{Began, reason, see_unmeasured};
use crate::runtime::followed_clock::does_time_pass;
use crate::runtime::numbers::{double, in_ms, integer, last_bits};
use crate::runtime::raw::{Admission, Call, Exports, Left};
use crate::runtime::seam::{Coded, Layout};
use crate::runtime::waker::Waker;

/// One loaded copy of the package's JavaScript. The waker of a thread that has ended does nothing.
#[derive(Debug)]
struct PortThread {
    id: ThreadId,
    waker: Arc<Waker>,
}

impl WaitingThread for PortThread {
    fn id(&self) -> ThreadId {
        self.id
    }

    fn wake(&self) {
        self.waker.wake();
    }
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("openWaits(): number", open_waits)?;
    exports.function("acquire(key: string): void", acquire)?;
    exports.function("acquireHashed(): void", acquire_hashed)?;
    exports.function("acquireForMiddleware(key: string): void", acquire_for_middleware)?;
    exports.function(
        "join(key: string, waits: number, timeoutMs: number, countsRefusal: 0 | 1): number",
        join,
    )?;
    exports.function("joinHashed(waits: number, timeoutMs: number): number", join_hashed)?;
    exports.function("leaveLine(waits: number, id: number): void", leave_line)?;
    exports.function("settleLines(waits: number): void", settle_lines)?;
    exports.function("takeWaits(waits: number, answers: Float64Array, most: number): number", take_waits)
}

/// `openWaits()`: the handle of what waits in this copy.
unsafe extern "C" fn open_waits(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let (thread, waker) = (call.port.thread(), call.port.waker());
        let waits = Waits::new(Box::new(PortThread { id: thread.id, waker }));
        call.number(double(thread.waits.borrow_mut().hold(Arc::new(waits))))
    })
}

/// Charges the key where it can be charged at once, else leaves a refusal and has changed nothing.
fn at_once<const N: usize>(
    call: &Call<'_, N>,
    key: KeyHash,
    leave: impl FnOnce(&Decision) -> Result<Left>,
) -> Result<Left> {
    let began = Began::now();
    let consume = |local: &mut LocalHandle, cost| local.consume_at_once(key, cost, clock::now());
    with_limiter(call, consume, |decision| match decision {
        Some(decision) => {
            end_if_by_text(began, call, &decision);
            leave(&decision)
        }
        None => Ok(call.leave(Admission::from(false))),
    })?
}

/// The rankings see the text of the key, where there is one.
fn end_if_by_text<const N: usize>(began: Began, call: &Call<'_, N>, decision: &Decision) {
    if N > 0 {
        began.end(call, || reason(decision));
    }
}

/// `acquire(key)`: charges the key at once, where it can be.
unsafe extern "C" fn acquire(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        at_once(call, call.key(0)?, |decision| Ok(leave_decision(call, decision)))
    })
}

/// `acquireHashed()`: as `acquire`, by hash.
unsafe extern "C" fn acquire_hashed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::quick(env, info, |call| {
        at_once(call, left_key(call), |decision| Ok(leave_decision(call, decision)))
    })
}

/// `acquireForMiddleware(key)`: as `acquire`, with what middleware asks for besides.
unsafe extern "C" fn acquire_for_middleware(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        at_once(call, call.key(0)?, |decision| leave_for_middleware(call, decision))
    })
}

/// `join(key, waits, timeoutMs, countsRefusal)`: charges the key or has the call wait. A code of JOIN, with what belongs to
/// it among the numbers.
unsafe extern "C" fn join(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<4>::answer(env, info, |call| {
        let (key, waits, began) = (call.key(0)?, call.u32(1)?, Began::now());
        let counts_refusal = call.u32(3)? == 1;
        join_line(call, key, waits, (call.f64(2)?, counts_refusal), |joined| match joined {
            WaitStart::Served(decision) => began.end(call, || reason(decision)),
            _ => see_joined(call, joined, counts_refusal),
        })
    })
}

/// `joinHashed(waits, timeoutMs)`: as `join`, by hash; a refusal counts.
unsafe extern "C" fn join_hashed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let (key, waits) = (left_key(call), call.u32(0)?);
        join_line(call, key, waits, (call.f64(1)?, true), |_| {})
    })
}

fn join_line<const N: usize>(
    call: &Call<'_, N>,
    key: KeyHash,
    waits: u32,
    (timeout_ms, counts_refusal): (f64, bool),
    see: impl FnOnce(&WaitStart),
) -> Result<sys::napi_value> {
    let thread = call.port.thread();
    let waits = Arc::clone(thread.waits.borrow().get(waits)?);
    let (now, set_back) = clock::now_and_set_back();
    // Infinity becomes the largest integer.
    let latest = now.saturating_add(integer::<u64>(timeout_ms).saturating_mul(MS));
    let joined = with_limiter(
        call,
        |local, cost| {
            local.follow();
            let request = WaitRequest { waits: &waits, cost, now, latest, counts_refusal };
            local.limiter().join(key, &request)
        },
        |joined| joined,
    )?;
    see(&joined);
    let (kind, value) = match joined {
        WaitStart::Served(decision) => {
            leave_for_middleware(call, &decision)?;
            return call.int(last_bits(JoinKind::Served.code().into()));
        }
        WaitStart::Waits(id) => (JoinKind::Waits, double(id)),
        WaitStart::TooLate(wait) => (JoinKind::TooLate, double(clock::ceil_ms(wait))),
        WaitStart::Full(wait) => (JoinKind::Full, double(clock::ceil_ms(wait))),
        WaitStart::Never(capacity) => (JoinKind::Never, double(capacity)),
    };
    leave_look(call, value, waits.told(), (now, set_back));
    call.int(last_bits(kind.code().into()))
}

/// What the rankings see of a call that was not charged at once: one that waits is to be charged. A refusal that does not
/// count is decided once more.
fn see_joined<const N: usize>(call: &Call<'_, N>, joined: &WaitStart, counts_refusal: bool) {
    match joined {
        WaitStart::Waits(_) => see_unmeasured(call, || Reason::Admitted),
        WaitStart::TooLate(_) | WaitStart::Full(_) if counts_refusal => {
            see_unmeasured(call, || Reason::Quota);
        }
        _ => {}
    }
}

/// `leaveLine(waits, id)`: a call stops waiting.
unsafe extern "C" fn leave_line(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let id = integer(call.f64(1)?);
        waits_of(call)?.leave(id, clock::now());
        call.undefined()
    })
}

/// `settleLines(waits)`: moves the calls ahead that stood behind those that have left, and leaves when to look.
unsafe extern "C" fn settle_lines(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let waits = waits_of(call)?;
        let (now, set_back) = clock::now_and_set_back();
        waits.settle(now);
        leave_look(call, 0.0, waits.look_by(), (now, set_back));
        call.undefined()
    })
}

/// `takeWaits(waits, answers, most)`: writes the outcomes of calls into the array, at most so many, and leaves when to look
/// again; how many it has written.
unsafe extern "C" fn take_waits(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (waits, most) = (waits_of(call)?, call.u32(2)? as usize);
        // Follows a clock that a test sets, which must not be done with a lock held.
        let before = clock::now_and_set_back();
        let mut outcomes = Vec::new();
        let look_by = waits.take(clock::read, most, &mut outcomes);
        call.with_layouts(1, outcomes.iter().map(native), most)?;
        leave_look(call, 0.0, look_by, before);
        call.number(double(outcomes.len()))
    })
}

fn waits_of<const N: usize>(call: &Call<'_, N>) -> Result<Arc<Waits>> {
    let waits = call.port.thread().waits.borrow();
    Ok(Arc::clone(waits.get(call.u32(0)?)?))
}

/// Leaves when this thread has to look, if a call waits; and what JOIN says of the call.
fn leave_look<const N: usize>(
    call: &Call<'_, N>,
    value: f64,
    look_by: Option<u64>,
    (now, set_back_ms): (u64, u64),
) {
    let look_at = look_by.map_or(f64::INFINITY, |time| in_ms(time) + double(set_back_ms));
    let timer_ms = match look_by {
        Some(time) if does_time_pass() => in_ms(time.saturating_sub(now)),
        _ => f64::INFINITY,
    };
    call.port.write(WaitNumbers { value, look_at, timer_ms });
}

fn native(waited: &Waited) -> WaitAnswer {
    // SAFETY: a layout consists of numbers only, and has as many.
    let nothing: WaitAnswer = unsafe { std::mem::transmute([0.0; <WaitAnswer as Layout>::LENGTH]) };
    let waited_ms = double(clock::ceil_ms(waited.waited));
    let (id, ms) = (double(waited.id), |nanos| double(clock::ceil_ms(nanos)));
    match waited.outcome {
        WaitOutcome::Served(decision) => WaitAnswer {
            id,
            kind: WaitKind::Served.code().into(),
            waited_ms,
            limit: double(decision.limit),
            remaining: double(decision.remaining),
            reset_after: ms(decision.reset_after),
            policy: double(decision.policy),
            generation: last_bits(decision.generation).into(),
            more_after: ms(decision.more_after),
            receipt_at: double(decision.receipt.at),
            receipt_limit: double(decision.receipt.limit),
            receipt_settles: decision.receipt.settles.map(double),
            ..nothing
        },
        WaitOutcome::TooLate(wait) => WaitAnswer {
            id,
            kind: WaitKind::TooLate.code().into(),
            waited_ms,
            retry_after: wait.map_or(f64::INFINITY, ms),
            ..nothing
        },
        WaitOutcome::Closed => WaitAnswer { id, kind: WaitKind::Closed.code().into(), waited_ms, ..nothing },
    }
}
