//! Delivering messages, alone or in a batch.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::{Batch, Body};

use super::routing::RouteNumbers;
use super::{text, with};
use crate::runtime::message_numbers::EVERY_PEER;
use crate::runtime::numbers::integer;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::layout;

layout! {
    /// The capacity that was reserved for a batch.
    pub(crate) struct ReservedNumbers = "RESERVED" from RouteNumbers::LENGTH => {
        /// Messages.
        messages,
        /// Requests among them.
        requests,
    }
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function(
        "deliverJson(handle: number, receiver: number, count: number, text: string, length: number): number",
        deliver_json,
    )?;
    exports.function(
        "deliverJsonToAll(handle: number, count: number, text: string, length: number): void",
        deliver_json_to_all,
    )?;
    exports.function(
        "deliverText(handle: number, receiver: number, text: string, length: number): number",
        deliver_text,
    )?;
    exports.function(
        "deliverBytes(handle: number, receiver: number, bytes: Uint8Array, length: number): number",
        deliver_bytes,
    )
}

/// `deliverJson(handle, receiver, count, text, length)`: so many messages. See [`deliver`].
unsafe extern "C" fn deliver_json(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<5>::answer(env, info, |call| {
        let (count, length) = (call.u32(2)? as usize, call.u32(4)? as usize);
        let (text, is_ascii) = text::read(call.env, call.args[3], length)?;
        deliver(call, count, Body::Json { text, is_ascii })
    })
}

/// `deliverJsonToAll(handle, count, text, length)`: to the peers at which `reserveForAll` reserved capacity.
unsafe extern "C" fn deliver_json_to_all(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<4>::answer(env, info, |call| {
        let (count, length) = (call.u32(1)? as usize, call.u32(3)? as usize);
        let (text, is_ascii) = text::read(call.env, call.args[2], length)?;
        let headers = call.port.message_numbers.outgoing(count)?;
        let batch = Batch::new(headers, Body::Json { text, is_ascii }, 0, 0);
        with(call, |member| member.broker.deliver_to_all(&member.peer, batch))?;
        call.undefined()
    })
}

/// `deliverText(handle, receiver, text, length)`: one message. See [`deliver`].
unsafe extern "C" fn deliver_text(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<4>::answer(env, info, |call| {
        let (text, is_ascii) = text::read(call.env, call.args[2], call.u32(3)? as usize)?;
        deliver(call, 1, Body::Text { text, is_ascii })
    })
}

/// `deliverBytes(handle, receiver, bytes, length)`: one message. See [`deliver`].
unsafe extern "C" fn deliver_bytes(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<4>::answer(env, info, |call| {
        let length = call.u32(3)? as usize;
        let bytes = call.with_bytes(2, length, |bytes| {
            let mut copy = text::with_room(bytes.len())?;
            copy.extend_from_slice(bytes);
            Ok(copy)
        })?;
        deliver(call, 1, Body::Bytes(bytes))
    })
}

/// To one receiver: returns how many items are pending there, this one included; 0 if it is gone. To [`EVERY_PEER`]:
/// returns how many received it.
fn deliver<const N: usize>(call: &Call<'_, N>, count: usize, body: Body) -> Result<sys::napi_value> {
    let ReservedNumbers { messages, requests } = call.port.read();
    let headers = call.port.message_numbers.outgoing(count)?;
    let batch = Batch::new(headers, body, integer(messages), integer(requests));
    let receiver = call.u32(1)?;
    let delivered = with(call, |member| match receiver {
        EVERY_PEER => member.broker.broadcast(&member.peer, batch),
        receiver => {
            let before = member.broker.deliver(&member.peer, receiver, batch);
            before.map_or(0, |before| u32::try_from(before + 1).unwrap_or(u32::MAX))
        }
    })?;
    call.number(f64::from(delivered))
}
