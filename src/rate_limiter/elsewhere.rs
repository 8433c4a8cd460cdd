//! Calls of limiters that count elsewhere than in the memory of this process: in a file that processes share, or by leases
//! of a server.

use napi::bindgen_prelude::Result;
use sluice_core::LocalHandle;
use sluice_core::observation::Reason;
use sluice_core::runtime::key_hash::{KeyHash, KeyHasher};

use super::crossing::{leave_decision, leave_observed, left_key};
use super::layouts::{LimiterCall, SeveralAnswers};
use super::observed::{Began, reason};
use super::shared;
use crate::fleet;
use crate::observation::OBSERVATION;
use crate::runtime::numbers::integer;
use crate::runtime::raw::{Admission, Call, DONE, KEYS_AT_ONCE, Left};
use crate::runtime::slab::no_such_handle;

/// Runs a call on a shared limiter, with the key of argument 0; `None` for another limiter.
#[inline(always)]
fn by_key<const N: usize, R, A>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHandle, KeyHash, u64, u64) -> sluice_core::Result<R>,
    answer: impl FnOnce(R) -> A,
) -> Result<Option<A>> {
    shared::with_limiter(call, |hasher| call.key_by(0, hasher), body, answer)
}

/// As [`by_key`], with the key whose hash JavaScript left.
#[inline(always)]
fn by_hash<const N: usize, R, A>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHandle, KeyHash, u64, u64) -> sluice_core::Result<R>,
    answer: impl FnOnce(R) -> A,
) -> Result<A> {
    let answered = shared::with_limiter(call, |_| Ok(Some(left_key(call))), body, answer)?;
    answered.ok_or_else(no_such_handle)
}

#[inline(never)]
pub(super) fn try_consume(call: &Call<'_, 1>) -> Result<Admission> {
    if !shared::may_be_shared(call) {
        return fleet::try_consume_held(call, call.key(0)?);
    }
    if OBSERVATION.is_on() {
        return try_consume_observed(call);
    }
    by_key(call, LocalHandle::try_consume, Admission::from)?.ok_or_else(|| unknown(call))
}

/// As `tryConsume`, while the process is observed. In a dry run the whole decision has more to say than its answer.
#[inline(never)]
fn try_consume_observed(call: &Call<'_, 1>) -> Result<Admission> {
    let began = Began::now();
    let consume = |local: &mut LocalHandle, key, cost, now| {
        if local.is_dry_run() {
            return local.consume(key, cost, now).map(|decision| reason(&decision));
        }
        let is_allowed = local.try_consume(key, cost, now)?;
        Ok(if is_allowed { Reason::Admitted } else { Reason::Quota })
    };
    let answer = |reason| {
        began.end(call, || reason);
        Admission::from(reason != Reason::Quota)
    };
    by_key(call, consume, answer)?.ok_or_else(|| unknown(call))
}

#[inline(never)]
pub(super) fn try_consume_several(call: &Call<'_, KEYS_AT_ONCE>) -> Result<SeveralAnswers> {
    let LimiterCall { keys, .. } = call.port.read();
    let read = |hasher: &KeyHasher| {
        let mut hashes = [KeyHash::from_halves(0, 0); KEYS_AT_ONCE];
        let count = call.first_keys_by(keys, &mut hashes, hasher)?;
        Ok(count.map(|count| (hashes, count)))
    };
    let (mut admitted, mut bit) = (0, 1);
    let answer = |is_admitted| {
        admitted |= if is_admitted { bit } else { 0 };
        bit <<= 1;
    };
    let consume = |local: &mut LocalHandle, (hashes, count): ([KeyHash; KEYS_AT_ONCE], usize), cost, now| {
        local.try_consume_many(&hashes[..count], cost, now, answer)
    };
    shared::with_limiter(call, read, consume, |()| ())?.ok_or_else(no_such_handle)?;
    Ok(SeveralAnswers { answer: DONE, admitted })
}

#[inline(never)]
pub(super) fn consume(call: &Call<'_, 1>) -> Result<Left> {
    if !shared::may_be_shared(call) {
        return fleet::consume_held(call, call.key(0)?);
    }
    let began = Began::now();
    let answer = |decision| {
        began.end(call, || reason(&decision));
        leave_decision(call, &decision)
    };
    by_key(call, LocalHandle::consume, answer)?.ok_or_else(|| unknown(call))
}

#[inline(never)]
pub(super) fn decide(call: &Call<'_, 1>) -> Result<Left> {
    let began = Began::now();
    let left = by_key(call, LocalHandle::consume, |decision| leave_observed(call, began, &decision))?;
    left.unwrap_or_else(|| Err(unknown(call)))
}

#[inline(never)]
pub(super) fn decide_by_limit(call: &Call<'_, 2>) -> Result<Left> {
    let (limit, began) = (integer(call.f64(1)?), Began::now());
    let consume = |local: &mut LocalHandle, key, cost, now| local.consume_with_limit(key, cost, limit, now);
    let left = by_key(call, consume, |decision| leave_observed(call, began, &decision))?;
    left.unwrap_or_else(|| Err(unknown(call)))
}

#[inline(never)]
pub(super) fn peek(call: &Call<'_, 1>) -> Result<Left> {
    let peek = |local: &mut LocalHandle, key, _, now| local.peek(key, now);
    let left = by_key(call, peek, |decision| leave_decision(call, &decision))?;
    left.ok_or_else(|| unknown(call))
}

/// The hash of a key; by the hash function of the process for a limiter that is not shared.
#[inline(never)]
pub(super) fn hash(call: &Call<'_, 1>) -> Result<KeyHash> {
    match by_key(call, |_, key, _, _| Ok(key), |key| key)? {
        Some(key) => Ok(key),
        None => call.key(0),
    }
}

#[inline(never)]
pub(super) fn try_consume_hashed(call: &Call<'_, 0>) -> Result<Admission> {
    by_hash(call, LocalHandle::try_consume, Admission::from)
}

#[inline(never)]
pub(super) fn consume_hashed(call: &Call<'_, 0>) -> Result<Left> {
    by_hash(call, LocalHandle::consume, |decision| leave_decision(call, &decision))
}

#[inline(never)]
pub(super) fn peek_hashed(call: &Call<'_, 0>) -> Result<Left> {
    let peek = |local: &mut LocalHandle, key, _, now| local.peek(key, now);
    by_hash(call, peek, |decision| leave_decision(call, &decision))
}

/// The error of a handle that is of no shared limiter: what is wrong with the key first.
#[cold]
fn unknown<const N: usize>(call: &Call<'_, N>) -> napi::Error {
    call.key(0).err().unwrap_or_else(no_such_handle)
}
