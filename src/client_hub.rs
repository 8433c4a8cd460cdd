//! `ClientHub`: a raw call for what is fresh, `#[napi]` for the rest. Values and errors cross as bytes; JavaScript
//! knows what they mean.

use std::sync::Arc;

use napi::bindgen_prelude::{Buffer, BufferSlice, Env, Result, Uint8Array};
use napi::sys;
use napi_derive::napi;
use sluice_core::runtime::clock::{self, MS};
use sluice_core::runtime::key_hash::{KeyHash, hash_str};
use sluice_core::{
    Caller, ClientHub, ClientHubConfig, ClientHubOptions, Failed, Finished, HubFailure, HubNews, HubValue,
    Instances, Joined, Retention,
};

use crate::components::Component;
use crate::runtime::error;
use crate::runtime::instances;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::Declarations;
use crate::runtime::thread;

static HUBS: Instances<ClientHub> = Instances::new();

pub(crate) const COMPONENT: Component =
    Component { state: &HUBS, export, declarations: Declarations { layouts: &[], codes: &[], options: &[] } };

#[napi(object)]
pub struct NativeClientHubOptions {
    pub max_entries: Option<f64>,
    pub max_bytes: Option<f64>,
}

#[napi(object)]
pub struct NativeHubValue<'env> {
    pub version: f64,
    pub bytes: BufferSlice<'env>,
}

/// What a call comes to at first: a value, which stands there unless its version is the one known; the error under
/// which an earlier failure is remembered; a call that is to run its initialiser; or one that waits for another's, for
/// so many milliseconds until it is to look.
#[napi(object)]
pub struct NativeJoined<'env> {
    pub version: f64,
    /// Of a value or an error.
    pub bytes: Option<BufferSlice<'env>>,
    pub failure: Option<f64>,
    pub leads: Option<f64>,
    pub waits: Option<f64>,
    pub rest_ms: f64,
}

/// For how long a value is kept.
#[napi(object)]
pub struct NativeRetention {
    pub ttl_ms: Option<f64>,
    pub stale_ms: f64,
    pub stale_if_error_ms: f64,
}

/// The version of a value that was made, and those of this thread that waited.
#[napi(object)]
pub struct NativeFinished {
    pub version: f64,
    pub calls: Vec<f64>,
}

/// The outcome of a failed initialiser: the stale value that the waiting calls of this thread receive, if there is one,
/// and the version of the remembered error, or 0.
#[napi(object)]
pub struct NativeFailed {
    pub version: f64,
    pub bytes: Option<Buffer>,
    pub failure: f64,
    pub calls: Vec<f64>,
}

/// What has become of calls of this thread: `lead`, `replaced`, `abandoned`, `made`, `failed` or `closed`.
#[napi(object)]
pub struct NativeHubNews {
    pub kind: String,
    pub calls: Vec<f64>,
    pub version: f64,
    /// Of a value or an error.
    pub bytes: Option<Buffer>,
}

#[napi(object)]
pub struct NativeClientHubStats {
    pub hits: f64,
    pub stale: f64,
    pub misses: f64,
    pub initialisations: f64,
    pub failures: f64,
    pub timeouts: f64,
    pub handovers: f64,
    pub evictions: f64,
    pub expired: f64,
    pub too_large: f64,
    pub rejected: f64,
    pub remembered: f64,
    pub entries: f64,
    pub bytes: f64,
    pub waiting: f64,
    pub initialising: f64,
}

/// Attaches to a hub or creates it; the handle is this thread's.
#[napi]
pub fn open_client_hub(
    env: Env,
    name: String,
    options: NativeClientHubOptions,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let integer = |number: Option<f64>| number.map(|number| number as u64);
    let options =
        ClientHubOptions { max_entries: integer(options.max_entries), max_bytes: integer(options.max_bytes) };
    let config = error::check(&env, ClientHubConfig::try_from(options))?;
    let hub = instances::open(&env, &HUBS, &name, Some(config), reconfigures)?;
    Ok(thread::current()?.hubs.borrow_mut().hold(hub))
}

/// One JavaScript object less that stands for the hub.
#[napi]
pub fn release_client_hub(handle: u32) -> Result<()> {
    thread::current()?.hubs.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_client_hub(name: String) -> bool {
    HUBS.destroy(&name)
}

/// A value that is fresh.
#[napi]
pub fn hub_value(env: &Env, handle: u32, key: String) -> Result<Option<NativeHubValue<'_>>> {
    let value = error::check(env, hub(handle)?.value(hash_str(&key), clock::now()))?;
    let value = value.map(|HubValue { version, bytes }| {
        Ok(NativeHubValue { version: version as f64, bytes: BufferSlice::copy_from(env, &bytes)? })
    });
    value.transpose()
}

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
    let (timeout, now) = (timeout_ms as u64 * MS, clock::now());
    let joined = error::check(env, hub(handle)?.join(hash_str(&key), caller, timeout, now))?;
    let nothing =
        NativeJoined { version: 0.0, bytes: None, failure: None, leads: None, waits: None, rest_ms: 0.0 };
    let with = |HubValue { version, bytes }: HubValue, leads: Option<f64>| {
        let is_known = version as f64 == known_version;
        let bytes = (!is_known).then(|| BufferSlice::copy_from(env, &bytes)).transpose()?;
        Ok(NativeJoined { version: version as f64, bytes, failure: None, leads, waits: None, rest_ms: 0.0 })
    };
    match joined {
        Joined::Fresh(value) => with(value, None),
        Joined::Stale(value, refresh) => with(value, refresh.map(|call| call as f64)),
        Joined::Lead(call) => Ok(NativeJoined { leads: Some(call as f64), ..nothing }),
        Joined::Failed(HubFailure { version, error }) => {
            let bytes = Some(BufferSlice::copy_from(env, &error)?);
            Ok(NativeJoined { bytes, failure: Some(version as f64), ..nothing })
        }
        Joined::Wait { call, until } => {
            Ok(NativeJoined { waits: Some(call as f64), rest_ms: rest_ms(until, now), ..nothing })
        }
    }
}

/// Whether a call that was told to lead still does, and begins.
#[napi]
pub fn begin_in_hub(env: Env, handle: u32, key: String, call: f64) -> Result<bool> {
    error::check(&env, hub(handle)?.begin(hash_str(&key), call as u64, clock::now()))
}

/// A leader has a value; null when it leads no more.
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
        ttl: retention.ttl_ms.map(|ms| ms as u64 * MS),
        stale_for: retention.stale_ms as u64 * MS,
        stale_if_error: retention.stale_if_error_ms as u64 * MS,
        key_bytes: key.len() as u64,
    };
    let bytes = Arc::from(value.as_ref());
    let finished = hub(handle)?.finish(hash_str(&key), call as u64, bytes, retention, clock::now());
    Ok(error::check(&env, finished)?.map(Into::into))
}

/// A leader failed; null when it leads no more.
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
    let finished = hub(handle)?.fail(hash_str(&key), call as u64, &failed, clock::now());
    Ok(error::check(&env, finished)?.map(Into::into))
}

fn failed(key: &str, error: &Uint8Array, retry_after_ms: f64) -> Failed {
    let retry_after = retry_after_ms as u64 * MS;
    Failed { error: Arc::from(error.as_ref()), retry_after, key_bytes: key.len() as u64 }
}

/// A call waits no more.
#[napi]
pub fn leave_hub(handle: u32, key: String, call: f64) -> Result<()> {
    hub(handle)?.leave(hash_str(&key), call as u64, clock::now());
    Ok(())
}

/// A leader's time is over; null when another leads.
#[napi]
pub fn time_out_in_hub(
    handle: u32,
    key: String,
    call: f64,
    error: Uint8Array,
    retry_after_ms: f64,
) -> Result<Option<NativeFailed>> {
    let failed = failed(&key, &error, retry_after_ms);
    Ok(hub(handle)?.time_out(hash_str(&key), call as u64, &failed, clock::now()).map(Into::into))
}

/// Nobody here wants what a leader makes; true when others do, and it goes on.
#[napi]
pub fn detach_in_hub(handle: u32, key: String, call: f64) -> Result<bool> {
    Ok(hub(handle)?.detach(hash_str(&key), call as u64, clock::now()))
}

/// In how many milliseconds a call that waits is to look again; null when it does not wait any more.
#[napi]
pub fn look_in_hub(env: Env, handle: u32, key: String, call: f64) -> Result<Option<f64>> {
    let now = clock::now();
    let until = error::check(&env, hub(handle)?.look(hash_str(&key), call as u64, now))?;
    Ok(until.map(|until| rest_ms(until, now)))
}

#[napi]
pub fn invalidate_in_hub(env: Env, handle: u32, key: String) -> Result<bool> {
    error::check(&env, hub(handle)?.invalidate(hash_str(&key)))
}

#[napi]
pub fn client_hub_stats(env: Env, handle: u32) -> Result<NativeClientHubStats> {
    let stats = error::check(&env, hub(handle)?.stats())?;
    Ok(NativeClientHubStats {
        hits: stats.hits as f64,
        stale: stats.stale as f64,
        misses: stats.misses as f64,
        initialisations: stats.initialisations as f64,
        failures: stats.failures as f64,
        timeouts: stats.timeouts as f64,
        handovers: stats.handovers as f64,
        evictions: stats.evictions as f64,
        expired: stats.expired as f64,
        too_large: stats.too_large as f64,
        rejected: stats.rejected as f64,
        remembered: stats.remembered as f64,
        entries: stats.entries as f64,
        bytes: stats.bytes as f64,
        waiting: stats.waiting as f64,
        initialising: stats.initialising as f64,
    })
}

impl From<Finished> for NativeFinished {
    fn from(Finished { version, calls, .. }: Finished) -> Self {
        Self { version: version as f64, calls: in_numbers(&calls) }
    }
}

impl From<Finished> for NativeFailed {
    fn from(Finished { stale, failure, calls, .. }: Finished) -> Self {
        Self {
            version: stale.as_ref().map_or(0.0, |value| value.version as f64),
            bytes: stale.map(|value| Buffer::from(&*value.bytes)),
            failure: failure as f64,
            calls: in_numbers(&calls),
        }
    }
}

impl From<HubNews> for NativeHubNews {
    fn from(news: HubNews) -> Self {
        let (kind, calls, version, bytes) = match news {
            HubNews::Lead { call } => ("lead", vec![call], 0, None),
            HubNews::Replaced { call } => ("replaced", vec![call], 0, None),
            HubNews::Abandoned { call } => ("abandoned", vec![call], 0, None),
            HubNews::Made { calls, value } => ("made", calls, value.version, Some(value.bytes)),
            HubNews::Failed { calls, error } => ("failed", calls, 0, Some(error)),
            HubNews::Closed { calls } => ("closed", calls, 0, None),
        };
        Self {
            kind: kind.to_owned(),
            calls: in_numbers(&calls),
            version: version as f64,
            bytes: bytes.map(|bytes| Buffer::from(&*bytes)),
        }
    }
}

fn in_numbers(calls: &[u64]) -> Vec<f64> {
    calls.iter().map(|call| *call as f64).collect()
}

fn rest_ms(until: u64, now: u64) -> f64 {
    clock::ceil_ms(until.saturating_sub(now)) as f64
}

fn hub(handle: u32) -> Result<Arc<ClientHub>> {
    thread::current()?.hubs.borrow().get(handle).cloned()
}

fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("readHub(handle: number, key: string): number", read)?;
    exports.function("hubVersion(handle: number, key: string): number", version)
}

/// `readHub(handle, key)`: the version of what is fresh; 0 without.
unsafe extern "C" fn read(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    answer_version(env, info, ClientHub::read)
}

/// `hubVersion(handle, key)`: the version of what a call would be answered with, fresh or stale; 0 without.
unsafe extern "C" fn version(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    answer_version(env, info, |hub, key, now| Ok(hub.version(key, now)))
}

fn answer_version(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    look: impl FnOnce(&ClientHub, KeyHash, u64) -> sluice_core::Result<Option<u64>>,
) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let key = call.key(1)?;
        let version = call.on(&call.port.thread().hubs, |hub| look(hub, key, clock::now()))?;
        call.number(call.check(version)?.unwrap_or(0) as f64)
    })
}
