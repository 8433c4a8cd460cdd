//! Reads of values: raw calls for versions, one `#[napi]` call for the bytes.

use napi::bindgen_prelude::{BufferSlice, Env, Result};
use napi::sys;
use napi_derive::napi;
use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::{KeyHash, hash_str};
use sluice_core::{ClientHub, HubValue};

use super::hub;
use crate::runtime::error;
use crate::runtime::numbers::double;
use crate::runtime::raw::{Call, Exports};

#[napi(object)]
pub struct NativeHubValue<'env> {
    pub version: f64,
    pub bytes: BufferSlice<'env>,
}

/// The value of a key; null where it is not fresh.
#[napi]
pub fn hub_value(env: &Env, handle: u32, key: String) -> Result<Option<NativeHubValue<'_>>> {
    let value = error::check(env, hub(handle)?.value(hash_str(&key), clock::now()))?;
    let value = value.map(|HubValue { version, bytes }| {
        Ok(NativeHubValue { version: double(version), bytes: BufferSlice::copy_from(env, &bytes)? })
    });
    value.transpose()
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("readHub(handle: number, key: string): number", read)?;
    exports.function("hubVersion(handle: number, key: string): number", version)
}

/// `readHub(handle, key)`: the version of the fresh value; 0 without one.
unsafe extern "C" fn read(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    answer_version(env, info, ClientHub::read)
}

/// `hubVersion(handle, key)`: the version of the value that a call would receive, fresh or stale; 0 without one.
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
        call.number(double(call.check(version)?.unwrap_or(0)))
    })
}
