//! One listening socket for all threads that ask for the same port.
//!
//! Each thread gets a duplicate of one descriptor. The threads accept from one queue, so a connection that is pending when
//! a thread ends is served by another, and the port belongs to this process alone. The socket closes when the last thread
//! has given its lease back, or ended. Cluster workers of one primary share the socket in the same way (`cluster.rs`).
//!
//! A thread can end between the call that gives it a duplicate and the server that takes it. Until a server has taken it,
//! the duplicate is closed here; otherwise the port would stay open with no thread that accepts.

#[cfg_attr(not(target_os = "linux"), path = "listen/cluster_elsewhere.rs")]
mod cluster;
mod ports;
mod queue;
mod socket;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::ThreadId;
use sluice_core::deliveries::{Item, Mailbox};
use sluice_core::runtime::clock::SetBack;

use self::ports::Leased;
use crate::components::Component;
use crate::runtime::seam::Declarations;
use crate::runtime::thread;

pub(crate) const COMPONENT: Component = Component {
    state: &Listeners,
    export: |_| Ok(()),
    declarations: Declarations { layouts: &[], codes: &[], options: &[] },
};

/// The sockets of all threads, and those whose servers close.
struct Listeners;

impl sluice_core::Component for Listeners {
    fn thread_ended(&self, thread: ThreadId, _: u64) {
        WATCHERS.lock().retain(|watcher| watcher.mailbox.thread() != thread);
        ports::release_all(thread);
        queue::thread_ended(thread);
    }

    /// No socket depends on the clock.
    fn clock_was_set_back(&self, _: SetBack) {}

    /// Servers stay as they are.
    fn reset(&self) {}

    fn names(&self) -> Option<(&'static str, Vec<String>)> {
        None
    }
}

/// A lease of a port's socket, or why there is none.
#[napi(discriminant = "kind", discriminant_case = "camelCase", object_from_js = false)]
pub enum NativeListener {
    /// `fd` is a duplicate of the socket. The lease is given back when the server has closed.
    Leased { fd: i32, port: u32, lease: u32 },
    /// The system's error number.
    Failed { errno: i32 },
}

/// A port that is open in this process.
#[napi(object, object_from_js = false)]
pub struct NativeOpenPort {
    pub address: String,
    pub is_v6: bool,
    pub port: u32,
}

/// One loaded copy of the package in a thread of a cluster worker.
#[derive(Clone)]
struct Watcher {
    mailbox: Arc<Mailbox>,
    subscription: u32,
}

static WATCHERS: Mutex<Vec<Watcher>> = Mutex::new(Vec::new());
static HAS_LEFT_CLUSTER: AtomicBool = AtomicBool::new(false);
static PORTS_ARE_LEFT_TO_PRIMARY: AtomicBool = AtomicBool::new(false);

/// Leases the socket of a port to this thread. The n-th socket that each thread opens on port 0 of one address is the same
/// one; a port that the thread has leased already is in use.
#[napi]
pub fn acquire_listener(address: String, port: u32, backlog: u32) -> Result<NativeListener> {
    let thread = thread::current()?.id;
    let leased = match (address.parse::<IpAddr>(), u16::try_from(port)) {
        (Ok(address), Ok(port)) => ports::acquire(thread, address, port, backlog),
        _ => Err(std::io::ErrorKind::InvalidInput.into()),
    };
    Ok(match leased {
        Ok(Leased { fd, port, lease }) => NativeListener::Leased { fd, port: port.into(), lease },
        Err(error) => NativeListener::Failed { errno: error.raw_os_error().unwrap_or(EINVAL) },
    })
}

/// The error number where the system has none.
const EINVAL: i32 = 22;

/// The server listens: from now on the descriptor is closed with it.
#[napi]
pub fn listener_is_taken(lease: u32) {
    ports::mark_taken(lease);
    notify_watchers();
}

/// Gives a lease back; the last one closes the socket.
#[napi]
pub fn release_listener(lease: u32) {
    ports::release(lease);
}

/// Whether this process is a cluster worker that shares its ports with the other workers of its primary.
#[napi]
pub fn shares_with_cluster_workers() -> bool {
    cluster::is_worker()
}

/// Whether other cluster workers go on accepting from a port that this process is about to close. Of several that close
/// at once, at least the last one learns that none does.
#[napi]
pub fn other_workers_accept(lease: u32) -> bool {
    // Marked before the others are asked: of two that ask each other, one knows that both close.
    let Some(wanted) = ports::begin_closing(lease) else { return false };
    cluster::is_worker() && cluster::others_accept(wanted)
}

/// `listeners` deliveries follow when a port is opened, or this process leaves its cluster.
#[napi]
pub fn watch_listeners(env: Env, subscription: u32) -> Result<()> {
    let mailbox = thread::port_of(&env)?.mailbox();
    WATCHERS.lock().push(Watcher { mailbox, subscription });
    Ok(())
}

/// The ports on which servers of this process listen.
#[napi]
pub fn open_ports() -> Vec<NativeOpenPort> {
    let open = |(address, port): (IpAddr, u16)| NativeOpenPort {
        address: address.to_string(),
        is_v6: address.is_ipv6(),
        port: port.into(),
    };
    ports::taken().into_iter().map(open).collect()
}

/// The channel to the primary has closed: all servers of this process are to close.
#[napi]
pub fn leave_cluster() {
    HAS_LEFT_CLUSTER.store(true, Ordering::Release);
    notify_watchers();
}

/// Whether the channel to the primary has closed.
#[napi]
pub fn has_left_cluster() -> bool {
    HAS_LEFT_CLUSTER.load(Ordering::Acquire)
}

/// The main thread of a cluster worker asks its primary for ports, and other threads cannot.
#[napi]
pub fn leave_ports_to_primary() {
    PORTS_ARE_LEFT_TO_PRIMARY.store(true, Ordering::Relaxed);
}

/// Whether ports are left to the primary.
#[napi]
pub fn ports_are_left_to_primary() -> bool {
    PORTS_ARE_LEFT_TO_PRIMARY.load(Ordering::Relaxed)
}

fn notify_watchers() {
    let watchers = WATCHERS.lock().clone();
    for Watcher { mailbox, subscription } in watchers {
        mailbox.push(subscription, Item::ListenersChanged);
    }
}
