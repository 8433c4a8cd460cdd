//! The sending side: a place is reserved for each message, and messages go out together.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::{Batch, Body, Reserved, Unreserved};

use super::{text, with};
use crate::runtime::clock::elapsed_ms;
use crate::runtime::raw::{Call, Exports};

/// Where the result of a route stands in the numbers: the request's number and the time.
const ROUTED: usize = 0;

/// Where JavaScript says how many places its messages were promised: messages, requests.
const PLACES: usize = 2;

/// The receiver that stands for every other peer.
const EVERYBODY: u32 = 0;

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("routeRequest", route_request)?;
    exports.function("routeRequestTo", route_request_to)?;
    exports.function("reserveMessage", reserve_message)?;
    exports.function("reserveForAll", reserve_for_all)?;
    exports.function("deliverJson", deliver_json)?;
    exports.function("deliverJsonToAll", deliver_json_to_all)?;
    exports.function("deliverText", deliver_text)?;
    exports.function("deliverBytes", deliver_bytes)
}

/// Why nothing was reserved, for JavaScript.
const fn refusal(unreserved: Unreserved) -> i32 {
    match unreserved {
        Unreserved::NoEndpoint => 0,
        Unreserved::Full => -1,
        Unreserved::Gone => -2,
        Unreserved::Closed => -3,
    }
}

/// `routeRequest(handle, endpoint)`: the receiver, with the request's number and the time in `numbers`; or 0 where
/// nobody serves it, -1 where nobody has room, -3 where the broker was destroyed.
unsafe extern "C" fn route_request(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let endpoint = call.u32(1)?;
        tell_route(call, with(call, |member| member.broker.route(&member.peer, endpoint))?)
    })
}

/// `routeRequestTo(handle, receiver)`: the same for one receiver; -2 when it is gone.
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
            call.port.leave(ROUTED, [sequence as f64, elapsed_ms()]);
            call.int(receiver.cast_signed())
        }
        Err(unreserved) => call.int(refusal(unreserved)),
    }
}

/// `reserveMessage(handle, receiver)`: 1; or -1 where it has no room, -2 when it is gone.
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
    let [messages, requests] = call.port.left(PLACES);
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
