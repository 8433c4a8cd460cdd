//! `clientKey` and the address behind trusted proxies.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi::sys;
use napi_derive::napi;
use sluice_core::client_key::{self, HeaderFormat};
use sluice_core::client_key::{CidrList, ClientAddress, Resolved};

use crate::runtime::error;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::thread;

pub(crate) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("clientKey", canonical)?;
    exports.function("keyOfAddress", key_of_address)?;
    exports.function("resolveClient", resolve_client)?;
    exports.function("isTrustedProxy", is_trusted_proxy)
}

/// `clientKey(address, ipv6Prefix)`.
unsafe extern "C" fn canonical(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let address = call.text(0).ok_or_else(|| error::invalid_address(call.env, call.args[0]))?;
        let prefix = u8::try_from(call.u32(1)?).unwrap_or(128);
        let key = call.check(client_key::client_key(&address, prefix))?;
        call.string(&key)
    })
}

/// Reads a list of trusted proxies; the handle is this thread's.
#[napi]
pub fn open_client_address(env: Env, trusted_proxies: Vec<String>, ipv6_prefix: u32) -> Result<u32> {
    let trusted = CidrList::parse("trustedProxies", trusted_proxies.iter().map(String::as_str));
    let trusted = error::check(&env, trusted)?;
    let address = ClientAddress::new(trusted, u8::try_from(ipv6_prefix).unwrap_or(128));
    Ok(thread::current()?.client_addresses.borrow_mut().hold(Arc::new(address)))
}

/// One JavaScript object less that stands for the list.
#[napi]
pub fn release_client_address(handle: u32) -> Result<()> {
    thread::current()?.client_addresses.borrow_mut().release(handle);
    Ok(())
}

/// `keyOfAddress(handle, address)`.
unsafe extern "C" fn key_of_address(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let address = call.text(1).ok_or_else(|| error::invalid_address(call.env, call.args[1]))?;
        let key = call.on(&call.port.thread().client_addresses, |list| list.key(&address))?;
        call.string(&call.check(key)?)
    })
}

/// `resolveClient(handle, format, header)`: the key of who the header of a trusted proxy names, `undefined` where it
/// cannot be read. Leaves 1 among the numbers where that is a proxy too.
unsafe extern "C" fn resolve_client(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let format = match call.u32(1)? {
            0 => HeaderFormat::List,
            1 => HeaderFormat::Forwarded,
            _ => HeaderFormat::Single,
        };
        let addresses = &call.port.thread().client_addresses;
        let resolved = call
            .with_text(2, |header| call.on(addresses, |list| list.resolve(format, header)))
            .transpose()?;
        let (key, is_proxy) = match resolved {
            Some(Resolved::Client(key)) => (key, 0.0),
            Some(Resolved::Proxy(key)) => (key, 1.0),
            Some(Resolved::Unreadable) | None => return call.undefined(),
        };
        call.port.leave(0, [is_proxy]);
        call.string(&key)
    })
}

/// `isTrustedProxy(handle, peer)`: 1 when it is.
unsafe extern "C" fn is_trusted_proxy(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let peer = call.text(1);
        let trusted = call.on(&call.port.thread().client_addresses, |address| {
            peer.is_some_and(|peer| address.is_trusted(&peer))
        })?;
        call.int(i32::from(trusted))
    })
}
