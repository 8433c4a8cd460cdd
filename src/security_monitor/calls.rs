//! Raw calls: to record an event, and to read the events of a client.

use napi::bindgen_prelude::{Error, Result};
use napi::sys;
use sluice_core::client_key::AddressText;
use sluice_core::runtime::clock;
use sluice_core::{Alert, Approached, EventId, LocalMonitor, MAX_DETAIL_BYTES};

use crate::reputation;
use crate::runtime::error;
use crate::runtime::numbers::double;
use crate::runtime::raw::{Admission, Answer, Call, Exports, TextBuffer};
use crate::runtime::seam::layout;

layout! {
    /// What JavaScript leaves for a call of a monitor.
    pub(super) struct MonitorCall: i32 = "MONITOR_CALL" from 0 => {
        /// The monitor's handle.
        handle,
        /// The number of the event to record.
        event,
    }
}

layout! {
    /// The events of a client.
    pub(super) struct ClientEvents: i32 = "CLIENT_EVENTS" from 0 => {
        /// -1 less how many there are.
        answer,
        /// The numbers of the first ones.
        events[MOST_COUNTS],
    }
}

impl Answer for ClientEvents {}

layout! {
    /// How often each of those events occurred.
    pub(super) struct ClientCounts = "CLIENT_COUNTS" from 0 => {
        /// The totals.
        counts[MOST_COUNTS],
    }
}

/// Events of one client that a call reads.
const MOST_COUNTS: usize = 15;

/// More bytes than are kept of a detail, so that core sees that a longer one is cut.
const DETAIL_BYTES: usize = MAX_DETAIL_BYTES + 8;

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("recordEvent(ip: string): void", record_event)?;
    exports.function("recordEventWith(ip: string, detail: string): void", record_event_with)?;
    exports.function("readClientEvents(ip: string): void", read_client_events)
}

/// `recordEvent(ip)`: an event without a detail.
unsafe extern "C" fn record_event(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| record(call, approach(call)?, None))
}

/// `recordEventWith(ip, detail)`.
unsafe extern "C" fn record_event_with(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::quick(env, info, |call| {
        let mut detail = TextBuffer::<DETAIL_BYTES>::new();
        // Before the detail is read: that takes about as long as the client's state to arrive.
        let client = approach(call)?;
        match call.text_start(1, &mut detail) {
            Some(detail) => record(call, client, Some(detail)),
            None => Err(error::invalid_detail(call.env, call.args[1])),
        }
    })
}

/// `readClientEvents(ip)`: [`ClientEvents`], with [`ClientCounts`].
unsafe extern "C" fn read_client_events(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        let (mut events, mut counts) = ([0; MOST_COUNTS], [0.0; MOST_COUNTS]);
        let each = |place, EventId(event): EventId, count| {
            if let (Some(to), Some(total)) = (events.get_mut(place), counts.get_mut(place)) {
                (*to, *total) = (event.cast_signed(), double(count));
            }
        };
        let counts_of = |ip: AddressText<'_>| with_monitor(call, |local, _| local.counts_for(ip, each));
        let found = call.with_address(0, counts_of).ok_or_else(|| invalid_address(call))??;
        call.port.write(ClientCounts { counts });
        // At most as many as there are events of a monitor.
        let found = i32::try_from(found).unwrap_or(i32::MAX);
        Ok(ClientEvents { answer: -1 - found, events })
    })
}

/// The client of the address in argument 0. Where that is none, the error is returned: the monitor may have a more important
/// one.
#[inline(always)]
fn approach<const N: usize>(call: &Call<'_, N>) -> Result<sluice_core::Result<Approached>> {
    let approach = |ip: AddressText<'_>| with_monitor(call, |local, _| Ok(local.approach(ip)));
    call.with_address(0, approach).ok_or_else(|| invalid_address(call))?
}

#[cold]
fn invalid_address<const N: usize>(call: &Call<'_, N>) -> Error {
    error::invalid_address(call.env, call.args[0])
}

#[inline(always)]
fn record<const N: usize>(
    call: &Call<'_, N>,
    client: sluice_core::Result<Approached>,
    detail: Option<&str>,
) -> Result<Admission> {
    with_monitor(call, |local, event| local.record(event, client, detail, clock::now(), ban))?;
    Ok(Admission::from(true))
}

/// Runs `body` on this thread's handle to the monitor that JavaScript left, with the event that it left.
#[inline(always)]
fn with_monitor<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalMonitor, EventId) -> sluice_core::Result<R>,
) -> Result<R> {
    let MonitorCall { handle, event } = call.port.read();
    let event = EventId(event.cast_unsigned());
    // The borrow ends before JavaScript runs again.
    let result = body(call.port.thread().monitors.borrow_mut().at(handle)?, event);
    call.check(result)
}

/// Bans the client of an alert in the reputation of this name. False when the client is not banned afterwards: the
/// reputation does not exist, or allows the client.
fn ban(reputation: &str, alert: &Alert) -> bool {
    let banned = reputation::find(reputation).map(|reputation| {
        reputation.ban_automatically(&alert.client, &alert.rule, reputation::now_of(&reputation))
    });
    banned.is_some_and(|verdict| verdict.is_ok_and(|verdict| verdict.banned))
}
