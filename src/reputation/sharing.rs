//! Reputations whose bans a server shares with other processes.

use std::fmt;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi::sys;
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::Reputation;
use sluice_fleet::{Answer, Desk, FleetBans, FleetBansOptions, Ticket};

use super::reputation;
use crate::fleet::{self, FleetCall, NativeScope, PortDesk};
use crate::runtime::error;
use crate::runtime::numbers::{double, natural};
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::Coded;

/// Few, and found by their reputation: one that is destroyed shares its last bans while another has its name.
static SHARED: Mutex<Vec<Arc<FleetBans>>> = Mutex::new(Vec::new());

/// What the sharing of bans has done.
#[napi(object)]
pub struct NativeFleetBans {
    pub state: String,
    pub server: String,
    pub version: Option<String>,
    pub last_error: Option<String>,
    pub connections: f64,
    pub bans: f64,
    pub sent: f64,
    pub received: f64,
    pub pending: f64,
    pub dropped: f64,
}

/// A scope in words that hold no credentials: reputations of one name agree in it.
struct InWords(FleetBansOptions);

impl fmt::Display for InWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FleetBansOptions { server, prefix } = &self.0;
        write!(f, "redis {server}, prefix {prefix:?}")
    }
}

/// How the bans of a reputation are shared.
pub(super) fn options_of(env: &Env, scope: NativeScope) -> Result<FleetBansOptions> {
    let prefix = scope.prefix.clone();
    Ok(FleetBansOptions { server: error::check(env, scope.server())?, prefix })
}

/// The scope of a reputation in words that hold no credentials.
#[napi]
pub fn describe_ban_scope(env: Env, scope: NativeScope) -> Result<String> {
    Ok(InWords(options_of(&env, scope)?).to_string())
}

/// Shares the bans of a reputation, unless they are shared already. The caller holds the lock of all that opens and ends
/// reputations.
pub(super) fn share(name: &str, reputation: &Arc<Reputation>, options: FleetBansOptions) {
    fleet::listen_for_differences();
    if find(reputation).is_none() {
        let started = FleetBans::start(name, Arc::clone(reputation), options);
        SHARED.lock().push(Arc::new(started));
    }
}

/// What the sharing of bans has done; none where they are not shared.
#[napi]
pub fn fleet_bans_stats(handle: u32) -> Result<Option<NativeFleetBans>> {
    let Some(bans) = find(&reputation(handle)?) else { return Ok(None) };
    let stats = bans.stats();
    Ok(Some(NativeFleetBans {
        state: stats.state.text().to_owned(),
        server: stats.server,
        version: stats.version,
        last_error: stats.last_error,
        connections: double(stats.connections),
        bans: double(stats.bans),
        sent: double(stats.sent),
        received: double(stats.received),
        pending: double(stats.pending),
        dropped: double(stats.dropped),
    }))
}

/// It was closed, and so was its reputation. Until then it is found: a reputation whose bans are not known is none that shares
/// nothing.
pub(super) fn forget(bans: &Arc<FleetBans>) {
    SHARED.lock().retain(|known| !Arc::ptr_eq(known, bans));
}

/// A test empties every instance. The server keeps its bans; nothing is shared until a reputation is constructed again.
pub(super) fn forget_all() {
    let forgotten = std::mem::take(&mut *SHARED.lock());
    for bans in forgotten {
        bans.forget();
    }
}

/// What shares the bans of a reputation.
pub(super) fn find(reputation: &Arc<Reputation>) -> Option<Arc<FleetBans>> {
    SHARED.lock().iter().find(|bans| Arc::ptr_eq(bans.reputation(), reputation)).cloned()
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("awaitBans(): 0 | 1", await_bans)?;
    exports.function("withdrawAwaitBans(): 0 | 1", withdraw_await_bans)
}

/// `awaitBans()`: asks what the integers say, of the reputation in place of a limiter: an answer once all bans of the other
/// processes are known here. 1 when it lies on the desk already.
unsafe extern "C" fn await_bans(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let FleetCall { fleet, desk, ticket, .. } = call.port.read();
        let thread = call.port.thread();
        let reputation = Arc::clone(thread.reputations.borrow().get(fleet.cast_unsigned())?);
        let desk: Arc<PortDesk> = Arc::clone(thread.fleet_desks.borrow().get(desk.cast_unsigned())?);
        call.check(reputation.check_open())?;
        let number = natural(ticket);
        let ticket = Ticket { desk: Arc::clone(&desk) as Arc<dyn Desk>, number };
        // Of a reputation that shares nothing, nothing is awaited.
        let answer = match find(&reputation) {
            Some(bans) => bans.ready(ticket),
            None => Some(Answer::Ready),
        };
        let is_answered = answer.is_some();
        if let Some(answer) = answer {
            desk.put(number, answer);
        }
        call.int(i32::from(is_answered))
    })
}

/// `withdrawAwaitBans()`: nothing awaits the answer to `awaitBans` any more that the integers say. 1 when none will come.
unsafe extern "C" fn withdraw_await_bans(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let FleetCall { fleet, desk, ticket, .. } = call.port.read();
        let thread = call.port.thread();
        let reputation = Arc::clone(thread.reputations.borrow().get(fleet.cast_unsigned())?);
        let desk: Arc<PortDesk> = Arc::clone(thread.fleet_desks.borrow().get(desk.cast_unsigned())?);
        let desk = desk as Arc<dyn Desk>;
        let is_withdrawn = find(&reputation).is_some_and(|bans| bans.withdraw(&desk, natural(ticket)));
        call.int(i32::from(is_withdrawn))
    })
}
