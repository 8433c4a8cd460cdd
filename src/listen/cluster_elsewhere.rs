//! Systems where workers cannot give each other sockets: `lib/listen/` leaves the port to the primary there.

use std::io::{Error, ErrorKind, Result};
use std::net::IpAddr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
    pub(crate) index: u32,
}

#[cfg(unix)]
pub(crate) type Descriptor = std::os::fd::OwnedFd;
#[cfg(not(unix))]
pub(crate) type Descriptor = i32;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Answers {
    pub(crate) socket: fn(Wanted) -> Option<Descriptor>,
    pub(crate) accepts: fn(Wanted) -> bool,
}

#[derive(Debug)]
pub(crate) struct Turn;

pub(crate) fn is_worker() -> bool {
    false
}

pub(crate) fn take_turn(_: Answers) -> Result<Turn> {
    Err(Error::from(ErrorKind::Unsupported))
}

pub(crate) fn socket_of_others(_: &Turn, _: Wanted) -> Option<Descriptor> {
    None
}

pub(crate) fn others_accept(_: Wanted) -> bool {
    false
}
