//! Making a connection, and what the server says of itself before it is asked anything.

use std::io;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Cmd, ErrorKind, ProtocolVersion, RedisConnectionInfo, RedisError, Value, cmd,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::settle::{explain, has_code};
use super::work::MOST_OUT_OF_PATIENCE;
use crate::script::ScriptKind;
use crate::server::{Address, Server};

/// A server that does not complete the handshake in this time is away.
const LONGEST: Duration = Duration::from_secs(2);

/// The oldest version that has all that the scripts use.
const OLDEST: (u32, u32) = (6, 2);

/// A connection to a server that takes writes.
pub(super) struct Connected {
    pub(super) connection: MultiplexedConnection,
    /// Moves bytes; ends when the connection does.
    pub(super) driver: JoinHandle<()>,
    pub(super) version: Option<String>,
    pub(super) eviction_policy: Option<String>,
    /// The server's clock in microseconds, and when it was received.
    pub(super) clock: Option<(u64, Instant)>,
}

/// Connects, logs in and loads the scripts; or says in words why not.
pub(super) async fn connect(server: &Server) -> Result<Connected, String> {
    match tokio::time::timeout(LONGEST, attempt(server)).await {
        Ok(connected) => connected,
        Err(_) => Err(format!("no answer from {server} within {} s", LONGEST.as_secs())),
    }
}

async fn attempt(server: &Server) -> Result<Connected, String> {
    let unreachable = |error: io::Error| format!("{server} cannot be reached: {error}");
    match &server.address {
        Address::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(unreachable)?;
            stream.set_nodelay(true).map_err(unreachable)?;
            establish(server, stream).await
        }
        #[cfg(unix)]
        Address::Unix { path } => {
            let stream = tokio::net::UnixStream::connect(path).await.map_err(unreachable)?;
            establish(server, stream).await
        }
        #[cfg(not(unix))]
        Address::Unix { .. } => Err(format!("{server}: this system has no Unix sockets")),
    }
}

async fn establish<S>(server: &Server, stream: S) -> Result<Connected, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_pipeline_buffer_size(2 * MOST_OUT_OF_PATIENCE);
    let made = MultiplexedConnection::new_with_config(&account(server), stream, config).await;
    let (connection, driver) = made.map_err(|error| refused(server, &error))?;
    let driver = tokio::spawn(driver);
    let mut connected = Connected { connection, driver, version: None, eviction_policy: None, clock: None };
    connected.introduce(server).await.inspect_err(|_| connected.driver.abort())?;
    Ok(connected)
}

impl Connected {
    /// Asks the server what it is. Where its rules for users allow only the scripts, nothing is known of it.
    async fn introduce(&mut self, server: &Server) -> Result<(), String> {
        let hello = self.ask(&cmd("HELLO")).await?;
        self.version = hello.as_ref().and_then(version_of);
        if let Some(version) = self.version.as_deref().filter(|version| is_too_old(version)) {
            return Err(too_old(server, version));
        }
        let role = self.ask(&cmd("ROLE")).await?;
        if role.is_some_and(|role| is_replica(&role)) {
            return Err(format!("{server} is a replica, which takes no writes"));
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
        match self.connection.send_packed_command(command).await {
            Ok(Value::ServerError(_)) => Ok(None),
            Ok(value) => Ok(Some(value)),
            Err(error) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) => {
                // Its data is still being read from disk.
                if has_code(&error, "LOADING") { Err(explain(&error)) } else { Ok(None) }
            }
            Err(error) => Err(explain(&error)),
        }
    }
}

fn account(server: &Server) -> RedisConnectionInfo {
    let mut account = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(i64::from(server.database))
        .set_lib_name("sluice", env!("CARGO_PKG_VERSION"));
    if let Some(username) = &server.username {
        account = account.set_username(username);
    }
    if let Some(password) = &server.password {
        account = account.set_password(password);
    }
    account
}

/// Why a server did not let us in.
fn refused(server: &Server, error: &RedisError) -> String {
    let text = explain(error);
    let is_account = has_code(error, "WRONGPASS") || has_code(error, "NOAUTH");
    match error.kind() {
        ErrorKind::RESP3NotSupported => too_old(server, "before 6.0"),
        ErrorKind::AuthenticationFailed => account_refused(server),
        _ if is_account => account_refused(server),
        _ if error.is_io_error() => format!("{server} cannot be reached: {text}"),
        _ => format!("{server} refuses the connection: {text}"),
    }
}

fn account_refused(server: &Server) -> String {
    format!("{server} refuses the user or the password")
}

fn too_old(server: &Server, version: &str) -> String {
    format!("{server} has version {version}; needed: Redis {}.{} or Valkey", OLDEST.0, OLDEST.1)
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

fn text_of(value: &Value) -> Option<String> {
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
