use std::io::Read;
use std::net::{TcpListener, TcpStream};

use redis::cmd;
use tokio::io::{AsyncReadExt, duplex};

use super::*;

/// A socket that never blocks, and its other end.
fn sockets() -> (Socket, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let own = TcpStream::connect(listener.local_addr().expect("an address")).expect("connected");
    own.set_nonblocking(true).expect("a socket");
    let (other, _) = listener.accept().expect("connected");
    (Socket::Tcp(own), other)
}

fn open(socket: Option<Socket>) -> Outlet {
    let mut outlet = Outlet::default();
    outlet.open(socket);
    outlet
}

/// What a wire writes to a pipe that takes everything.
fn written(wire: &mut Wire, other: &mut tokio::io::DuplexStream, length: usize) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a loop");
    let mut bytes = vec![0; length];
    runtime.block_on(async {
        tokio::select! {
            _ = wire.exchange() => panic!("nothing is sent back"),
            read = other.read_exact(&mut bytes) => drop(read.expect("written")),
        }
    });
    bytes
}

const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

#[test]
fn what_is_put_is_written_at_once_and_awaited_in_order() {
    let (socket, mut other) = sockets();
    let mut outlet = open(Some(socket));
    outlet.put(&cmd("PING"), Awaited::Script(1));
    outlet.put(&cmd("PING"), Awaited::Slots);
    assert!(!outlet.write(), "nothing is left");
    let mut bytes = vec![0; 2 * PING.len()];
    other.read_exact(&mut bytes).expect("written");
    assert_eq!(bytes, [PING, PING].concat());
    assert_eq!(outlet.next_awaited(), Some(Awaited::Script(1)));
    assert!(!outlet.awaits_nothing());
    assert_eq!((outlet.next_awaited(), outlet.next_awaited()), (Some(Awaited::Slots), None));
}

#[test]
fn what_a_full_socket_does_not_take_is_handed_over_and_nothing_overtakes_it() {
    let (socket, mut other) = sockets();
    let mut outlet = open(Some(socket));
    let long = cmd("ECHO").arg(vec![b'x'; 1 << 20]).to_owned();
    let mut sent = 0;
    // Until the socket is full.
    loop {
        outlet.put(&long, Awaited::Nothing);
        sent += long.get_packed_command().len();
        if outlet.write() {
            break;
        }
    }
    let left = outlet.bytes.len();
    let (own, mut pipe) = duplex(1 << 24);
    let mut wire = Wire::new(own);
    outlet.hand_over(&mut wire);
    // Makes room in the socket, which must stay unused: bytes are before.
    other.read_exact(&mut vec![0; sent - left]).expect("written");
    outlet.put(&cmd("PING"), Awaited::Nothing);
    assert!(outlet.write(), "the thread of the link has bytes to write");
    outlet.hand_over(&mut wire);
    let rest = written(&mut wire, &mut pipe, left + PING.len());
    assert!(rest.ends_with(PING));
    outlet.hand_over(&mut wire);
    outlet.put(&cmd("PING"), Awaited::Nothing);
    assert!(!outlet.write(), "the socket is used again");
}

#[test]
fn where_there_is_no_socket_the_thread_of_the_link_writes_all() {
    let mut outlet = open(None);
    outlet.put(&cmd("PING"), Awaited::Nothing);
    assert!(outlet.write());
    let (own, mut pipe) = duplex(64);
    let mut wire = Wire::new(own);
    outlet.hand_over(&mut wire);
    assert_eq!(written(&mut wire, &mut pipe, PING.len()), PING);
    assert!(!outlet.write(), "nothing is left");
}

#[test]
fn a_connection_that_is_over_leaves_nothing_to_the_next() {
    let (socket, _other) = sockets();
    let mut outlet = open(Some(socket));
    outlet.put(&cmd("PING"), Awaited::Script(1));
    outlet.close();
    assert!(!outlet.is_open() && outlet.awaits_nothing());
    let (socket, mut other) = sockets();
    outlet.open(Some(socket));
    assert!(!outlet.write());
    drop(outlet);
    let mut bytes = Vec::new();
    other.read_to_end(&mut bytes).expect("the end");
    assert!(bytes.is_empty());
}
