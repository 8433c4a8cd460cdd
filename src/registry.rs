//! `Registry`. Values cross as bytes, in the encoding of `lib/runtime/value.js`.

use std::sync::Arc;

use napi::bindgen_prelude::{BufferSlice, Env, Result, Uint8Array};
use napi::sys;
use napi_derive::napi;
use sluice_core::{Change, Instances, Registry};

use crate::components::Component;
use crate::runtime::error;
use crate::runtime::numbers::{double, integer};
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::Declarations;
use crate::runtime::thread;

static REGISTRIES: Instances<Registry> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &REGISTRIES,
    export,
    declarations: Declarations { layouts: &[], codes: &[], options: &[] },
};

#[napi(object)]
pub struct NativeEntry<'env> {
    pub version: f64,
    pub value: BufferSlice<'env>,
}

#[napi(object)]
pub struct NativeChange {
    pub done: bool,
    pub version: f64,
}

/// All entries at one moment. The lists have the same order.
#[napi(object)]
pub struct NativeSnapshot<'env> {
    pub version: f64,
    pub keys: Vec<String>,
    pub versions: Vec<f64>,
    pub values: Vec<BufferSlice<'env>>,
}

/// Attaches to a registry or creates it; the handle is this thread's.
#[napi]
pub fn open_registry(env: Env, name: String) -> Result<u32> {
    let registry = error::check(&env, REGISTRIES.open(&name, Some(())))?;
    let port = thread::port_of(&env)?;
    let handle = port.thread().registries.borrow_mut().hold(Arc::clone(&registry));
    error::check(&env, registry.show_version(port.thread().id, &port.versions, handle as usize))?;
    Ok(handle)
}

/// A JavaScript object that stands for the registry was collected.
#[napi]
pub fn release_registry(handle: u32) -> Result<()> {
    let thread = thread::current()?;
    if let Some(registry) = thread.registries.borrow_mut().release(handle) {
        registry.hide_version(thread.id, handle as usize);
    }
    Ok(())
}

#[napi]
pub fn destroy_registry(name: String) -> bool {
    REGISTRIES.destroy(&name)
}

#[napi]
pub fn registry_get(env: &Env, handle: u32, key: String) -> Result<Option<NativeEntry<'_>>> {
    let entry = error::check(env, registry(handle)?.get(&key))?;
    let entry = entry.map(|entry| {
        let value = BufferSlice::copy_from(env, &entry.value)?;
        Ok(NativeEntry { version: double(entry.version), value })
    });
    entry.transpose()
}

#[napi]
pub fn registry_set(env: Env, handle: u32, key: String, value: Uint8Array) -> Result<NativeChange> {
    let change = registry(handle)?.set(&key, value.as_ref().into());
    error::check(&env, change).map(Into::into)
}

#[napi]
pub fn registry_set_if_absent(env: Env, handle: u32, key: String, value: Uint8Array) -> Result<NativeChange> {
    let change = registry(handle)?.set_if_absent(&key, value.as_ref().into());
    error::check(&env, change).map(Into::into)
}

/// Sets a value if the entry still has the version `expected`; `undefined`: if there is no entry.
#[napi]
pub fn registry_compare_and_set(
    env: Env,
    handle: u32,
    key: String,
    expected: Option<f64>,
    value: Uint8Array,
) -> Result<NativeChange> {
    let expected = expected.map(integer);
    let change = registry(handle)?.compare_and_set(&key, expected, value.as_ref().into());
    error::check(&env, change).map(Into::into)
}

#[napi]
pub fn registry_delete(env: Env, handle: u32, key: String) -> Result<NativeChange> {
    let change = registry(handle)?.delete(&key);
    error::check(&env, change).map(Into::into)
}

#[napi]
pub fn registry_replace_all(
    env: Env,
    handle: u32,
    keys: Vec<String>,
    values: Vec<Uint8Array>,
) -> Result<f64> {
    let values = keys.into_iter().zip(values.iter().map(|value| value.as_ref().into())).collect();
    Ok(double(error::check(&env, registry(handle)?.replace_all(values))?))
}

#[napi]
pub fn registry_keys(env: Env, handle: u32) -> Result<Vec<String>> {
    let snapshot = error::check(&env, registry(handle)?.snapshot())?;
    Ok(snapshot.entries.keys().map(|key| key.to_string()).collect())
}

#[napi]
pub fn registry_snapshot(env: &Env, handle: u32) -> Result<NativeSnapshot<'_>> {
    let snapshot = error::check(env, registry(handle)?.snapshot())?;
    let entries: Vec<_> = snapshot.entries.iter().collect();
    Ok(NativeSnapshot {
        version: double(snapshot.version),
        keys: entries.iter().map(|(key, _)| key.to_string()).collect(),
        versions: entries.iter().map(|(_, entry)| double(entry.version)).collect(),
        values: entries
            .iter()
            .map(|(_, entry)| BufferSlice::copy_from(env, &entry.value))
            .collect::<Result<_>>()?,
    })
}

/// Sends this thread every change from now on, under this number.
#[napi]
pub fn registry_subscribe(env: Env, handle: u32, subscription: u32) -> Result<()> {
    let mailbox = thread::port_of(&env)?.mailbox();
    error::check(&env, registry(handle)?.subscribe(mailbox, subscription))
}

#[napi]
pub fn registry_unsubscribe(handle: u32, subscription: u32) -> Result<()> {
    registry(handle)?.unsubscribe(thread::current()?.id, subscription);
    Ok(())
}

impl From<Change> for NativeChange {
    fn from(change: Change) -> Self {
        Self { done: change.done, version: double(change.version) }
    }
}

fn registry(handle: u32) -> Result<Arc<Registry>> {
    thread::current()?.registries.borrow().get(handle).cloned()
}

fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("registrySize(handle: number): number", size)?;
    exports.function("registryVersion(handle: number): number", version)?;
    exports.function("registryEntryVersion(handle: number, key: string): number", entry_version)
}

/// Runs `body` on the registry of argument 0.
fn with_registry<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&Registry) -> sluice_core::Result<R>,
) -> Result<R> {
    call.check(call.on(&call.port.thread().registries, body)?)
}

/// `registrySize(handle)`: how many keys there are.
unsafe extern "C" fn size(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let size = with_registry(call, Registry::size)?;
        call.number(double(size))
    })
}

/// `registryVersion(handle)`: for readers whose handle has no version cell.
unsafe extern "C" fn version(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let version = with_registry(call, Registry::version)?;
        call.number(double(version))
    })
}

/// `registryEntryVersion(handle, key)`: the version of the key's value, against which a decoded value is checked; -1 for
/// a key without a value.
unsafe extern "C" fn entry_version(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let key = call.text(1).unwrap_or_default();
        let entry = with_registry(call, |registry| registry.get(&key))?;
        call.number(entry.map_or(-1.0, |entry| double(entry.version)))
    })
}
