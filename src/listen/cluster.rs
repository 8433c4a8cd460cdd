//! The listening sockets of the other cluster workers of one primary.
//!
//! Node's own cluster lets the primary accept, or hand its socket to the main thread of a worker. Neither reaches
//! worker threads. So the workers hand the socket to each other: the first one opens it, and each one that holds it
//! gives a duplicate to the next, over a Unix socket with an abstract name. The primary takes no part.
//!
//! A worker is trusted to be one of the same primary if it has the same parent process and the same user.

use std::ffi::OsStr;
use std::io::{Error, ErrorKind, IoSlice, IoSliceMut, Read, Result, Write};
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::os::unix::process::parent_id;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};

/// How long one look for the answer of a worker takes at most; a suspended worker never answers.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// How many looks there are. After a stop of the whole machine one is over before the other worker has run.
const LOOKS: usize = 3;

/// How long a worker may hold its turn before the others give up.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);

/// How many names are tried: other copies of this library, or other PID namespaces, may have the first ones.
const MOST_NAMES: usize = 16;

/// The longest request: a letter, an IPv6 address, two numbers, and what separates them.
const MOST_REQUEST_BYTES: usize = 64;

/// Which socket is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) address: IpAddr,
    /// As given to `listen`: 0 lets the system choose.
    pub(crate) port: u16,
    /// Distinguishes the sockets on port 0 of one address.
    pub(crate) index: u32,
}

pub(crate) type Descriptor = OwnedFd;

/// How a process answers the other workers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answers {
    /// A duplicate of a socket that it holds.
    pub(crate) socket: fn(Wanted) -> Option<Descriptor>,
    /// Whether it accepts from that socket, and goes on to.
    pub(crate) accepts: fn(Wanted) -> bool,
}

/// Excludes the other workers of the primary while it lives.
#[derive(Debug)]
pub(crate) struct Turn {
    _name: UnixListener,
}

/// The name under which this process answers, once it does.
static OWN_NAME: Mutex<Option<String>> = Mutex::new(None);

/// Whether this process is a cluster worker. Node deletes the variable that says so from the environment before
/// any JavaScript runs, but the kernel keeps what the process was started with.
pub(crate) fn is_worker() -> bool {
    static IS_WORKER: OnceLock<bool> = OnceLock::new();
    *IS_WORKER.get_or_init(|| {
        let environment = std::fs::read("/proc/self/environ").unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(b"NODE_UNIQUE_ID="))
    })
}

/// Waits until no other worker of the primary opens a socket, and answers the others from now on.
pub(crate) fn take_turn(answers: Answers) -> Result<Turn> {
    serve(answers)?;
    let name = abstract_name(&format!("sluice-turn-{}", primary()))?;
    let due = Instant::now() + TURN_TIMEOUT;
    loop {
        match UnixListener::bind_addr(&name) {
            Ok(listener) => return Ok(Turn { _name: listener }),
            Err(error) if error.kind() != ErrorKind::AddrInUse => return Err(error),
            Err(_) if Instant::now() >= due => return Err(Error::from_raw_os_error(libc::ETIMEDOUT)),
            Err(_) => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// The socket as another worker holds it.
pub(crate) fn socket_of_others(_: &Turn, wanted: Wanted) -> Option<Descriptor> {
    others().find_map(|name| {
        let stream = ask(&name, 'S', wanted).ok()?;
        patiently(|| receive(&stream)).ok()?
    })
}

/// Whether another worker accepts from the socket, and goes on to.
pub(crate) fn others_accept(wanted: Wanted) -> bool {
    others().any(|name| {
        let answer = ask(&name, 'A', wanted).and_then(|stream| patiently(|| read_byte(&stream)));
        answer.is_ok_and(|answer| answer == 1)
    })
}

fn others() -> impl Iterator<Item = String> {
    let own = OWN_NAME.lock().clone();
    names().into_iter().filter(move |name| Some(name) != own.as_ref())
}

/// The names under which workers of this primary answer.
fn names() -> Vec<String> {
    let (prefix, table) = (prefix(), std::fs::read("/proc/net/unix").unwrap_or_default());
    let table = String::from_utf8_lossy(&table);
    let names = table.lines().filter_map(|line| line.split_once('@').map(|(_, name)| name));
    let mut names: Vec<_> = names.filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect();
    // Connections have the name of the socket that accepted them.
    names.sort_unstable();
    names.dedup();
    names
}

/// Asks a worker. Its answer is read from the stream.
fn ask(name: &str, question: char, wanted: Wanted) -> Result<UnixStream> {
    let mut stream = UnixStream::connect_addr(&abstract_name(name)?)?;
    limit_time(&stream)?;
    if !is_sibling(&stream) {
        return Err(Error::from(ErrorKind::PermissionDenied));
    }
    writeln!(stream, "{question} {} {} {}", wanted.address, wanted.port, wanted.index)?;
    Ok(stream)
}

/// Looks for an answer again where one look was too short.
fn patiently<T>(mut look: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..LOOKS {
        match look() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            found => return found,
        }
    }
    look()
}

/// Answers in a thread of its own: those of JavaScript may be busy.
fn serve(answers: Answers) -> Result<()> {
    let mut own = OWN_NAME.lock();
    if own.is_some() {
        return Ok(());
    }
    let (name, listener) = bind()?;
    thread::Builder::new().name("sluice-cluster".to_owned()).spawn(move || {
        loop {
            match listener.accept() {
                // The worker that asked sees that it was not answered.
                Ok((stream, _)) => drop(reply(stream, answers)),
                // Descriptors may have run out.
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    })?;
    *own = Some(name);
    Ok(())
}

fn bind() -> Result<(String, UnixListener)> {
    let mut failure = Error::from(ErrorKind::AddrInUse);
    for attempt in 0..MOST_NAMES {
        let name = format!("{}{}-{attempt}", prefix(), std::process::id());
        match UnixListener::bind_addr(&abstract_name(&name)?) {
            Ok(listener) => return Ok((name, listener)),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn reply(mut stream: UnixStream, answers: Answers) -> Result<()> {
    limit_time(&stream)?;
    if !is_sibling(&stream) {
        return Ok(());
    }
    match read_request(&stream)? {
        Some(('S', wanted)) => match (answers.socket)(wanted) {
            Some(socket) => send(&stream, &socket),
            None => stream.write_all(&[0]),
        },
        Some(('A', wanted)) => stream.write_all(&[u8::from((answers.accepts)(wanted))]),
        _ => Ok(()),
    }
}

fn read_request(stream: &UnixStream) -> Result<Option<(char, Wanted)>> {
    let mut line = Vec::new();
    while line.len() < MOST_REQUEST_BYTES {
        match patiently(|| read_byte(stream))? {
            b'\n' => return Ok(std::str::from_utf8(&line).ok().and_then(parse)),
            byte => line.push(byte),
        }
    }
    Ok(None)
}

fn read_byte(mut stream: impl Read) -> Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}

fn parse(line: &str) -> Option<(char, Wanted)> {
    let mut words = line.split(' ');
    let question = words.next()?.parse().ok()?;
    let address = words.next()?.parse().ok()?;
    let port = words.next()?.parse().ok()?;
    let index = words.next()?.parse().ok()?;
    words.next().is_none().then_some((question, Wanted { address, port, index }))
}

fn send(stream: &UnixStream, socket: &OwnedFd) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&sockets));
    sendmsg(stream, &[IoSlice::new(&[1])], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(stream: &UnixStream) -> Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    retry_on_intr(|| {
        recvmsg(stream, &mut [IoSliceMut::new(&mut [0])], &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let sockets = control.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
        _ => None,
    });
    Ok(sockets.flatten().next())
}

/// Whether the other side is another cluster worker of the same primary.
fn is_sibling(stream: &UnixStream) -> bool {
    let Some(other) = credentials(stream) else { return false };
    other.uid == rustix::process::geteuid().as_raw()
        && other.pid.unsigned_abs() != std::process::id()
        && parent_of(other.pid) == Some(primary())
}

/// The process on the other side; its number is 0 where it belongs to another PID namespace.
fn credentials(stream: &UnixStream) -> Option<libc::ucred> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut size = libc::socklen_t::try_from(size_of::<libc::ucred>()).ok()?;
    // SAFETY: the descriptor is open; the system writes at most `size` bytes to `credentials`.
    let status = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut size,
        )
    };
    (status == 0).then_some(credentials)
}

/// The parent of a process: the second field after its name, which is in parentheses and may contain any character.
fn parent_of(pid: i32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// The process that started this one; it may be gone by now.
fn primary() -> u32 {
    static PRIMARY: OnceLock<u32> = OnceLock::new();
    *PRIMARY.get_or_init(parent_id)
}

fn prefix() -> String {
    format!("sluice-cluster-{}-", primary())
}

fn abstract_name(name: &str) -> Result<SocketAddr> {
    SocketAddr::from_abstract_name(OsStr::new(name).as_bytes())
}

fn limit_time(stream: &UnixStream) -> Result<()> {
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    stream.set_write_timeout(Some(ANSWER_TIMEOUT))
}
