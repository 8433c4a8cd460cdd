//! `clientKey`, and the client's address behind trusted proxies.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Error, Result, Status};
use napi::sys;
use napi_derive::napi;
use sluice_core::ThreadId;
use sluice_core::client_key::{self, CidrList, ClientAddress, ClientKeyOptions, HeaderFormat, Resolved};
use sluice_core::runtime::clock::SetBack;

use crate::components::Component;
use crate::runtime::error;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, Declarations, Layout, codes, layout};
use crate::runtime::thread;

/// The process keeps nothing: lists of proxies belong to their handles.
pub(crate) struct Stateless;

impl sluice_core::Component for Stateless {
    fn thread_ended(&self, _: ThreadId, _: u64) {}
    fn clock_was_set_back(&self, _: SetBack) {}
    fn reset(&self) {}
    fn names(&self) -> Option<(&'static str, Vec<String>)> {
        None
    }
}

pub(crate) const COMPONENT: Component = Component {
    state: &Stateless,
    export,
    declarations: Declarations {
        layouts: &[ResolvedClient::DESCRIPTION],
        codes: &[HeaderFormat::DESCRIPTION],
        options: &[("clientKey", ClientKeyOptions::FIELDS)],
    },
};

codes! {
    /// How the header of a proxy names clients.
    HeaderFormat = "HEADER_FORMATS" {
        List = "list",
        Forwarded = "forwarded",
        Single = "single",
    }
}

layout! {
    /// What a header was resolved to, beside the client's key.
    pub(crate) struct ResolvedClient = "RESOLVED_CLIENT" from 0 => {
        /// 1 when the address is that of a trusted proxy, else 0.
        is_proxy,
    }
}

fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("clientKey(address: string, ipv6Prefix: number): string", canonical)?;
    exports.function("keyOfAddress(handle: number, address: string): string", key_of_address)?;
    exports.function(
        "resolveClient(handle: number, format: number, header: string): string | undefined",
        resolve_client,
    )?;
    exports.function("isTrustedProxy(handle: number, address: string | undefined): 0 | 1", is_trusted_proxy)
}

/// A prefix that JavaScript has checked.
fn prefix(given: u32) -> Result<u8> {
    client_key::ipv6_prefix(given)
        .ok_or_else(|| Error::new(Status::InvalidArg, format!("sluice: {given} is no IPv6 prefix")))
}

/// `clientKey(address, ipv6Prefix)`.
unsafe extern "C" fn canonical(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let address = call.text(0).ok_or_else(|| error::invalid_address(call.env, call.args[0]))?;
        let key = call.check(client_key::client_key(&address, prefix(call.u32(1)?)?))?;
        call.string(&key)
    })
}

/// Reads a list of trusted proxies. The handle belongs to this thread.
#[napi]
pub fn open_client_address(env: Env, trusted_proxies: Vec<String>, ipv6_prefix: u32) -> Result<u32> {
    let trusted = CidrList::parse("trustedProxies", trusted_proxies.iter().map(String::as_str));
    let trusted = error::check(&env, trusted)?;
    let address = ClientAddress::new(trusted, prefix(ipv6_prefix)?);
    Ok(thread::current()?.client_addresses.borrow_mut().hold(Arc::new(address)))
}

/// Releases a JavaScript object's hold on the handle.
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

/// `resolveClient(handle, format, header)`: the key of the client that the header of a trusted proxy names, `undefined`
/// where the header is unreadable. Writes whether that client is a trusted proxy as well.
unsafe extern "C" fn resolve_client(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let format = HeaderFormat::from_code(call.u32(1)?)?;
        let addresses = &call.port.thread().client_addresses;
        let resolved = call
            .with_text(2, |header| call.on(addresses, |list| list.resolve(format, header)))
            .transpose()?;
        let (key, is_proxy) = match resolved {
            Some(Resolved::Client(key)) => (key, false),
            Some(Resolved::Proxy(key)) => (key, true),
            Some(Resolved::Unreadable) | None => return call.undefined(),
        };
        call.port.write(ResolvedClient { is_proxy: f64::from(u8::from(is_proxy)) });
        call.string(&key)
    })
}

/// `isTrustedProxy(handle, address)`: 1 for the address of a trusted proxy, 0 for any other value.
unsafe extern "C" fn is_trusted_proxy(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let remote = call.text(1);
        let trusted = call.on(&call.port.thread().client_addresses, |address| {
            remote.is_some_and(|remote| address.is_trusted(&remote))
        })?;
        call.int(i32::from(trusted))
    })
}
