//! `ConnectionTracker`: raw calls for what is called for each message, `#[napi]` for the rest.

mod calls;
mod fleet;
mod opening;
mod queries;
#[cfg_attr(not(target_os = "linux"), path = "connection_tracker/shared_elsewhere.rs")]
mod shared;

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::runtime::clock::{self, SetBack};
use sluice_core::{
    ConnectionTracker, ConnectionTrackerConfig, ConnectionTrackerOptions, Instances, ThreadId,
};
use sluice_fleet::FleetConnections;

use self::fleet::Sharing;
pub(crate) use self::opening::code_of;
use crate::components::Component;
use crate::fleet::NativeScope;
use crate::machine::NativeSharedScope;
use crate::runtime::instances::{self, check_other};
use crate::runtime::numbers::{double, integer};
use crate::runtime::options::Given;
use crate::runtime::seam::{Coded, Declarations};
use crate::runtime::{error, memory, thread};

static TRACKERS: Instances<ConnectionTracker> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &OfAllScopes,
    export: calls::export,
    declarations: Declarations {
        layouts: &[],
        codes: &[opening::Reason::DESCRIPTION],
        options: &[("ConnectionTracker", ConnectionTrackerOptions::FIELDS)],
    },
};

/// The trackers of this process, and those that it shares with others.
struct OfAllScopes;

impl sluice_core::Component for OfAllScopes {
    fn thread_ended(&self, thread: ThreadId, now: u64) {
        fleet::thread_ended(thread);
        TRACKERS.thread_ended(thread, now);
        shared::state().thread_ended(thread, now);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        TRACKERS.clock_was_set_back(set_back);
        shared::state().clock_was_set_back(set_back);
    }

    fn reset(&self) {
        fleet::reset();
        TRACKERS.reset();
        shared::state().reset();
    }

    fn names(&self) -> Option<(&'static str, Vec<String>)> {
        let (kind, mut names) = TRACKERS.names()?;
        names.extend(shared::names());
        names.sort_unstable();
        names.dedup();
        Some((kind, names))
    }
}

/// Held while an instance is looked for in one place and made in another, and until a new one is shared with a fleet: no
/// thread attaches to it before, and none destroys it.
static OPENING: Mutex<()> = Mutex::new(());

/// Attaches to a tracker or creates it; the handle is this thread's. With `scope` all processes of the machine share it, with
/// `fleet` many machines. `lease_ms` replaces the 30 s for which what a process holds counts there.
#[napi]
pub fn open_connection_tracker(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
    scope: Option<NativeSharedScope>,
    fleet: Option<NativeScope>,
    lease_ms: Option<f64>,
) -> Result<u32> {
    let options = options.map(|options| ConnectionTrackerOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(ConnectionTrackerConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let sharing = fleet.map(|fleet| Sharing::read(&env, fleet, lease_ms)).transpose()?;
    let (tracker, former) = open(&env, &name, config, reconfigures, scope, sharing)?;
    // Not under the lock: it may wait for the server.
    drop(former);
    let port = thread::port_of(&env)?;
    if let Some(opens) = tracker.opens_memory() {
        memory::report(port, &opens);
    }
    Ok(port.thread().trackers.borrow_mut().hold(tracker))
}

/// The tracker, and what counted for its name in a fleet before and is to end.
fn open(
    env: &Env,
    name: &str,
    config: Option<ConnectionTrackerConfig>,
    reconfigures: Option<bool>,
    scope: Option<NativeSharedScope>,
    sharing: Option<Sharing>,
) -> Result<(Arc<ConnectionTracker>, Option<Arc<FleetConnections>>)> {
    let _one_at_a_time = OPENING.lock();
    match (config, scope) {
        (Some(config), Some(scope)) => {
            let existing = TRACKERS.get_if_set(name).map(|_| "process".to_owned());
            check_other(env, name, existing, || "shared".to_owned())?;
            Ok((shared::open(env, name, scope, config, reconfigures)?, None))
        }
        (Some(config), None) => {
            let existing = shared::has(name).then(|| "shared".to_owned());
            check_other(env, name, existing, || "process".to_owned())?;
            let is_of_process = config.is_of_process();
            let tracker = instances::open(env, &TRACKERS, name, Some(config), reconfigures)?;
            let former = match sharing {
                Some(sharing) => fleet::share(name, &tracker, sharing),
                // After a reset of tests another scope may be chosen.
                None if is_of_process => fleet::take(name),
                None => None,
            };
            Ok((tracker, former))
        }
        (None, _) => match shared::attach(name) {
            Some(tracker) => Ok((tracker, None)),
            None => Ok((instances::open(env, &TRACKERS, name, None, reconfigures)?, None)),
        },
    }
}

/// The trackers that this process shares with others, as messages name them.
pub(crate) fn shared_names() -> Vec<String> {
    shared::names().iter().map(|name| format!("ConnectionTracker {name:?}")).collect()
}

/// A JavaScript object of the tracker was collected.
#[napi]
pub fn release_connection_tracker(handle: u32) -> Result<()> {
    thread::current()?.trackers.borrow_mut().release(handle);
    Ok(())
}

/// Ends a tracker: in this process, or in all that share it. True when there was one.
#[napi]
pub fn destroy_connection_tracker(name: String, everywhere: Option<bool>) -> bool {
    let (connections, was_there) = {
        // What a construction makes at the same time is destroyed as a whole, or not at all.
        let _one_at_a_time = OPENING.lock();
        let connections = fleet::take(&name);
        let was_shared = shared::destroy(&name, everywhere == Some(true));
        (connections, TRACKERS.destroy(&name) || was_shared)
    };
    // Not under the lock: it may wait for the server.
    if let Some(connections) = connections {
        connections.close();
    }
    was_there
}

/// A `destroyed` delivery follows when the tracker is destroyed.
#[napi]
pub fn subscribe_to_connection_tracker(env: Env, handle: u32, subscription: u32) -> Result<()> {
    let mailbox = thread::port_of(&env)?.mailbox();
    error::check(&env, tracker(handle)?.subscribe(mailbox, subscription))
}

/// Counts a socket that was refused at accept because its client is banned.
#[napi]
pub fn count_banned_connection(env: Env, handle: u32) -> Result<()> {
    error::check(&env, tracker(handle)?.refused_banned())
}

/// Counts a TCP socket that was closed at accept because it had lost its address.
#[napi]
pub fn count_connection_without_address(env: Env, handle: u32) -> Result<()> {
    error::check(&env, tracker(handle)?.refused_without_address())
}

/// Closes a connection of any thread. Its thread is asked to close the socket unless `socket_is_closed`. False when it
/// was closed already.
#[napi]
pub fn close_connection(handle: u32, serial: f64, socket_is_closed: bool) -> Result<bool> {
    let tracker = tracker(handle)?;
    let connection = tracker.by_serial(integer(serial));
    Ok(connection.is_some_and(|connection| {
        if socket_is_closed { tracker.forget(&connection) } else { tracker.close(&connection) }
    }))
}

/// Open connections of one client over all threads, and over all processes that share the tracker.
#[napi]
pub fn count_connections_for(env: Env, handle: u32, client: String) -> Result<f64> {
    Ok(double(error::check(&env, tracker(handle)?.count_for(&client))?))
}

/// Closes idle connections of all threads. Returns how many were closed, or are to be closed by their threads.
#[napi]
pub fn close_idle_connections(env: Env, handle: u32, older_than_ms: Option<f64>) -> Result<f64> {
    let older_than_ms = older_than_ms.map(integer);
    Ok(double(error::check(&env, tracker(handle)?.close_idle(older_than_ms, clock::now()))?))
}

/// The option `idleTimeout`; none where it was left out.
#[napi]
pub fn connection_tracker_idle_timeout(handle: u32) -> Result<Option<f64>> {
    Ok(tracker(handle)?.idle_timeout_ms().map(double))
}

/// Whether processes share the tracker, so that another one may change its options. No longer once it was destroyed.
#[napi]
pub fn connection_tracker_is_shared(handle: u32) -> Result<bool> {
    let tracker = tracker(handle)?;
    Ok(tracker.is_shared() && tracker.check_open().is_ok())
}

/// A `drained` delivery follows once no connection is left.
#[napi]
pub fn notify_drained(env: Env, handle: u32, subscription: u32) -> Result<()> {
    let tracker = tracker(handle)?;
    error::check(&env, tracker.check_open())?;
    tracker.notify_drained(thread::port_of(&env)?.mailbox(), subscription);
    Ok(())
}

fn tracker(handle: u32) -> Result<Arc<ConnectionTracker>> {
    thread::current()?.trackers.borrow().get(handle).cloned()
}
