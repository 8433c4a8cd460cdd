//! One listening socket for all threads that ask for the same port.
//!
//! Each thread gets a duplicate of one descriptor: the threads accept from one queue, so a connection
//! that waits when a thread ends is served by another, and the port belongs to this process alone. The
//! socket closes when the last thread has given it back, or ended. Cluster workers of one primary share it
//! likewise (`cluster.rs`).
//!
//! A thread can end between the call that gave it a duplicate and the one that takes it. Until a server
//! has taken it the duplicate is ours to close, or the port would stay open with nobody who accepts.

#[cfg_attr(not(target_os = "linux"), path = "listen/cluster_elsewhere.rs")]
mod cluster;
pub(crate) mod queue;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::ThreadId;
use sluice_core::deliveries::{Item, Mailbox};
use sluice_core::runtime::clock::SetBack;

use self::cluster::{Answers, Descriptor, Turn, Wanted};
use crate::components::Component;
use crate::runtime::seam::Declarations;
use crate::runtime::thread;

/// A duplicate of the socket, or the system's error.
#[napi(object)]
#[derive(Default)]
pub struct NativeListener {
    pub fd: Option<i32>,
    pub port: Option<u32>,
    /// To be given back when the server has closed.
    pub lease: Option<u32>,
    /// The system's error number where there is no socket.
    pub errno: Option<i32>,
}

struct Shared {
    socket: Socket,
    address: IpAddr,
    /// As asked for: 0 lets the system choose.
    requested_port: u16,
    /// Tells the sockets on port 0 of one address apart.
    index: u32,
    port: u16,
    /// Whether a server of this process closes, as all will.
    is_closing: bool,
    holders: Vec<Holder>,
}

/// A thread's part in a socket.
struct Holder {
    thread: ThreadId,
    lease: u32,
    /// The duplicate, which is ours to close until a server has taken it.
    fd: i32,
    is_taken: bool,
}

/// A port that is open in this process.
#[napi(object)]
pub struct NativeOpenPort {
    pub address: String,
    pub is_v6: bool,
    pub port: u32,
}

/// One loaded copy of our JavaScript in a thread of a cluster worker.
#[derive(Clone)]
struct Watcher {
    mailbox: Arc<Mailbox>,
    subscription: u32,
}

static LISTENERS: Mutex<Vec<Shared>> = Mutex::new(Vec::new());
static WATCHERS: Mutex<Vec<Watcher>> = Mutex::new(Vec::new());
static HAS_LEFT_CLUSTER: AtomicBool = AtomicBool::new(false);
static PORTS_ARE_LEFT_TO_PRIMARY: AtomicBool = AtomicBool::new(false);

/// Takes part in listening on a port. The n-th socket that each thread opens on port 0 of one address is
/// the same one; a thread that asks twice for one port is told that it is in use.
#[napi]
pub fn acquire_listener(address: String, port: u32, backlog: u32) -> Result<NativeListener> {
    let thread = thread::current()?.id;
    let (Ok(address), Ok(port)) = (address.parse::<IpAddr>(), u16::try_from(port)) else {
        return Ok(failed(&std::io::Error::from(std::io::ErrorKind::InvalidInput)));
    };
    Ok(acquire(thread, address, port, backlog).unwrap_or_else(|error| failed(&error)))
}

/// Whether this process is a cluster worker that shares its ports with the other workers of its primary.
#[napi]
pub fn shares_with_cluster_workers() -> bool {
    cluster::is_worker()
}

/// The server listens: from now on the descriptor is closed with it.
#[napi]
pub fn listener_is_taken(lease: u32) {
    let mut listeners = LISTENERS.lock();
    let mut holders = listeners.iter_mut().flat_map(|shared| &mut shared.holders);
    if let Some(holder) = holders.find(|holder| holder.lease == lease) {
        holder.is_taken = true;
    }
    drop(listeners);
    notify_watchers();
}

/// Whether other cluster workers go on accepting from a port that this process is about to close. Of several that close
/// at once, at least the last one hears that none does.
#[napi]
pub fn other_workers_accept(lease: u32) -> bool {
    let mut listeners = LISTENERS.lock();
    let holds = |shared: &&mut Shared| shared.holders.iter().any(|holder| holder.lease == lease);
    let Some(shared) = listeners.iter_mut().find(holds) else { return false };
    // Before the others are asked: of two that ask each other, one knows that both close.
    shared.is_closing = true;
    let wanted = Wanted { address: shared.address, port: shared.port, index: 0 };
    drop(listeners);
    cluster::is_worker() && cluster::others_accept(wanted)
}

/// Gives a lease back; the last one closes the socket.
#[napi]
pub fn release_listener(lease: u32) {
    release(|holder| holder.lease == lease);
}

/// From now on this subscription learns when a port was opened, or this process leaves its cluster.
#[napi]
pub fn watch_listeners(env: Env, subscription: u32) -> Result<()> {
    let mailbox = thread::port_of(&env)?.mailbox();
    WATCHERS.lock().push(Watcher { mailbox, subscription });
    Ok(())
}

/// The ports on which servers of this process listen.
#[napi]
pub fn open_ports() -> Vec<NativeOpenPort> {
    let listeners = LISTENERS.lock();
    let open = listeners.iter().filter(|shared| shared.holders.iter().any(|holder| holder.is_taken));
    open.map(|shared| NativeOpenPort {
        address: shared.address.to_string(),
        is_v6: shared.address.is_ipv6(),
        port: shared.port.into(),
    })
    .collect()
}

/// The channel to the primary has closed: all servers of this process are to close.
#[napi]
pub fn leave_cluster() {
    HAS_LEFT_CLUSTER.store(true, Ordering::Release);
    notify_watchers();
}

#[napi]
pub fn has_left_cluster() -> bool {
    HAS_LEFT_CLUSTER.load(Ordering::Acquire)
}

/// The main thread of a cluster worker asks its primary for ports, and other threads cannot.
#[napi]
pub fn leave_ports_to_primary() {
    PORTS_ARE_LEFT_TO_PRIMARY.store(true, Ordering::Relaxed);
}

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

pub(crate) const COMPONENT: Component = Component {
    state: &Ports,
    export: |_| Ok(()),
    declarations: Declarations { layouts: &[], codes: &[], options: &[] },
};

/// The sockets of all threads, and those whose servers close.
struct Ports;

impl sluice_core::Component for Ports {
    fn thread_ended(&self, thread: ThreadId, _: u64) {
        WATCHERS.lock().retain(|watcher| watcher.mailbox.thread() != thread);
        release(|holder| holder.thread == thread);
        queue::thread_ended(thread);
    }

    /// No socket depends on the clock.
    fn clock_was_set_back(&self, _: SetBack) {}

    /// Servers stay as they are.
    fn reset(&self) {}
}

fn release(is_given_back: impl Fn(&Holder) -> bool) {
    let mut listeners = LISTENERS.lock();
    for shared in listeners.iter_mut() {
        let given_back: Vec<_> = shared.holders.extract_if(.., |holder| is_given_back(holder)).collect();
        for Holder { fd, .. } in given_back.into_iter().filter(|holder| !holder.is_taken) {
            // A server may have taken and closed it without saying so; the number is then free, or leads
            // to the duplicate of another thread.
            if !shared.holders.iter().any(|holder| holder.fd == fd) {
                shared.socket.close_duplicate(fd);
            }
        }
    }
    listeners.retain(|shared| !shared.holders.is_empty());
}

fn acquire(thread: ThreadId, address: IpAddr, port: u16, backlog: u32) -> std::io::Result<NativeListener> {
    // Taken first: a worker that has the turn may ask this process, which needs the lock to answer.
    let turn = cluster::is_worker().then(|| cluster::take_turn(ANSWERS)).transpose()?;
    let mut listeners = LISTENERS.lock();
    let held = |shared: &Shared| shared.holders.iter().any(|holder| holder.thread == thread);
    let index = listeners.iter().position(|shared| {
        shared.address == address
            && if port == 0 { shared.requested_port == 0 && !held(shared) } else { shared.port == port }
    });
    let index = match index {
        Some(index) if held(&listeners[index]) => return Err(in_use()),
        Some(index) => index,
        None => {
            let wanted = Wanted { address, port, index: free_index(&listeners, address) };
            listeners.push(open(turn.as_ref(), wanted, backlog)?);
            listeners.len() - 1
        }
    };
    let result = listeners[index].hold(thread);
    listeners.retain(|shared| !shared.holders.is_empty());
    result
}

/// The first number that no socket on port 0 of this address has here.
fn free_index(listeners: &[Shared], address: IpAddr) -> u32 {
    let is_taken = |index: &u32| {
        listeners
            .iter()
            .any(|shared| shared.address == address && shared.requested_port == 0 && shared.index == *index)
    };
    (0..).find(|index| !is_taken(index)).unwrap_or(u32::MAX)
}

/// The socket of another cluster worker, or else a new one.
fn open(turn: Option<&Turn>, wanted: Wanted, backlog: u32) -> std::io::Result<Shared> {
    let Wanted { address, port, index } = wanted;
    let socket = match turn.and_then(|turn| cluster::socket_of_others(turn, wanted)) {
        Some(descriptor) => Socket::from(descriptor),
        None => Socket::listen(SocketAddr::new(address, port), backlog)?,
    };
    let bound = socket.port()?;
    Ok(Shared {
        socket,
        address,
        requested_port: port,
        index,
        port: bound,
        is_closing: false,
        holders: Vec::new(),
    })
}

/// What other cluster workers of the primary are told.
const ANSWERS: Answers = Answers {
    socket: |wanted| {
        let listeners = LISTENERS.lock();
        listeners.iter().find(|shared| shared.is(wanted))?.socket.descriptor().ok()
    },
    accepts: |wanted| {
        let listeners = LISTENERS.lock();
        listeners.iter().any(|shared| shared.is(wanted) && !shared.is_closing)
    },
};

impl Shared {
    fn is(&self, Wanted { address, port, index }: Wanted) -> bool {
        let is_port =
            if port == 0 { self.requested_port == 0 && self.index == index } else { self.port == port };
        self.address == address && is_port
    }

    /// A duplicate for a thread.
    fn hold(&mut self, thread: ThreadId) -> std::io::Result<NativeListener> {
        static NEXT_LEASE: AtomicU32 = AtomicU32::new(1);
        let fd = self.socket.duplicate()?;
        let lease = NEXT_LEASE.fetch_add(1, Ordering::Relaxed);
        self.holders.push(Holder { thread, lease, fd, is_taken: false });
        self.is_closing = false;
        Ok(NativeListener { fd: Some(fd), port: Some(self.port.into()), lease: Some(lease), errno: None })
    }
}

fn failed(error: &std::io::Error) -> NativeListener {
    NativeListener { errno: Some(error.raw_os_error().unwrap_or(22)), ..NativeListener::default() }
}

#[cfg(unix)]
fn in_use() -> std::io::Error {
    std::io::Error::from_raw_os_error(libc::EADDRINUSE)
}

#[cfg(not(unix))]
fn in_use() -> std::io::Error {
    std::io::Error::from(std::io::ErrorKind::AddrInUse)
}

#[cfg(unix)]
struct Socket(socket2::Socket);

#[cfg(unix)]
impl Socket {
    fn listen(address: SocketAddr, backlog: u32) -> std::io::Result<Self> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
        // As libuv does: a port whose last connections linger may be bound anew.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(Self(socket))
    }

    fn port(&self) -> std::io::Result<u16> {
        Ok(self.0.local_addr()?.as_socket().map_or(0, |address| address.port()))
    }

    fn inode(&self) -> Option<Inode> {
        use std::os::fd::AsRawFd;
        inode(self.0.as_raw_fd())
    }

    /// A descriptor of the same socket, which its receiver closes.
    fn duplicate(&self) -> std::io::Result<i32> {
        use std::os::fd::IntoRawFd;
        Ok(self.descriptor()?.into_raw_fd())
    }

    fn descriptor(&self) -> std::io::Result<Descriptor> {
        Ok(self.0.try_clone()?.into())
    }

    /// Closes a duplicate, if the number still is one of this socket.
    fn close_duplicate(&self, fd: i32) {
        use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
        if inode(fd).is_some() && inode(fd) == inode(self.0.as_raw_fd()) {
            // SAFETY: it is open and of this socket; whoever was given it has ended or given it back.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

/// Whether a thread listens on this socket.
pub(crate) fn has(socket: Inode) -> bool {
    LISTENERS.lock().iter().any(|shared| shared.socket.inode() == Some(socket))
}

/// What a descriptor leads to.
#[cfg(unix)]
pub(crate) type Inode = (libc::dev_t, libc::ino_t);

#[cfg(not(unix))]
pub(crate) type Inode = ();

#[cfg(unix)]
impl From<Descriptor> for Socket {
    fn from(descriptor: Descriptor) -> Self {
        Self(descriptor.into())
    }
}

/// What a descriptor leads to; none where it is closed.
#[cfg(unix)]
pub(crate) fn inode(fd: i32) -> Option<Inode> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: any number will do; the system fills `stat` when it answers 0.
    let found = unsafe { libc::fstat(fd, stat.as_mut_ptr()) } == 0;
    // SAFETY: zeroed is a valid `stat`, and the system may have filled it.
    let stat = unsafe { stat.assume_init() };
    found.then_some((stat.st_dev, stat.st_ino))
}

#[cfg(not(unix))]
pub(crate) fn inode(_: i32) -> Option<Inode> {
    None
}

/// Node cannot listen on a descriptor here; `lib/listen.js` says so before it comes to this.
#[cfg(not(unix))]
struct Socket;

#[cfg(not(unix))]
impl Socket {
    fn listen(_: SocketAddr, _: u32) -> std::io::Result<Self> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }

    fn port(&self) -> std::io::Result<u16> {
        Ok(0)
    }

    fn duplicate(&self) -> std::io::Result<i32> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }

    fn inode(&self) -> Option<Inode> {
        None
    }

    fn descriptor(&self) -> std::io::Result<Descriptor> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }

    fn close_duplicate(&self, _: i32) {}
}

#[cfg(not(unix))]
impl From<Descriptor> for Socket {
    fn from(_: Descriptor) -> Self {
        Self
    }
}
