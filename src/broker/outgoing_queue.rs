//! The sending side: a place is reserved for each message, and messages go out together.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::{Batch, Body, Reserved, Unreserved};

use super::{text, with};
use crate::runtime::clock::elapsed_ms;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, codes, layout};

layout! {
    /// A request that found a receiver.
    pub(crate) struct RouteNumbers = "ROUTE" from 0 => {
        /// The request's number.
        sequence,
        /// Now, in milliseconds of the clock.
        now,
    }
}

layout! {
    /// The capacity that JavaScript reserved for a batch.
    pub(crate) struct ReservedNumbers = "RESERVED" from RouteNumbers::LENGTH => {
        /// Messages.
        messages,
        /// Requests among them.
        requests,
    }
}

/// The receiver that stands for every other peer.
const EVERYBODY: u32 = 0;

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("routeRequest(handle: number, endpoint: number): number", route_request)?;
    exports.function("routeRequestTo(handle: number, receiver: number): number", route_request_to)?;
    exports.function("reserveMessage(handle: number, receiver: number): number", reserve_message)?;
    exports.function("reserveForAll(handle: number): number", reserve_for_all)?;
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

codes! {
    /// Why nothing was reserved.
    Unreserved = "UNRESERVED" {
        NoEndpoint = "noEndpoint",
        Full = "full",
        Gone = "gone",
        Closed = "closed",
    }
}

/// Why nothing was reserved, as a result that is otherwise positive: -1 for the first code, -2 for the second.
fn refusal(unreserved: Unreserved) -> i32 {
    -1 - unreserved.code().cast_signed()
}

/// `routeRequest(handle, endpoint)`: the receiver, with [`RouteNumbers`]; or why there is none, see [`refusal`].
unsafe extern "C" fn route_request(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let endpoint = call.u32(1)?;
        tell_route(call, with(call, |member| member.broker.route(&member.peer, endpoint))?)
    })
}

/// `routeRequestTo(handle, receiver)`: the same for one receiver.
unsafe extern "C" fn route_request_to(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let receiver = call.u32(1)?;
        tell_route(call, with(call, |member| member.broker.route_to(&member.peer, receiver))?)
    })
}

fn tell_route(
    call: &Call<'_, 2>,
    reserved: std::result::Result<Reserved, Unreserved>,
) -> Result<sys::napi_value> {
    match reserved {
        Ok(Reserved { receiver, sequence }) => {
            call.port.write(RouteNumbers { sequence: sequence as f64, now: elapsed_ms() });
            call.int(receiver.cast_signed())
        }
        Err(unreserved) => call.int(refusal(unreserved)),
    }
}

/// `reserveMessage(handle, receiver)`: 1; or why not, see [`refusal`].
unsafe extern "C" fn reserve_message(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let receiver = call.u32(1)?;
        let reserved = with(call, |member| member.broker.reserve_message(&member.peer, receiver))?;
        call.int(reserved.map_or_else(refusal, |()| 1))
    })
}

/// `reserveForAll(handle)`: how many receivers have a place; -1 where they are to be looked at one by one.
unsafe extern "C" fn reserve_for_all(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let receivers = with(call, |member| member.broker.reserve_for_all(&member.peer))?;
        call.int(receivers.map_or(-1, u32::cast_signed))
    })
}

/// `deliverJson(handle, receiver, count, text, length)`: see [`deliver`].
unsafe extern "C" fn deliver_json(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<5>::answer(env, info, |call| {
        let (count, length) = (call.u32(2)? as usize, call.u32(4)? as usize);
        let (text, is_ascii) = text::read(call.env, call.args[3], length)?;
        deliver(call, count, Body::Json { text, is_ascii })
    })
}

/// `deliverJsonToAll(handle, count, text, length)`: to those for whom places were reserved.
unsafe extern "C" fn deliver_json_to_all(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<4>::answer(env, info, |call| {
        let (count, length) = (call.u32(1)? as usize, call.u32(3)? as usize);
        let (text, is_ascii) = text::read(call.env, call.args[2], length)?;
        let headers = call.port.message_numbers.outgoing(count);
        let batch = Batch::new(headers, Body::Json { text, is_ascii }, 0, 0);
        with(call, |member| member.broker.deliver_to_all(&member.peer, batch))?;
        call.undefined()
    })
}

/// `deliverText(handle, receiver, text, length)`: one message; see [`deliver`].
unsafe extern "C" fn deliver_text(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<4>::answer(env, info, |call| {
        let (text, is_ascii) = text::read(call.env, call.args[2], call.u32(3)? as usize)?;
        deliver(call, 1, Body::Text { text, is_ascii })
    })
}

/// `deliverBytes(handle, receiver, bytes: Uint8Array, length)`: one message; see [`deliver`].
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

/// Of everybody, how many had a place for it. Of one receiver, what waits there with it: 0 when it is gone.
fn deliver<const N: usize>(call: &Call<'_, N>, count: usize, body: Body) -> Result<sys::napi_value> {
    let ReservedNumbers { messages, requests } = call.port.read();
    let headers = call.port.message_numbers.outgoing(count);
    let batch = Batch::new(headers, body, messages as u32, requests as u32);
    let receiver = call.u32(1)?;
    let delivered = with(call, |member| match receiver {
        EVERYBODY => member.broker.broadcast(&member.peer, batch),
        receiver => {
            let before = member.broker.deliver(&member.peer, receiver, batch);
            before.map_or(0, |before| u32::try_from(before + 1).unwrap_or(u32::MAX))
        }
    })?;
    call.number(f64::from(delivered))
}
