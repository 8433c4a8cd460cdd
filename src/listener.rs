//! One listening socket for all threads that ask for the same port.
//!
//! Each thread gets a duplicate of one descriptor: the threads accept from one queue, so a connection
//! that waits when a thread ends is served by another, and the port belongs to this process alone. The
//! socket closes when the last thread has given it back, or ended.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

use napi::bindgen_prelude::Result;
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::Owner;

use crate::thread;

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
    port: u16,
    holders: Vec<(Owner, u32)>,
}

static LISTENERS: Mutex<Vec<Shared>> = Mutex::new(Vec::new());

/// Takes part in listening on a port. The n-th socket that each thread opens on port 0 of one address is
/// the same one; a thread that asks twice for one port is told that it is in use.
#[napi]
pub fn acquire_listener(address: String, port: u32, backlog: u32) -> Result<NativeListener> {
    let owner = thread::current()?.owner;
    let (Ok(address), Ok(port)) = (address.parse::<IpAddr>(), u16::try_from(port)) else {
        return Ok(failed(&std::io::Error::from(std::io::ErrorKind::InvalidInput)));
    };
    Ok(acquire(owner, address, port, backlog).unwrap_or_else(|error| failed(&error)))
}

/// Gives a lease back; the last one closes the socket.
#[napi]
pub fn release_listener(lease: u32) {
    release(|(_, held)| *held == lease);
}

/// Gives back what a thread that ended held.
pub(crate) fn release_owner(owner: Owner) {
    release(|(holder, _)| *holder == owner);
}

fn release(given_back: impl Fn(&(Owner, u32)) -> bool) {
    let mut listeners = LISTENERS.lock();
    for shared in listeners.iter_mut() {
        shared.holders.retain(|holder| !given_back(holder));
    }
    listeners.retain(|shared| !shared.holders.is_empty());
}

fn acquire(owner: Owner, address: IpAddr, port: u16, backlog: u32) -> std::io::Result<NativeListener> {
    static NEXT_LEASE: AtomicU32 = AtomicU32::new(1);
    let mut listeners = LISTENERS.lock();
    let held = |shared: &Shared| shared.holders.iter().any(|(holder, _)| *holder == owner);
    let index = listeners.iter().position(|shared| {
        shared.address == address
            && if port == 0 { shared.requested_port == 0 && !held(shared) } else { shared.port == port }
    });
    let index = match index {
        Some(index) if held(&listeners[index]) => return Err(in_use()),
        Some(index) => index,
        None => {
            let socket = Socket::listen(SocketAddr::new(address, port), backlog)?;
            let bound = socket.port()?;
            listeners.push(Shared {
                socket,
                address,
                requested_port: port,
                port: bound,
                holders: Vec::new(),
            });
            listeners.len() - 1
        }
    };
    let shared = &mut listeners[index];
    let duplicate = shared.socket.duplicate();
    let lease = NEXT_LEASE.fetch_add(1, Ordering::Relaxed);
    if let Ok(fd) = duplicate {
        shared.holders.push((owner, lease));
        return Ok(NativeListener {
            fd: Some(fd),
            port: Some(shared.port.into()),
            lease: Some(lease),
            errno: None,
        });
    }
    listeners.retain(|shared| !shared.holders.is_empty());
    duplicate.map(|_| NativeListener::default())
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

    /// A descriptor of the same socket, which its receiver closes.
    fn duplicate(&self) -> std::io::Result<i32> {
        use std::os::fd::IntoRawFd;
        Ok(self.0.try_clone()?.into_raw_fd())
    }
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
}
