//! Calls of limiters that count elsewhere than in the memory of this process: in a file that processes share, or by leases
//! of a server.

use napi::bindgen_prelude::Result;
use sluice_core::observation::Reason;
use sluice_core::runtime::key_hash::{KeyHash, KeyHasher};
use sluice_core::{Decision, LocalHandle};

use super::crossing::{leave_decision, leave_observed, left_key};
use super::layouts::{LimiterCall, SeveralAnswers};
use super::observed::{Began, reason};
use super::shared;
use crate::fleet;
use crate::runtime::numbers::integer;
use crate::runtime::raw::{Admission, Call, DONE, KEYS_AT_ONCE, Left};
use crate::runtime::slab::no_such_handle;

/// Runs a call on a shared limiter, with the key of argument 0; `None` for another limiter.
#[inline(always)]
fn by_key<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHandle, KeyHash, u64, u64) -> sluice_core::Result<R>,
) -> Result<Option<R>> {
    shared::with_limiter(call, |hasher| call.key_by(0, hasher), body)
}

/// As [`by_key`], with the key whose hash JavaScript left.
#[inline(always)]
fn by_hash<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHandle, KeyHash, u64, u64) -> sluice_core::Result<R>,
) -> Result<R> {
    shared::with_limiter(call, |_| Ok(Some(left_key(call))), body)?.ok_or_else(no_such_handle)
}

/// What became of a call that only asks whether it is admitted. Where it is seen, a dry run has more to say.
#[inline(always)]
fn admit(
    local: &mut LocalHandle,
    key: KeyHash,
    cost: u64,
    now: u64,
    began: Began,
) -> sluice_core::Result<Reason> {
    if began.is_seen() && local.is_dry_run() {
        return local.consume(key, cost, now).map(|decision| reason(&decision));
    }
    let is_allowed = local.try_consume(key, cost, now)?;
    Ok(if is_allowed { Reason::Admitted } else { Reason::Quota })
}

#[inline(never)]
pub(super) fn try_consume(call: &Call<'_, 1>) -> Result<Admission> {
    if !shared::may_be_shared(call) {
        return fleet::try_consume_held(call, call.key(0)?);
    }
    let began = Began::now();
    match by_key(call, |local, key, cost, now| admit(local, key, cost, now, began))? {
        Some(reason) => {
            began.end(call, || reason);
            Ok(Admission::from(reason != Reason::Quota))
        }
        None => Err(unknown(call)),
    }
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
    let consumed = shared::with_limiter(call, read, |local, (hashes, count), cost, now| {
        local.try_consume_many(&hashes[..count], cost, now, answer)
    })?;
    consumed.ok_or_else(no_such_handle)?;
    Ok(SeveralAnswers { answer: DONE, admitted })
}

#[inline(never)]
pub(super) fn consume(call: &Call<'_, 1>) -> Result<Left> {
    if !shared::may_be_shared(call) {
        return fleet::consume_held(call, call.key(0)?);
    }
    let began = Began::now();
    match by_key(call, LocalHandle::consume)? {
        Some(decision) => {
            began.end(call, || reason(&decision));
            Ok(leave_decision(call, &decision))
        }
        None => Err(unknown(call)),
    }
}

#[inline(never)]
pub(super) fn decide(call: &Call<'_, 1>) -> Result<Left> {
    let began = Began::now();
    leave_for(call, began, by_key(call, LocalHandle::consume)?)
}

#[inline(never)]
pub(super) fn decide_by_limit(call: &Call<'_, 2>) -> Result<Left> {
    let (limit, began) = (integer(call.f64(1)?), Began::now());
    let decided = by_key(call, |local, key, cost, now| local.consume_with_limit(key, cost, limit, now))?;
    leave_for(call, began, decided)
}

fn leave_for<const N: usize>(call: &Call<'_, N>, began: Began, decided: Option<Decision>) -> Result<Left> {
    match decided {
        Some(decision) => leave_observed(call, began, &decision),
        None => Err(unknown(call)),
    }
}

#[inline(never)]
pub(super) fn peek(call: &Call<'_, 1>) -> Result<Left> {
    match by_key(call, |local, key, _, now| local.peek(key, now))? {
        Some(decision) => Ok(leave_decision(call, &decision)),
        None => Err(unknown(call)),
    }
}

/// The hash of a key; by the hash function of the process for a limiter that is not shared.
#[inline(never)]
pub(super) fn hash(call: &Call<'_, 1>) -> Result<KeyHash> {
    match by_key(call, |_, key, _, _| Ok(key))? {
        Some(key) => Ok(key),
        None => call.key(0),
    }
}

#[inline(never)]
pub(super) fn try_consume_hashed(call: &Call<'_, 0>) -> Result<Admission> {
    by_hash(call, LocalHandle::try_consume).map(Admission::from)
}

#[inline(never)]
pub(super) fn consume_hashed(call: &Call<'_, 0>) -> Result<Left> {
    by_hash(call, LocalHandle::consume).map(|decision| leave_decision(call, &decision))
}

#[inline(never)]
pub(super) fn peek_hashed(call: &Call<'_, 0>) -> Result<Left> {
    let decision = by_hash(call, |local, key, _, now| local.peek(key, now))?;
    Ok(leave_decision(call, &decision))
}

/// The error of a handle that is of no shared limiter: what is wrong with the key first.
#[cold]
fn unknown<const N: usize>(call: &Call<'_, N>) -> napi::Error {
    call.key(0).err().unwrap_or_else(no_such_handle)
}
