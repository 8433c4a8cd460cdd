//! `ConnectionTracker`.

use std::collections::HashMap;
use std::sync::Arc;

use napi::bindgen_prelude::{BufferSlice, Env, Object, Result, Uint8Array};
use napi::sys;
use napi_derive::napi;
use sluice_core::runtime::clock::{self};
use sluice_core::runtime::mailbox::Sink;
use sluice_core::{
    Connection, ConnectionOptions, ConnectionTracker, ConnectionTrackerConfig, ConnectionTrackerOptions,
    Instances, Opened, Refusal, ThreadId,
};

use crate::components::Component;
use crate::runtime::error;
use crate::runtime::instances;
use crate::runtime::memory;
use crate::runtime::options::Given;
use crate::runtime::presence;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::Declarations;
use crate::runtime::thread;

static TRACKERS: Instances<ConnectionTracker> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &TRACKERS,
    export,
    declarations: Declarations {
        layouts: &[],
        codes: &[],
        options: &[("ConnectionTracker", ConnectionTrackerOptions::FIELDS)],
    },
};

/// How a connection is to be opened.
#[napi(object)]
pub struct NativeConnectionRequest {
    pub id: Option<String>,
    pub detail: Option<Uint8Array>,
    /// The subscription through which this thread closes the socket it serves.
    pub subscription: Option<u32>,
    pub check_client: bool,
}

/// A connection, or the reason why there is none.
#[napi(object)]
pub struct NativeOpened<'env> {
    pub connection: Option<NativeConnection<'env>>,
    pub refusal: Option<String>,
    pub retry_after_ms: Option<f64>,
}

#[napi(object)]
pub struct NativeConnection<'env> {
    pub serial: f64,
    pub id: String,
    pub client: Option<String>,
    pub opened_at: f64,
    pub detail: Option<BufferSlice<'env>>,
}

/// Counts over all threads; open connections by Node's thread id.
#[napi(object)]
pub struct NativeConnectionTrackerStats {
    pub count: f64,
    pub opened: f64,
    pub closed: f64,
    pub refused_max: f64,
    pub refused_max_per_client: f64,
    pub refused_opens: f64,
    pub refused_banned: f64,
    pub without_address: f64,
    pub messages_allowed: f64,
    pub messages_refused: f64,
    pub bytes_allowed: f64,
    pub bytes_refused: f64,
    pub per_thread: HashMap<String, f64>,
}

/// Attaches to a tracker or creates it; the handle is this thread's.
#[napi]
pub fn open_connection_tracker(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let options = options.map(|options| ConnectionTrackerOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(ConnectionTrackerConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let tracker = instances::open(&env, &TRACKERS, &name, config, reconfigures)?;
    let port = thread::port_of(&env)?;
    if let Some(opens) = tracker.opens_memory() {
        memory::report(port, &opens);
    }
    Ok(port.thread().trackers.borrow_mut().hold(tracker))
}

/// One JavaScript object less that stands for the tracker.
#[napi]
pub fn release_connection_tracker(handle: u32) -> Result<()> {
    thread::current()?.trackers.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_connection_tracker(name: String) -> bool {
    TRACKERS.destroy(&name)
}

/// Leaves a delivery of the kind `destroyed` under this number when the tracker is destroyed.
#[napi]
pub fn subscribe_to_connection_tracker(env: Env, handle: u32, subscription: u32) -> Result<()> {
    let mailbox = thread::port_of(&env)?.mailbox();
    error::check(&env, tracker(handle)?.subscribe(mailbox, subscription))
}

#[napi]
pub fn open_connection(
    env: Env,
    handle: u32,
    client: Option<String>,
    request: NativeConnectionRequest,
) -> Result<NativeOpened<'static>> {
    let port = thread::port_of(&env)?;
    let options = ConnectionOptions {
        thread: port.thread().id,
        id: request.id.as_deref(),
        detail: request.detail.map(|detail| detail.as_ref().into()),
        socket: request.subscription.map(|subscription| (port.mailbox() as Sink<_>, subscription)),
        check_client: request.check_client,
    };
    let at = (clock::now(), clock::utc_ms());
    let opened = error::check(&env, tracker(handle)?.open(client.as_deref(), options, at))?;
    Ok(match opened {
        // What was just given need not be given back.
        Opened::Yes(connection) => NativeOpened {
            connection: Some(describe(&connection, None)),
            refusal: None,
            retry_after_ms: None,
        },
        Opened::No(refusal) => refused(refusal),
    })
}

/// Counts the connection with this serial for the client behind it; the answer holds a refusal or nothing.
#[napi]
pub fn assign_connection(
    env: Env,
    handle: u32,
    serial: f64,
    client: String,
) -> Result<NativeOpened<'static>> {
    let tracker = tracker(handle)?;
    let refusal = tracker
        .by_serial(serial as u64)
        .map(|connection| error::check(&env, tracker.assign(&connection, &client, clock::now())))
        .transpose()?
        .flatten();
    Ok(refusal.map_or(NativeOpened { connection: None, refusal: None, retry_after_ms: None }, refused))
}

fn refused(refusal: Refusal) -> NativeOpened<'static> {
    let (reason, retry_after) = match refusal {
        Refusal::Max => ("max", None),
        Refusal::MaxPerClient => ("maxPerClient", None),
        Refusal::Opens { retry_after } => ("opens", Some(clock::ceil_ms(retry_after) as f64)),
    };
    NativeOpened { connection: None, refusal: Some(reason.to_owned()), retry_after_ms: retry_after }
}

/// Counts a socket that was refused at accept for a ban.
#[napi]
pub fn count_banned_connection(env: Env, handle: u32) -> Result<()> {
    error::check(&env, tracker(handle)?.refused_banned())
}

/// Counts a TCP socket that was closed at accept as it had no address.
#[napi]
pub fn count_connection_without_address(env: Env, handle: u32) -> Result<()> {
    error::check(&env, tracker(handle)?.refused_without_address())
}

/// Closes a connection of any thread; `socket_is_closed` when nobody need be asked to close it.
#[napi]
pub fn close_connection(handle: u32, serial: f64, socket_is_closed: bool) -> Result<bool> {
    let tracker = tracker(handle)?;
    let connection = tracker.by_serial(serial as u64);
    Ok(connection.is_some_and(|connection| {
        if socket_is_closed { tracker.forget(&connection) } else { tracker.close(&connection) }
    }))
}

#[napi]
pub fn connection_by_id(env: &Env, handle: u32, id: String) -> Result<Option<NativeConnection<'_>>> {
    let connection = error::check(env, tracker(handle)?.by_id(&id))?;
    connection.map(|connection| describe_whole(env, &connection)).transpose()
}

#[napi]
pub fn list_connections(
    env: &Env,
    handle: u32,
    limit: f64,
    client: Option<String>,
) -> Result<Vec<NativeConnection<'_>>> {
    let connections = error::check(env, tracker(handle)?.list(limit as usize, client.as_deref()))?;
    connections.iter().map(|connection| describe_whole(env, connection)).collect()
}

#[napi]
pub fn count_connections_for(env: Env, handle: u32, client: String) -> Result<f64> {
    Ok(error::check(&env, tracker(handle)?.count_for(&client))? as f64)
}

#[napi]
pub fn close_idle_connections(env: Env, handle: u32, older_than_ms: Option<f64>) -> Result<f64> {
    let older_than_ms = older_than_ms.map(|ms| ms as u64);
    Ok(error::check(&env, tracker(handle)?.close_idle(older_than_ms, clock::now()))? as f64)
}

/// What counts as idle by default; none where the option was left out.
#[napi]
pub fn connection_tracker_idle_timeout(handle: u32) -> Result<Option<f64>> {
    Ok(tracker(handle)?.idle_timeout_ms().map(|ms| ms as f64))
}

/// A `drained` delivery follows once no connection is left.
#[napi]
pub fn notify_drained(env: Env, handle: u32, subscription: u32) -> Result<()> {
    let tracker = tracker(handle)?;
    error::check(&env, tracker.check_open())?;
    tracker.notify_drained(thread::port_of(&env)?.mailbox(), subscription);
    Ok(())
}

#[napi]
pub fn connection_tracker_stats(env: Env, handle: u32) -> Result<NativeConnectionTrackerStats> {
    let stats = error::check(&env, tracker(handle)?.stats())?;
    let by_thread = |(thread, count): (&ThreadId, &u64)| {
        Some((presence::thread_id_of(*thread)?.to_string(), *count as f64))
    };
    Ok(NativeConnectionTrackerStats {
        count: stats.count as f64,
        opened: stats.opened as f64,
        closed: stats.closed as f64,
        refused_max: stats.refused_max as f64,
        refused_max_per_client: stats.refused_max_per_client as f64,
        refused_opens: stats.refused_opens as f64,
        refused_banned: stats.refused_banned as f64,
        without_address: stats.without_address as f64,
        messages_allowed: stats.messages_allowed as f64,
        messages_refused: stats.messages_refused as f64,
        bytes_allowed: stats.bytes_allowed as f64,
        bytes_refused: stats.bytes_refused as f64,
        per_thread: stats.per_thread.iter().filter_map(by_thread).collect(),
    })
}

fn describe<'env>(connection: &Connection, detail: Option<BufferSlice<'env>>) -> NativeConnection<'env> {
    NativeConnection {
        serial: connection.serial as f64,
        id: connection.id.to_string(),
        client: connection.current_client().as_deref().map(str::to_owned),
        opened_at: connection.opened_at as f64,
        detail,
    }
}

fn describe_whole<'env>(env: &'env Env, connection: &Connection) -> Result<NativeConnection<'env>> {
    let detail =
        connection.detail.as_deref().map(|detail| BufferSlice::copy_from(env, detail)).transpose()?;
    Ok(describe(connection, detail))
}

fn tracker(handle: u32) -> Result<Arc<ConnectionTracker>> {
    thread::current()?.trackers.borrow().get(handle).cloned()
}

fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("countConnections(handle: number): number", count)?;
    exports.function("touchConnection(handle: number, serial: number): void", touch)?;
    exports.function("tryMessage(handle: number, serial: number, bytes: number): 0 | 1", try_message)
}

/// Runs `body` on the tracker of argument 0.
fn with_tracker<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&ConnectionTracker) -> sluice_core::Result<R>,
) -> Result<R> {
    call.check(call.on(&call.port.thread().trackers, body)?)
}

/// `countConnections(handle)`.
unsafe extern "C" fn count(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let count = with_tracker(call, |tracker| tracker.check_open().map(|()| tracker.count()))?;
        call.number(count as f64)
    })
}

/// `touchConnection(handle, serial)`: something was transferred.
unsafe extern "C" fn touch(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let serial = call.f64(1)? as u64;
        with_tracker(call, |tracker| {
            if let Some(connection) = tracker.by_serial(serial) {
                connection.touch(clock::now());
            }
            Ok(())
        })?;
        call.undefined()
    })
}

/// `tryMessage(handle, serial, bytes)`: 1 when the connection may send it.
unsafe extern "C" fn try_message(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (serial, bytes) = (call.f64(1)? as u64, call.f64(2)? as u64);
        let allowed = with_tracker(call, |tracker| tracker.try_message(serial, bytes, clock::now()))?;
        call.int(i32::from(allowed))
    })
}
