//! Calls for a request, by the text of the key.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::LocalHandle;
use sluice_core::observation::Reason;
use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::KeyHash;

use super::crossing::{is_elsewhere, leave_decision, leave_observed, with_limiter};
use super::elsewhere;
use super::layouts::{LimiterCall, SeveralAnswers};
use super::observed::{Began, passes_unseen, reason, see_refused};
use crate::observation::OBSERVATION;
use crate::runtime::numbers::integer;
use crate::runtime::raw::{Admission, Call, DONE, Exports, KEYS_AT_ONCE};

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("tryConsume(key: string): void", try_consume)?;
    exports.function("tryConsumeSeveral(...keys: (string | undefined)[]): void", try_consume_several)?;
    exports.function("consume(key: string): void", consume)?;
    exports.function("decide(key: string): void", decide)?;
    exports.function("decideByLimit(key: string, limit: number): void", decide_by_limit)?;
    exports.function("peek(key: string): void", peek)
}

/// `tryConsume(key)`: whether the call is admitted.
unsafe extern "C" fn try_consume(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        if is_elsewhere(call) {
            return elsewhere::try_consume(call);
        }
        let key = call.key(0)?;
        if OBSERVATION.is_on() {
            return try_consume_observed(call, key);
        }
        with_limiter(call, |local, cost| local.try_consume(key, cost, clock::now()), Admission::from)
    })
}

/// As `tryConsume`, while the process is observed. Most calls are not looked at, and cost hardly more than one that is not
/// observed: which these are is known before they are made, where they are admitted.
#[inline(never)]
fn try_consume_observed(call: &Call<'_, 1>, key: KeyHash) -> Result<Admission> {
    if !passes_unseen(call.port.thread()) {
        return try_consume_seen(call, key);
    }
    let consume = |local: &mut LocalHandle, cost| consume_for_reason(local, key, cost);
    let answer = |reason| {
        if reason != Reason::Admitted {
            see_refused(call, reason);
        }
        Admission::from(reason != Reason::Quota)
    };
    with_limiter(call, consume, answer)
}

/// As `tryConsume`, of a call that is measured, or that the rankings see if it is admitted.
#[cold]
#[inline(never)]
fn try_consume_seen(call: &Call<'_, 1>, key: KeyHash) -> Result<Admission> {
    let began = Began::of_seen();
    let consume = |local: &mut LocalHandle, cost| consume_for_reason(local, key, cost);
    let answer = |reason| {
        began.end(call, || reason);
        Admission::from(reason != Reason::Quota)
    };
    with_limiter(call, consume, answer)
}

/// What becomes of a call. Only in a dry run the whole decision has more to say than its answer.
#[inline(always)]
fn consume_for_reason(local: &mut LocalHandle, key: KeyHash, cost: u64) -> sluice_core::Result<Reason> {
    if local.is_dry_run() {
        return local.consume(key, cost, clock::now()).map(|decision| reason(&decision));
    }
    let is_allowed = local.try_consume(key, cost, clock::now())?;
    Ok(if is_allowed { Reason::Admitted } else { Reason::Quota })
}

/// `tryConsumeSeveral(...keys)`: `tryConsume` for each of the keys, of which there are as many as JavaScript left. Keys
/// that are arguments are cheaper to read than elements of an array.
unsafe extern "C" fn try_consume_several(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<KEYS_AT_ONCE>::quick(env, info, |call| {
        if is_elsewhere(call) {
            return elsewhere::try_consume_several(call);
        }
        let LimiterCall { keys, .. } = call.port.read();
        let mut hashes = [KeyHash::from_halves(0, 0); KEYS_AT_ONCE];
        let keys = call.first_keys(keys, &mut hashes)?;
        let (mut admitted, mut bit) = (0, 1);
        let answer = |is_admitted| {
            admitted |= if is_admitted { bit } else { 0 };
            bit <<= 1;
        };
        with_limiter(call, |local, cost| local.try_consume_many(keys, cost, clock::now(), answer), |()| ())?;
        Ok(SeveralAnswers { answer: DONE, admitted })
    })
}

/// `consume(key)`: as `tryConsume`, with the decision.
unsafe extern "C" fn consume(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        if is_elsewhere(call) {
            return elsewhere::consume(call);
        }
        let key = call.key(0)?;
        let began = Began::now();
        with_limiter(
            call,
            |local, cost| local.consume(key, cost, clock::now()),
            |decision| {
                began.end(call, || reason(&decision));
                leave_decision(call, &decision)
            },
        )
    })
}

/// `decide(key)`: as `consume`, with what middleware asks for besides.
unsafe extern "C" fn decide(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        if is_elsewhere(call) {
            return elsewhere::decide(call);
        }
        let (key, began) = (call.key(0)?, Began::now());
        let consume = |local: &mut LocalHandle, cost| local.consume(key, cost, clock::now());
        with_limiter(call, consume, |decision| leave_observed(call, began, &decision))?
    })
}

/// `decideByLimit(key, limit)`: as `decide`, with another limit for this call.
unsafe extern "C" fn decide_by_limit(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::quick(env, info, |call| {
        if is_elsewhere(call) {
            return elsewhere::decide_by_limit(call);
        }
        let (key, limit) = (call.key(0)?, integer(call.f64(1)?));
        let began = Began::now();
        let consume =
            |local: &mut LocalHandle, cost| local.consume_with_limit(key, cost, limit, clock::now());
        with_limiter(call, consume, |decision| leave_observed(call, began, &decision))?
    })
}

/// `peek(key)`: the decision for a call of cost 1, without charging.
unsafe extern "C" fn peek(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        if is_elsewhere(call) {
            return elsewhere::peek(call);
        }
        let key = call.key(0)?;
        with_limiter(
            call,
            |local, _| local.peek(key, clock::now()),
            |decision| leave_decision(call, &decision),
        )
    })
}
