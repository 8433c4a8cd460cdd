//! Trackers whose connections a server counts for all machines. A place is asked for here and answered later, on the
//! thread's desk.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::{ConnectionTracker, Error, Place, ThreadId};
use sluice_fleet::{
    Answer, Desk, FleetConnections, FleetConnectionsOptions, OnError, PlaceRequest, Source, Ticket,
};

use super::tracker;
use crate::fleet::{self, FleetCall, NativeFleetFailures, NativeScope, PortDesk};
use crate::runtime::numbers::{double, integer, natural};
use crate::runtime::seam::Coded;
use crate::runtime::{error, thread};

/// By the name of the tracker, with the scope in words.
static SHARED: Mutex<BTreeMap<String, (String, Arc<FleetConnections>)>> = Mutex::new(BTreeMap::new());

/// A place that was granted, and by what.
#[napi(object)]
#[derive(Clone, Copy)]
pub struct NativePlace {
    pub number: f64,
    /// A code of FLEET_SOURCE.
    pub source: u32,
}

/// What was done for the connections of a tracker that machines count together.
#[napi(object)]
pub struct NativeFleetConnections {
    pub state: String,
    pub server: String,
    pub version: Option<String>,
    pub eviction_policy: Option<String>,
    pub last_error: Option<String>,
    pub commands: f64,
    pub connections: f64,
    pub pending: f64,
    pub decisions: f64,
    pub local: f64,
    pub held: f64,
    pub count: f64,
    pub latency_ms: Option<f64>,
    pub failures: NativeFleetFailures,
}

/// A scope in words that hold no credentials: trackers of one name agree in it.
struct InWords<'a>(&'a FleetConnectionsOptions);

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FleetConnectionsOptions { server, timeout_ms, on_error, prefix, .. } = self.0;
        let on_error = OnError::TEXTS[*on_error as usize].0;
        write!(f, "redis {server}, onError {on_error}, timeout {timeout_ms} ms, prefix {prefix:?}")
    }
}

/// How a tracker is to count together with other machines.
pub(super) struct Sharing {
    words: String,
    options: FleetConnectionsOptions,
}

impl Sharing {
    pub(super) fn read(env: &Env, scope: NativeScope, lease_ms: Option<f64>) -> Result<Self> {
        fleet::listen_for_differences();
        let options = options_of(env, scope, lease_ms)?;
        Ok(Self { words: InWords(&options).to_string(), options })
    }
}

fn options_of(env: &Env, scope: NativeScope, lease_ms: Option<f64>) -> Result<FleetConnectionsOptions> {
    let (timeout_ms, prefix) = (integer(scope.timeout_ms), scope.prefix.clone());
    let on_error = error::check(env, scope.on_error())?;
    let lease = lease_ms.map(|ms| Duration::from_millis(integer(ms)));
    Ok(FleetConnectionsOptions {
        server: error::check(env, scope.server())?,
        timeout_ms,
        on_error,
        prefix,
        lease,
    })
}

/// The scope of a tracker in words that hold no credentials.
#[napi]
pub fn describe_connection_scope(env: Env, scope: NativeScope) -> Result<String> {
    Ok(InWords(&options_of(&env, scope, None)?).to_string())
}

/// Whether other machines count the connections too.
#[napi]
pub fn connections_are_shared(handle: u32) -> Result<bool> {
    Ok(find(&tracker(handle)?).is_some())
}

/// Asks for a place, as the integers say: the tracker in place of a limiter. True when the answer lies on the desk already.
/// Without `in_total`, for a connection that is counted already and begins to count for its client.
#[napi]
pub fn ask_for_place(env: Env, client: Option<String>, in_total: bool) -> Result<bool> {
    let (connections, desk, ticket) = parties(&env)?;
    let request = PlaceRequest { client: client.as_deref(), in_total, thread: thread::current()?.id };
    let answer = match connections {
        Some(connections) => error::check(&env, connections.ask(&request, ticket.clone()))?,
        None => Some(Answer::Failed(sluice_fleet::Failure::Away)),
    };
    Ok(left(&desk, &ticket, answer))
}

/// A place for a connection that is open already, without asking; none where no other machine counts it.
#[napi]
pub fn take_place(
    env: Env,
    handle: u32,
    client: Option<String>,
    in_total: bool,
) -> Result<Option<NativePlace>> {
    let Some(connections) = find(&tracker(handle)?) else { return Ok(None) };
    let request = PlaceRequest { client: client.as_deref(), in_total, thread: thread::current()?.id };
    let number = error::check(&env, connections.take(&request))?;
    Ok(number.map(|number| NativePlace { number: double(number), source: Source::Local.code() }))
}

/// As `ask_for_place`, for an answer once the server can be asked.
#[napi]
pub fn await_places(env: Env) -> Result<bool> {
    let (connections, desk, ticket) = parties(&env)?;
    // Where nothing is asked, nothing is awaited.
    let answer = connections.map_or(Some(Answer::Ready), |connections| connections.ready(ticket.clone()));
    Ok(left(&desk, &ticket, answer))
}

/// Nothing awaits the answer to `await_places` any more that the integers say. True when none will come.
#[napi]
pub fn withdraw_await_places(env: Env) -> Result<bool> {
    let (connections, desk, ticket) = parties(&env)?;
    let desk = desk as Arc<dyn Desk>;
    Ok(connections.is_some_and(|connections| connections.withdraw(&desk, ticket.number)))
}

/// None where no other machine counts the connections.
#[napi]
pub fn fleet_connections_stats(handle: u32) -> Result<Option<NativeFleetConnections>> {
    let Some(connections) = find(&tracker(handle)?) else { return Ok(None) };
    let stats = connections.stats();
    Ok(Some(NativeFleetConnections {
        state: stats.state.text().to_owned(),
        server: stats.server,
        version: stats.version,
        eviction_policy: stats.eviction_policy,
        last_error: stats.last_error,
        commands: double(stats.commands),
        connections: double(stats.connections),
        pending: double(stats.pending),
        decisions: double(stats.decisions),
        local: double(stats.local),
        held: double(stats.held),
        count: double(stats.count),
        latency_ms: stats.round_trip.map(|time| time.as_secs_f64() * 1_000.0),
        failures: NativeFleetFailures::of(&stats.failures),
    }))
}

/// The place as the tracker takes it; `None` where it was given back meanwhile, as after a reset of tests.
pub(super) fn claim(tracker: &Arc<ConnectionTracker>, place: NativePlace) -> Result<Option<Place>> {
    let source = Source::from_code(place.source)?;
    Ok(find(tracker).and_then(|connections| connections.claim(integer(place.number), source)))
}

/// Leaves an answer that has come at once.
fn left(desk: &Arc<PortDesk>, ticket: &Ticket, answer: Option<Answer>) -> bool {
    let is_answered = answer.is_some();
    if let Some(answer) = answer {
        desk.put(ticket.number, answer);
    }
    is_answered
}

/// The connections, the desk and the place on it that JavaScript left.
fn parties(env: &Env) -> Result<(Option<Arc<FleetConnections>>, Arc<PortDesk>, Ticket)> {
    let port = thread::port_of(env)?;
    let FleetCall { fleet, desk, ticket, .. } = port.read();
    let tracker = tracker(fleet.cast_unsigned())?;
    error::check(env, tracker.check_open())?;
    let desk = Arc::clone(port.thread().fleet_desks.borrow().get(desk.cast_unsigned())?);
    let ticket = Ticket { desk: Arc::clone(&desk) as Arc<dyn Desk>, number: natural(ticket) };
    Ok((find(&tracker), desk, ticket))
}

fn find(tracker: &Arc<ConnectionTracker>) -> Option<Arc<FleetConnections>> {
    let shared = SHARED.lock();
    shared.values().find(|(_, of)| Arc::ptr_eq(of.tracker(), tracker)).map(|(_, of)| Arc::clone(of))
}

/// Counts the connections of a tracker together with other machines, unless it does so already. Returns what counted for
/// another tracker of this name before.
pub(super) fn share(
    name: &str,
    tracker: &Arc<ConnectionTracker>,
    Sharing { words, options }: Sharing,
) -> Option<Arc<FleetConnections>> {
    let mut shared = SHARED.lock();
    let is_shared =
        shared.get(name).is_some_and(|(known, of)| *known == words && Arc::ptr_eq(of.tracker(), tracker));
    if is_shared {
        return None;
    }
    let started = Arc::new(FleetConnections::start(name, Arc::clone(tracker), options));
    shared.insert(name.to_owned(), (words, started)).map(|(_, former)| former)
}

/// What counts for a tracker that is to be destroyed, or counts in this process alone from now on. The caller ends it.
pub(super) fn take(name: &str) -> Option<Arc<FleetConnections>> {
    SHARED.lock().remove(name).map(|(_, connections)| connections)
}

/// A test empties every instance. What this process held is given back; trackers go on counting together.
pub(super) fn reset() {
    for (_, connections) in SHARED.lock().values() {
        connections.reset();
    }
}

pub(super) fn thread_ended(thread: ThreadId) {
    for (_, connections) in SHARED.lock().values() {
        connections.thread_ended(thread);
    }
}

impl NativeScope {
    fn on_error(&self) -> std::result::Result<OnError, Error> {
        fleet::on_error_of(self)
    }
}
