//! Making a connection, and what the server says of itself before it is asked anything.

use std::io;
use std::time::{Duration, Instant};

use redis::{Cmd, ErrorKind, RedisError, Value, cmd};
use tokio::net::TcpStream;

use super::cluster::Cluster;
use super::sentinel;
use super::settle::{explain, has_code};
use super::wire::Wire;
use crate::script::ScriptKind;
use crate::server::{Address, Node, Place};
use crate::tls;

/// A server that does not complete the handshake in this time is away.
const LONGEST: Duration = Duration::from_secs(2);

/// The oldest version that has all that the scripts use.
const OLDEST: (u32, u32) = (6, 2);

/// A connection to a server that takes writes.
pub(crate) struct Connected {
    /// The server's place, which sentinels may have told.
    pub(crate) node: Node,
    pub(crate) wire: Wire,
    pub(crate) version: Option<String>,
    pub(crate) eviction_policy: Option<String>,
    /// The server's clock in microseconds, and when it was received.
    pub(crate) clock: Option<(u64, Instant)>,
}

/// Connects, logs in and loads the scripts; or says in words why not. A node of a cluster says first how the cluster
/// is divided.
pub(crate) async fn connect(place: &Place, cluster: Option<&Cluster>) -> Result<Connected, String> {
    let node = match place {
        Place::Node(node) => node.clone(),
        Place::Master(master) => sentinel::find(master).await?,
    };
    match tokio::time::timeout(LONGEST, attempt(node.clone(), cluster)).await {
        Ok(connected) => connected,
        Err(_) => Err(format!("no answer from {node} within {} s", LONGEST.as_secs())),
    }
}

async fn attempt(node: Node, cluster: Option<&Cluster>) -> Result<Connected, String> {
    let (wire, version) = log_in(&node).await?;
    let mut connected = Connected { node, wire, version, eviction_policy: None, clock: None };
    connected.introduce(cluster).await?;
    Ok(connected)
}

/// A connection whose user is logged in, and the version of the server.
pub(super) async fn log_in(node: &Node) -> Result<(Wire, Option<String>), String> {
    let mut wire = open(node).await?;
    let access = &node.access;
    let mut hello = cmd("HELLO");
    hello.arg(3);
    if let Some(password) = &access.password {
        hello.arg("AUTH").arg(access.username.as_deref().unwrap_or("default")).arg(password);
    }
    let hello = wire.ask(&hello).await.map_err(|error| refused(node, &error))?;
    if access.database > 0 {
        wire.ask(cmd("SELECT").arg(access.database)).await.map_err(|error| refused(node, &error))?;
    }
    Ok((wire, version_of(&hello)))
}

async fn open(node: &Node) -> Result<Wire, String> {
    let unreachable = |error: io::Error| format!("{node} cannot be reached: {error}");
    match &node.address {
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
            stream.set_nodelay(true).map_err(unreachable)?;
            match &node.access.tls {
                None => Ok(Wire::new(stream)),
                Some(tls) => {
                    let encrypted = tls.encrypt(host, stream).await;
                    encrypted.map(Wire::new).map_err(|why| format!("{node} {why}"))
                }
            }
        }
        #[cfg(unix)]
        Address::Unix { path } => {
            tokio::net::UnixStream::connect(path).await.map(Wire::new).map_err(unreachable)
        }
        #[cfg(not(unix))]
        Address::Unix { .. } => Err(format!("{node}: this system has no Unix sockets")),
    }
}

impl Connected {
    /// Asks the server what it is. Where its rules for users allow only the scripts, nothing is known of it.
    async fn introduce(&mut self, cluster: Option<&Cluster>) -> Result<(), String> {
        if let Some(version) = self.version.as_deref().filter(|version| is_too_old(version)) {
            return Err(too_old(&self.node, version));
        }
        for (name, value) in [("LIB-NAME", "sluice"), ("LIB-VER", env!("CARGO_PKG_VERSION"))] {
            self.ask(cmd("CLIENT").arg("SETINFO").arg(name).arg(value)).await?;
        }
        if let Some(cluster) = cluster {
            let slots = self.wire.ask(&slots_question()).await;
            cluster.learn(&self.node.address, &slots.map_err(|error| no_slots(&self.node, &error))?);
        }
        let role = self.ask(&cmd("ROLE")).await?;
        if role.is_some_and(|role| is_replica(&role)) {
            return Err(format!("{} is a replica, which takes no writes", self.node));
        }
        for script in ScriptKind::ALL {
            self.ask(cmd("SCRIPT").arg("LOAD").arg(script.text())).await?;
        }
        let memory = self.ask(cmd("INFO").arg("memory")).await?;
        self.eviction_policy = memory.as_ref().and_then(eviction_policy_of);
        let time = self.ask(&cmd("TIME")).await?;
        self.clock = time.as_ref().and_then(clock_of).map(|clock| (clock, Instant::now()));
        Ok(())
    }

    /// What the server answers; `None` where it refuses.
    async fn ask(&mut self, command: &Cmd) -> Result<Option<Value>, String> {
        match self.wire.ask(command).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => {
                // Its data is still being read from disk.
                if has_code(&error, "LOADING") { Err(explain(&error)) } else { Ok(None) }
            }
            Err(error) => Err(explain(&error)),
        }
    }
}

/// Asks a node of a cluster how the cluster is divided.
pub(super) fn slots_question() -> Cmd {
    cmd("CLUSTER").arg("SLOTS").to_owned()
}

fn no_slots(node: &Node, error: &RedisError) -> String {
    format!("{node} does not say how its cluster is divided: {}", explain(error))
}

/// Why a server did not let us in.
fn refused(node: &Node, error: &RedisError) -> String {
    let text = explain(error);
    match error.code() {
        // An unknown command, or a protocol of an unknown version.
        Some("ERR" | "NOPROTO") if text.contains("HELLO") || text.contains("NOPROTO") => {
            too_old(node, "before 6.0")
        }
        Some("WRONGPASS" | "NOAUTH") => account_refused(node),
        // With TLS 1.3 a server refuses the client's certificate after the handshake.
        _ if text.contains("fatal alert") => format!("{node} {}", tls::REFUSED),
        _ if error.is_io_error() => format!("{node} cannot be reached: {text}"),
        _ => format!("{node} refuses the connection: {text}"),
    }
}

fn account_refused(node: &Node) -> String {
    format!("{node} refuses the user or the password")
}

fn too_old(node: &Node, version: &str) -> String {
    format!("{node} has version {version}; needed: Redis {}.{} or Valkey", OLDEST.0, OLDEST.1)
}

fn is_too_old(version: &str) -> bool {
    let mut numbers = version.split(' ').next_back().unwrap_or_default().split('.').map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => (major, minor) < OLDEST,
        _ => false,
    }
}

/// `redis 7.0.15`.
fn version_of(hello: &Value) -> Option<String> {
    let field = |wanted: &str| {
        let mut pairs = hello.as_map_iter()?;
        pairs.find(|(name, _)| text_of(name).as_deref() == Some(wanted)).and_then(|(_, value)| text_of(value))
    };
    Some(format!("{} {}", field("server")?, field("version")?))
}

fn is_replica(role: &Value) -> bool {
    role.as_sequence().and_then(|role| role.first()).and_then(text_of).as_deref() == Some("slave")
}

fn eviction_policy_of(memory: &Value) -> Option<String> {
    let text = text_of(memory)?;
    let line = text.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
    line.map(|policy| policy.trim().to_owned())
}

fn clock_of(time: &Value) -> Option<u64> {
    let part = |index: usize| text_of(time.as_sequence()?.get(index)?)?.parse::<u64>().ok();
    part(0)?.checked_mul(1_000_000)?.checked_add(part(1)?)
}

pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Int(integer) => Some(integer.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_versions_that_lack_something() {
        for (version, old) in [
            ("redis 5.0.14", true),
            ("redis 6.0.16", true),
            ("redis 6.2.0", false),
            ("redis 7.0.15", false),
            ("valkey 8.1.1", false),
            ("redis 10.0", false),
            ("something", false),
        ] {
            assert_eq!(is_too_old(version), old, "{version}");
        }
    }
}
