//! The ports that threads of this process share.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use sluice_core::ThreadId;

use super::cluster::{self, Answers, Turn, Wanted};
use super::socket::{Inode, Socket};

/// A listening socket that threads share.
struct SharedPort {
    socket: Socket,
    address: IpAddr,
    /// As asked for: 0 lets the system choose.
    requested_port: u16,
    /// Distinguishes the sockets on port 0 of one address.
    index: u32,
    port: u16,
    /// Whether a server of this process closes, as all will.
    is_closing: bool,
    leases: Vec<Lease>,
}

/// A thread's part in a socket.
struct Lease {
    thread: ThreadId,
    number: u32,
    /// The duplicate. It is closed here unless a server has taken it.
    fd: i32,
    is_taken: bool,
}

/// What a thread gets of a socket.
pub(super) struct Leased {
    /// A duplicate of the socket.
    pub(super) fd: i32,
    pub(super) port: u16,
    /// The number of the lease.
    pub(super) lease: u32,
}

static PORTS: Mutex<Vec<SharedPort>> = Mutex::new(Vec::new());

/// Leases the socket of a port to a thread. The n-th socket that each thread opens on port 0 of one address is the same
/// one; a port that the thread has leased already is in use.
pub(super) fn acquire(thread: ThreadId, address: IpAddr, port: u16, backlog: u32) -> io::Result<Leased> {
    // Taken before the lock: a worker that has the turn may ask this process, which needs the lock to answer.
    let turn = cluster::is_worker().then(|| cluster::take_turn(ANSWERS)).transpose()?;
    let mut ports = PORTS.lock();
    let position = ports.iter().position(|shared| {
        shared.address == address
            && if port == 0 {
                shared.requested_port == 0 && !shared.is_leased_to(thread)
            } else {
                shared.port == port
            }
    });
    let at = match position {
        Some(at) if ports[at].is_leased_to(thread) => return Err(in_use()),
        Some(at) => at,
        None => {
            let wanted = Wanted { address, port, index: free_index(&ports, address) };
            ports.push(open(turn.as_ref(), wanted, backlog)?);
            ports.len() - 1
        }
    };
    let leased = ports[at].lease(thread);
    ports.retain(|shared| !shared.leases.is_empty());
    leased
}

/// A server has taken the duplicate of a lease: it is closed with the server.
pub(super) fn mark_taken(lease: u32) {
    let mut ports = PORTS.lock();
    let mut leases = ports.iter_mut().flat_map(|shared| &mut shared.leases);
    if let Some(lease) = leases.find(|known| known.number == lease) {
        lease.is_taken = true;
    }
}

/// Marks the port of a lease as closing, so that other cluster workers learn that it does not accept.
pub(super) fn begin_closing(lease: u32) -> Option<Wanted> {
    let mut ports = PORTS.lock();
    let shared = ports.iter_mut().find(|shared| shared.leases.iter().any(|known| known.number == lease))?;
    shared.is_closing = true;
    Some(Wanted { address: shared.address, port: shared.port, index: 0 })
}

/// Gives a lease back. The last one of a port closes the socket.
pub(super) fn release(lease: u32) {
    release_if(|known| known.number == lease);
}

/// Gives back all leases of a thread.
pub(super) fn release_all(thread: ThreadId) {
    release_if(|lease| lease.thread == thread);
}

/// Address and port of each socket that a server has taken.
pub(super) fn taken() -> Vec<(IpAddr, u16)> {
    let ports = PORTS.lock();
    let taken = ports.iter().filter(|shared| shared.leases.iter().any(|lease| lease.is_taken));
    taken.map(|shared| (shared.address, shared.port)).collect()
}

/// Whether a thread listens on this socket.
pub(super) fn has(socket: Inode) -> bool {
    PORTS.lock().iter().any(|shared| shared.socket.inode() == Some(socket))
}

fn release_if(is_given_back: impl Fn(&Lease) -> bool) {
    let mut ports = PORTS.lock();
    for shared in ports.iter_mut() {
        let given_back: Vec<_> = shared.leases.extract_if(.., |lease| is_given_back(lease)).collect();
        for Lease { fd, .. } in given_back.into_iter().filter(|lease| !lease.is_taken) {
            // A server may have taken and closed the duplicate before it was marked. The number is then free, or belongs
            // to the duplicate of another thread.
            if !shared.leases.iter().any(|lease| lease.fd == fd) {
                shared.socket.close_duplicate(fd);
            }
        }
    }
    ports.retain(|shared| !shared.leases.is_empty());
}

/// The first number that no socket on port 0 of this address has.
fn free_index(ports: &[SharedPort], address: IpAddr) -> u32 {
    let is_used = |index: &u32| {
        ports
            .iter()
            .any(|shared| shared.address == address && shared.requested_port == 0 && shared.index == *index)
    };
    (0..).find(|index| !is_used(index)).unwrap_or(u32::MAX)
}

/// The socket of another cluster worker, or a new one.
fn open(turn: Option<&Turn>, wanted: Wanted, backlog: u32) -> io::Result<SharedPort> {
    let Wanted { address, port, index } = wanted;
    let socket = match turn.and_then(|turn| cluster::socket_of_others(turn, wanted)) {
        Some(descriptor) => Socket::from(descriptor),
        None => Socket::listen(SocketAddr::new(address, port), backlog)?,
    };
    let bound = socket.port()?;
    Ok(SharedPort {
        socket,
        address,
        requested_port: port,
        index,
        port: bound,
        is_closing: false,
        leases: Vec::new(),
    })
}

/// How this process answers other cluster workers of its primary.
const ANSWERS: Answers = Answers {
    socket: |wanted| {
        let ports = PORTS.lock();
        ports.iter().find(|shared| shared.is(wanted))?.socket.descriptor().ok()
    },
    accepts: |wanted| {
        let ports = PORTS.lock();
        ports.iter().any(|shared| shared.is(wanted) && !shared.is_closing)
    },
};

impl SharedPort {
    fn is(&self, Wanted { address, port, index }: Wanted) -> bool {
        let is_port =
            if port == 0 { self.requested_port == 0 && self.index == index } else { self.port == port };
        self.address == address && is_port
    }

    fn is_leased_to(&self, thread: ThreadId) -> bool {
        self.leases.iter().any(|lease| lease.thread == thread)
    }

    fn lease(&mut self, thread: ThreadId) -> io::Result<Leased> {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let fd = self.socket.duplicate()?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        self.leases.push(Lease { thread, number, fd, is_taken: false });
        self.is_closing = false;
        Ok(Leased { fd, port: self.port, lease: number })
    }
}

#[cfg(unix)]
fn in_use() -> io::Error {
    io::Error::from_raw_os_error(libc::EADDRINUSE)
}

#[cfg(not(unix))]
fn in_use() -> io::Error {
    io::Error::from(io::ErrorKind::AddrInUse)
}
