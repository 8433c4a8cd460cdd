//! Servers of a test's own. They need `redis-server` in the PATH, or at `SLUICE_TEST_REDIS`. Tests of all servers also start
//! `valkey-server`, where it is in the PATH, and those that `SLUICE_TEST_SERVERS` lists as PATH does.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use redis::Connection;

pub(crate) struct TestServer {
    process: Child,
    /// A path of its own: a port that was free may be another program's by the time the server takes it.
    socket: PathBuf,
}

impl TestServer {
    /// `None` where there is no server to be had, which fails with `SLUICE_REQUIRE_REDIS`.
    pub(crate) fn start() -> Option<Self> {
        let program = std::env::var("SLUICE_TEST_REDIS").unwrap_or_else(|_| "redis-server".to_owned());
        Self::run(&program, std::env::var_os("SLUICE_REQUIRE_REDIS").is_some())
    }

    /// One of each kind that is there.
    pub(crate) fn start_each() -> impl Iterator<Item = Self> {
        let listed = std::env::var_os("SLUICE_TEST_SERVERS").unwrap_or_default();
        // Of an empty list, one empty path.
        let listed: Vec<_> =
            std::env::split_paths(&listed).filter(|path| !path.as_os_str().is_empty()).collect();
        let listed = listed.into_iter().filter_map(|program| Self::run(&program.to_string_lossy(), true));
        Self::start().into_iter().chain(Self::run("valkey-server", false)).chain(listed)
    }

    fn run(program: &str, is_required: bool) -> Option<Self> {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let socket = std::env::temp_dir().join(format!("sluice-{}-{number}.sock", std::process::id()));
        let spawned = Command::new(program)
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn();
        match spawned {
            Ok(process) => Some(Self { process, socket }),
            Err(error) => {
                let missing =
                    format!("{program} cannot be started ({error}): what it would decide was not tested");
                assert!(!is_required, "{missing}");
                eprintln!("{missing}");
                None
            }
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    pub(crate) fn connection(&self) -> Connection {
        let client = redis::Client::open(self.url()).expect("a url");
        let started = Instant::now();
        loop {
            match client.get_connection() {
                Ok(connection) => return connection,
                Err(error) if started.elapsed() > Duration::from_secs(20) => panic!("no server: {error}"),
                Err(_) => std::thread::yield_now(),
            }
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.socket);
    }
}
