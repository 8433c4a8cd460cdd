//! The way out of a connection: what is still to be written, and what the replies will answer, in one order.
//!
//! Any thread writes to a plain socket itself, which spares a call the way through the thread of the link. What the socket
//! does not take at once, and everything where it is encrypted, that thread writes.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Write};

use redis::Cmd;

use super::wire::Wire;

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// The script call of this number.
    Script(u64),
    /// Which node of the cluster has which slots.
    Slots,
    /// What is of no interest.
    Nothing,
}

/// A second handle to a plain socket, which never blocks.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(std::net::TcpStream),
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixStream),
}

impl Socket {
    pub(super) fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => (&*stream).write(bytes),
            #[cfg(unix)]
            Self::Unix(stream) => (&*stream).write(bytes),
        }
    }
}

/// The way out of a connection.
#[derive(Debug, Default)]
pub(super) struct Outlet {
    /// There is a connection.
    is_open: bool,
    socket: Option<Socket>,
    /// Before these, the thread of the link has bytes to write.
    follows: bool,
    bytes: Vec<u8>,
    awaited: VecDeque<Awaited>,
}

impl Outlet {
    /// There is a new connection.
    pub(super) fn open(&mut self, socket: Option<Socket>) {
        *self = Self { is_open: true, socket, ..Self::default() };
    }

    /// The connection is over. Nothing is written any more.
    pub(super) fn close(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn put(&mut self, command: &Cmd, awaited: Awaited) {
        command.write_packed_command(&mut self.bytes);
        self.awaited.push_back(awaited);
    }

    /// Writes what the socket takes. Whether the thread of the link has to write the rest, and finds out why.
    pub(super) fn write(&mut self) -> bool {
        let Some(socket) = self.socket.as_ref().filter(|_| !self.follows) else {
            return !self.bytes.is_empty();
        };
        let mut written = 0;
        while written < self.bytes.len() {
            match socket.write(&self.bytes[written..]) {
                Ok(count) if count > 0 => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        self.bytes.drain(..written);
        self.follows = !self.bytes.is_empty();
        self.follows
    }

    /// Leaves the thread of the link what it has to write.
    pub(super) fn hand_over(&mut self, wire: &mut Wire) {
        wire.put_bytes(&self.bytes);
        self.bytes.clear();
        self.follows = wire.has_outgoing();
    }

    /// What the next reply answers.
    pub(super) fn next_awaited(&mut self) -> Option<Awaited> {
        self.awaited.pop_front()
    }

    pub(super) fn awaits_nothing(&self) -> bool {
        self.awaited.is_empty()
    }
}

#[cfg(test)]
mod tests;
