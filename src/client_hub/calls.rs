//! Calls that lead a run of an initialiser, or wait for one.

use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, BufferSlice, Env, Result, Uint8Array};
use napi_derive::napi;
use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::hash_str;
use sluice_core::{Caller, Failed, Finished, HubFailure, HubValue, Joined, Retention};

use super::hub;
use crate::runtime::numbers::{ceil_ms, double, from_whole_ms, integer};
use crate::runtime::{error, thread};

/// What a call finds: a value, whose bytes are left out where the caller knows its version; a remembered error; or
/// neither, and the call leads a run or waits for one.
#[napi(object)]
pub struct NativeJoined<'env> {
    /// Of the value; 0 without one.
    pub version: f64,
    /// Of the value or the error.
    pub bytes: Option<BufferSlice<'env>>,
    /// The version of the remembered error.
    pub failure: Option<f64>,
    /// The number of the call, where it is to run its initialiser.
    pub leads: Option<f64>,
    /// The number of the call, where it waits for another call's initialiser.
    pub waits: Option<f64>,
    /// With `waits`: milliseconds until `lookInHub`.
    pub rest_ms: f64,
}

/// How long a value is kept.
#[napi(object)]
pub struct NativeRetention {
    pub ttl_ms: Option<f64>,
    pub stale_ms: f64,
    pub stale_if_error_ms: f64,
}

/// A run that made a value.
#[napi(object)]
pub struct NativeFinished {
    pub version: f64,
    /// The calls of this thread that waited for it.
    pub calls: Vec<f64>,
}

/// A run that failed.
#[napi(object)]
pub struct NativeFailed {
    /// Of the stale value that the pending calls receive; 0 without one.
    pub version: f64,
    /// Of the stale value.
    pub bytes: Option<Buffer>,
    /// The version of the remembered error; 0 when it is not remembered.
    pub failure: f64,
    /// The calls of this thread that waited for the run.
    pub calls: Vec<f64>,
}

/// Returns a value or a remembered error, or makes the call lead or wait. `subscription` receives the events of the
/// call.
#[napi]
pub fn join_hub(
    env: &Env,
    handle: u32,
    key: String,
    subscription: u32,
    timeout_ms: f64,
    known_version: f64,
) -> Result<NativeJoined<'_>> {
    let caller = Caller { mailbox: thread::port_of(env)?.mailbox(), subscription };
    let (timeout, now) = (from_whole_ms(timeout_ms), clock::now());
    let joined = error::check(env, hub(handle)?.join(hash_str(&key), caller, timeout, now))?;
    match joined {
        Joined::Fresh(value) => NativeJoined::with_value(env, &value, known_version),
        Joined::Stale(value, refresh) => Ok(NativeJoined {
            leads: refresh.map(double),
            ..NativeJoined::with_value(env, &value, known_version)?
        }),
        Joined::Lead(call) => Ok(NativeJoined { leads: Some(double(call)), ..NativeJoined::NOTHING }),
        Joined::Failed(HubFailure { version, error }) => Ok(NativeJoined {
            bytes: Some(BufferSlice::copy_from(env, &error)?),
            failure: Some(double(version)),
            ..NativeJoined::NOTHING
        }),
        Joined::Wait { call, until } => Ok(NativeJoined {
            waits: Some(double(call)),
            rest_ms: rest_ms(until, now),
            ..NativeJoined::NOTHING
        }),
    }
}

/// A call that was notified to lead begins its run. False when another call leads now.
#[napi]
pub fn begin_in_hub(env: Env, handle: u32, key: String, call: f64) -> Result<bool> {
    error::check(&env, hub(handle)?.begin(hash_str(&key), integer(call), clock::now()))
}

/// Ends a run with a value. Null when another call leads now.
#[napi]
pub fn finish_in_hub(
    env: Env,
    handle: u32,
    key: String,
    call: f64,
    value: Uint8Array,
    retention: NativeRetention,
) -> Result<Option<NativeFinished>> {
    let retention = Retention {
        ttl: retention.ttl_ms.map(from_whole_ms),
        stale_for: from_whole_ms(retention.stale_ms),
        stale_if_error: from_whole_ms(retention.stale_if_error_ms),
        key_bytes: key.len() as u64,
    };
    let bytes = Arc::from(value.as_ref());
    let finished = hub(handle)?.finish(hash_str(&key), integer(call), bytes, retention, clock::now());
    Ok(error::check(&env, finished)?.map(Into::into))
}

/// Ends a run with an error. Null when another call leads now.
#[napi]
pub fn fail_in_hub(
    env: Env,
    handle: u32,
    key: String,
    call: f64,
    error: Uint8Array,
    retry_after_ms: f64,
) -> Result<Option<NativeFailed>> {
    let failed = failed(&key, &error, retry_after_ms);
    let finished = hub(handle)?.fail(hash_str(&key), integer(call), &failed, clock::now());
    Ok(error::check(&env, finished)?.map(Into::into))
}

/// Ends a run that took too long. Null when another call leads now.
#[napi]
pub fn time_out_in_hub(
    handle: u32,
    key: String,
    call: f64,
    error: Uint8Array,
    retry_after_ms: f64,
) -> Result<Option<NativeFailed>> {
    let failed = failed(&key, &error, retry_after_ms);
    Ok(hub(handle)?.time_out(hash_str(&key), integer(call), &failed, clock::now()).map(Into::into))
}

/// Removes a call; a run that it leads passes to a pending call.
#[napi]
pub fn leave_hub(handle: u32, key: String, call: f64) -> Result<()> {
    hub(handle)?.leave(hash_str(&key), integer(call), clock::now());
    Ok(())
}

/// The caller of a leader no longer needs the result. True when pending calls do, and the run continues.
#[napi]
pub fn detach_in_hub(handle: u32, key: String, call: f64) -> Result<bool> {
    Ok(hub(handle)?.detach(hash_str(&key), integer(call), clock::now()))
}

/// Replaces a leader that took too long. Returns milliseconds until the next look; null when the call is not pending.
#[napi]
pub fn look_in_hub(env: Env, handle: u32, key: String, call: f64) -> Result<Option<f64>> {
    let now = clock::now();
    let until = error::check(&env, hub(handle)?.look(hash_str(&key), integer(call), now))?;
    Ok(until.map(|until| rest_ms(until, now)))
}

impl NativeJoined<'_> {
    const NOTHING: Self =
        Self { version: 0.0, bytes: None, failure: None, leads: None, waits: None, rest_ms: 0.0 };
}

impl<'env> NativeJoined<'env> {
    fn with_value(env: &'env Env, value: &HubValue, known_version: f64) -> Result<Self> {
        let version = double(value.version);
        let is_known = version == known_version;
        let bytes = (!is_known).then(|| BufferSlice::copy_from(env, &value.bytes)).transpose()?;
        Ok(Self { version, bytes, ..Self::NOTHING })
    }
}

impl From<Finished> for NativeFinished {
    fn from(Finished { version, calls, .. }: Finished) -> Self {
        Self { version: double(version), calls: as_numbers(&calls) }
    }
}

impl From<Finished> for NativeFailed {
    fn from(Finished { stale, failure, calls, .. }: Finished) -> Self {
        Self {
            version: stale.as_ref().map_or(0.0, |value| double(value.version)),
            bytes: stale.map(|value| Buffer::from(&*value.bytes)),
            failure: double(failure),
            calls: as_numbers(&calls),
        }
    }
}

fn failed(key: &str, error: &Uint8Array, retry_after_ms: f64) -> Failed {
    let retry_after = from_whole_ms(retry_after_ms);
    Failed { error: Arc::from(error.as_ref()), retry_after, key_bytes: key.len() as u64 }
}

pub(super) fn as_numbers(calls: &[u64]) -> Vec<f64> {
    calls.iter().copied().map(double).collect()
}

fn rest_ms(until: u64, now: u64) -> f64 {
    ceil_ms(until.saturating_sub(now))
}
