//! The listening socket, where threads can share one.

use std::net::SocketAddr;

use super::cluster::Descriptor;

#[cfg(unix)]
pub(super) struct Socket(socket2::Socket);

#[cfg(unix)]
impl Socket {
    pub(super) fn listen(address: SocketAddr, backlog: u32) -> std::io::Result<Self> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
        // As libuv does: a port can be bound again while its last connections linger.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(Self(socket))
    }

    pub(super) fn port(&self) -> std::io::Result<u16> {
        Ok(self.0.local_addr()?.as_socket().map_or(0, |address| address.port()))
    }

    pub(super) fn inode(&self) -> Option<Inode> {
        use std::os::fd::AsRawFd;
        inode(self.0.as_raw_fd())
    }

    /// A descriptor of the same socket, which its receiver closes.
    pub(super) fn duplicate(&self) -> std::io::Result<i32> {
        use std::os::fd::IntoRawFd;
        Ok(self.descriptor()?.into_raw_fd())
    }

    pub(super) fn descriptor(&self) -> std::io::Result<Descriptor> {
        Ok(self.0.try_clone()?.into())
    }

    /// Closes a duplicate, if the number still is that of one.
    pub(super) fn close_duplicate(&self, fd: i32) {
        use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
        if inode(fd).is_some() && inode(fd) == inode(self.0.as_raw_fd()) {
            // SAFETY: it is open and of this socket; the thread that it was given to has ended or given it back.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
}

/// Identifies what a descriptor stands for.
#[cfg(unix)]
pub(super) type Inode = (libc::dev_t, libc::ino_t);

#[cfg(not(unix))]
pub(super) type Inode = ();

#[cfg(unix)]
impl From<Descriptor> for Socket {
    fn from(descriptor: Descriptor) -> Self {
        Self(descriptor.into())
    }
}

/// What a descriptor stands for; none where it is closed.
#[cfg(unix)]
pub(super) fn inode(fd: i32) -> Option<Inode> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::zeroed();
    // SAFETY: any number is allowed; the system fills `stat` when it returns 0.
    let found = unsafe { libc::fstat(fd, stat.as_mut_ptr()) } == 0;
    // SAFETY: zeroed is a valid `stat`, and the system may have filled it.
    let stat = unsafe { stat.assume_init() };
    found.then_some((stat.st_dev, stat.st_ino))
}

#[cfg(not(unix))]
pub(super) fn inode(_: i32) -> Option<Inode> {
    None
}

/// Node cannot listen on a descriptor here; `lib/listen/` reports that before it asks for a socket.
#[cfg(not(unix))]
pub(super) struct Socket;

#[cfg(not(unix))]
impl Socket {
    pub(super) fn listen(_: SocketAddr, _: u32) -> std::io::Result<Self> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }

    pub(super) fn port(&self) -> std::io::Result<u16> {
        Ok(0)
    }

    pub(super) fn duplicate(&self) -> std::io::Result<i32> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }

    pub(super) fn inode(&self) -> Option<Inode> {
        None
    }

    pub(super) fn descriptor(&self) -> std::io::Result<Descriptor> {
        Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
    }

    pub(super) fn close_duplicate(&self, _: i32) {}
}

#[cfg(not(unix))]
impl From<Descriptor> for Socket {
    fn from(_: Descriptor) -> Self {
        Self
    }
}
