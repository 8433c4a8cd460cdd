//! The connections pending in the listen queue of a socket whose server closes.
//!
//! Node cannot accept what is left and close without a gap: between its last accept and its close the system goes on
//! completing handshakes, and resets those connections with the socket. So a duplicate of the socket is held here while
//! the server closes, and the rest is accepted from it. It closes in the call that finds the queue empty.
//!
//! A thread can end between the call that gives it a connection and the socket object that takes it. So the last
//! descriptor given is closed here when the thread ends, if it is still open.

use napi::bindgen_prelude::{Error, Result, Status};
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::ThreadId;

use super::ports;
use super::socket::{Inode, inode};
use crate::runtime::thread;

/// A duplicate of a listening socket, held by one thread.
struct Held {
    thread: ThreadId,
    id: u32,
    socket: system::Listening,
    inode: Inode,
    /// The connection that was given to JavaScript last.
    given: Option<(i32, Inode)>,
}

#[derive(Default)]
struct Queues {
    held: Vec<Held>,
    last_id: u32,
}

static QUEUES: Mutex<Queues> = Mutex::new(Queues { held: Vec::new(), last_id: 0 });

/// What `acceptWaiting` found in the queue.
#[napi(object)]
pub struct NativeWaiting {
    /// The descriptor of a connection, which its receiver closes.
    pub fd: Option<i32>,
    /// The queue was empty and the duplicate is closed.
    pub is_closed: bool,
}

/// How many connections wait to be accepted; none where the descriptor is no listening socket, or the system does not
/// say. 1 where it says only that there are some.
#[napi]
pub fn waiting_connections(fd: i32) -> Option<u32> {
    system::waiting(fd)
}

/// Holds a duplicate of a listening socket. Returns its number, or none where the descriptor is no listening socket.
#[napi]
pub fn hold_listen_queue(fd: i32) -> Result<Option<u32>> {
    let thread = thread::current()?.id;
    let Some((socket, inode)) = system::Listening::duplicate(fd).zip(inode(fd)) else { return Ok(None) };
    let mut queues = QUEUES.lock();
    queues.last_id = queues.last_id.wrapping_add(1);
    let id = queues.last_id;
    queues.held.push(Held { thread, id, socket, inode, given: None });
    Ok(Some(id))
}

/// Accepts one connection, or closes the duplicate if none waits. Does neither while the process has no free descriptor.
#[napi]
pub fn accept_waiting(id: u32) -> Result<NativeWaiting> {
    let mut queues = QUEUES.lock();
    let Some(at) = queues.held.iter().position(|held| held.id == id) else { return Err(no_such_queue()) };
    let held = &mut queues.held[at];
    held.given = None;
    match held.socket.accept() {
        Ok(Some(fd)) => {
            held.given = inode(fd).map(|inode| (fd, inode));
            Ok(NativeWaiting { fd: Some(fd), is_closed: false })
        }
        Ok(None) => {
            queues.held.swap_remove(at);
            Ok(NativeWaiting { fd: None, is_closed: true })
        }
        Err(_) => Ok(NativeWaiting { fd: None, is_closed: false }),
    }
}

/// Closes the duplicate. Returns how many connections the system resets with it: none while another thread has the
/// socket.
#[napi]
pub fn close_listen_queue(id: u32) -> u32 {
    let mut queues = QUEUES.lock();
    let Some(at) = queues.held.iter().position(|held| held.id == id) else { return 0 };
    let held = queues.held.swap_remove(at);
    let is_last = !queues.held.iter().any(|other| other.inode == held.inode) && !ports::has(held.inode);
    // Closed under the lock, so that of two threads the later one counts.
    if is_last { held.socket.close() } else { 0 }
}

/// Closes what a thread that ended held.
pub(crate) fn thread_ended(thread: ThreadId) {
    for Held { given, .. } in QUEUES.lock().held.extract_if(.., |held| held.thread == thread) {
        if let Some((fd, known)) = given
            && inode(fd) == Some(known)
        {
            system::close(fd);
        }
    }
}

fn no_such_queue() -> Error {
    Error::new(Status::InvalidArg, "sluice: this listen queue is closed")
}

#[cfg(unix)]
mod system {
    use std::io::ErrorKind;
    use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};

    /// A duplicate of a listening socket that does not block.
    pub(super) struct Listening(socket2::Socket);

    impl Listening {
        pub(super) fn duplicate(fd: i32) -> Option<Self> {
            if !is_listening(fd) {
                return None;
            }
            // SAFETY: the call above says that it is open, and nothing closes it before this thread goes on.
            let duplicate = unsafe { BorrowedFd::borrow_raw(fd) }.try_clone_to_owned().ok()?;
            let socket = socket2::Socket::from(duplicate);
            socket.set_nonblocking(true).ok()?;
            Some(Self(socket))
        }

        /// None where the queue is empty.
        pub(super) fn accept(&self) -> std::io::Result<Option<i32>> {
            loop {
                match self.0.accept() {
                    Ok((connection, _)) => {
                        connection.set_nonblocking(true)?;
                        return Ok(Some(connection.into_raw_fd()));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                    // The client of this one has gone.
                    Err(error)
                        if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
                    Err(error) => return Err(error),
                }
            }
        }

        /// How many connections waited.
        pub(super) fn close(self) -> u32 {
            waiting(self.0.as_raw_fd()).unwrap_or(0)
        }
    }

    pub(super) fn waiting(fd: i32) -> Option<u32> {
        if !is_listening(fd) {
            return None;
        }
        let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` is one entry, and the call returns at once.
        match unsafe { libc::poll(&raw mut poll, 1, 0) } {
            0 => Some(0),
            1 if poll.revents & libc::POLLIN != 0 => Some(length(fd).unwrap_or(0).max(1)),
            _ => None,
        }
    }

    pub(super) fn close(fd: i32) {
        // SAFETY: the caller has found it open, and nothing else closes it.
        drop(unsafe { OwnedFd::from_raw_fd(fd) });
    }

    fn is_listening(fd: i32) -> bool {
        option::<libc::c_int>(fd, libc::SOL_SOCKET, libc::SO_ACCEPTCONN).is_some_and(|listens| listens != 0)
    }

    /// The length of the queue. For a listening socket, Linux reports it in the field for unacknowledged segments.
    #[cfg(target_os = "linux")]
    fn length(fd: i32) -> Option<u32> {
        option::<libc::tcp_info>(fd, libc::IPPROTO_TCP, libc::TCP_INFO).map(|info| info.tcpi_unacked)
    }

    #[cfg(not(target_os = "linux"))]
    fn length(_: i32) -> Option<u32> {
        None
    }

    /// An option of a socket, of a type for which all bits zero are a value.
    fn option<T: Copy>(fd: i32, level: libc::c_int, name: libc::c_int) -> Option<T> {
        let mut value = std::mem::MaybeUninit::<T>::zeroed();
        let mut size = libc::socklen_t::try_from(size_of::<T>()).ok()?;
        // SAFETY: any descriptor is allowed; the system writes at most `size` bytes.
        let found =
            unsafe { libc::getsockopt(fd, level, name, value.as_mut_ptr().cast(), &raw mut size) } == 0;
        // SAFETY: zeroed is a value of the types above, and so is what the system wrote.
        found.then(|| unsafe { value.assume_init() })
    }
}

/// Listening sockets cannot be duplicated here.
#[cfg(not(unix))]
mod system {
    pub(super) enum Listening {}

    impl Listening {
        pub(super) fn duplicate(_: i32) -> Option<Self> {
            None
        }

        pub(super) fn accept(&self) -> std::io::Result<Option<i32>> {
            match *self {}
        }

        pub(super) fn close(self) -> u32 {
            match self {}
        }
    }

    pub(super) fn waiting(_: i32) -> Option<u32> {
        None
    }

    pub(super) fn close(_: i32) {}
}
