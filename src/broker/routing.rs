//! Reserving capacity for a message before it is sent.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::{Route, SendRefusal};

use super::with;
use crate::runtime::clock::elapsed_ms;
use crate::runtime::numbers::{double, from_ms};
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, codes, layout};

layout! {
    /// A request for which a receiver has reserved capacity.
    pub(crate) struct RouteNumbers = "ROUTE" from 0 => {
        /// The request's number.
        sequence,
        /// Now, in milliseconds of the clock.
        now,
    }
}

layout! {
    /// A message for which no capacity was reserved.
    pub(crate) struct RefusedSend = "REFUSED_SEND" from 0 => {
        /// Why, by its code.
        reason,
    }
}

codes! {
    /// Why no capacity was reserved.
    SendRefusal = "SEND_REFUSALS" {
        NoEndpoint = "noEndpoint",
        Full = "full",
        Gone = "gone",
        Closed = "closed",
    }
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("routeRequest(handle: number, endpoint: number): number", route_request)?;
    exports.function("routeRequestTo(handle: number, receiver: number): number", route_request_to)?;
    exports.function("reserveMessage(handle: number, receiver: number): 0 | 1", reserve_message)?;
    exports.function("reserveForAll(handle: number): number | undefined", reserve_for_all)?;
    exports.function("addRoundTrip(handle: number, receiver: number, ms: number): void", add_round_trip)
}

/// `routeRequest(handle, endpoint)`: the receiver's number, with [`RouteNumbers`]; or 0, with [`RefusedSend`].
unsafe extern "C" fn route_request(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let endpoint = call.u32(1)?;
        write_route(call, with(call, |member| member.broker.route(&member.peer, endpoint))?)
    })
}

/// `routeRequestTo(handle, receiver)`: the same for one receiver.
unsafe extern "C" fn route_request_to(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let receiver = call.u32(1)?;
        write_route(call, with(call, |member| member.broker.route_to(&member.peer, receiver))?)
    })
}

/// `reserveMessage(handle, receiver)`: 1; or 0, with [`RefusedSend`].
unsafe extern "C" fn reserve_message(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let receiver = call.u32(1)?;
        match with(call, |member| member.broker.reserve_message(&member.peer, receiver))? {
            Ok(()) => call.int(1),
            Err(refusal) => write_refusal(call, refusal),
        }
    })
}

/// `reserveForAll(handle)`: how many receivers have reserved capacity; `undefined` if one of them could not, or if peers
/// have come or gone since the messages before.
unsafe extern "C" fn reserve_for_all(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let receivers = with(call, |member| member.broker.reserve_for_all(&member.peer))?;
        receivers.map_or_else(|| call.undefined(), |receivers| call.number(receivers.into()))
    })
}

/// `addRoundTrip(handle, receiver, ms)`: adds how long the answer of a receiver took.
unsafe extern "C" fn add_round_trip(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (receiver, nanos) = (call.u32(1)?, from_ms(call.f64(2)?));
        with(call, |member| member.broker.add_round_trip(receiver, nanos))?;
        call.undefined()
    })
}

fn write_route(
    call: &Call<'_, 2>,
    route: std::result::Result<Route, SendRefusal>,
) -> Result<sys::napi_value> {
    match route {
        Ok(Route { receiver, sequence }) => {
            call.port.write(RouteNumbers { sequence: double(sequence), now: elapsed_ms() });
            call.int(receiver.cast_signed())
        }
        Err(refusal) => write_refusal(call, refusal),
    }
}

fn write_refusal(call: &Call<'_, 2>, refusal: SendRefusal) -> Result<sys::napi_value> {
    call.port.write(RefusedSend { reason: refusal.code().into() });
    call.int(0)
}
