//! A Redis server of a test's own. It needs `redis-server` in the PATH, or at `SLUICE_TEST_REDIS`.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::Connection;

pub(crate) struct TestServer {
    process: Child,
    port: u16,
}

impl TestServer {
    /// `None` where there is no server to be had, which fails with `SLUICE_REQUIRE_REDIS`.
    pub(crate) fn start() -> Option<Self> {
        let program = std::env::var("SLUICE_TEST_REDIS").unwrap_or_else(|_| "redis-server".to_owned());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let spawned = Command::new(&program)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .stdout(Stdio::null())
            .spawn();
        match spawned {
            Ok(process) => Some(Self { process, port }),
            Err(error) => {
                let missing =
                    format!("{program} cannot be started ({error}): what it would decide was not tested");
                assert!(std::env::var_os("SLUICE_REQUIRE_REDIS").is_none(), "{missing}");
                eprintln!("{missing}");
                None
            }
        }
    }

    pub(crate) fn connection(&self) -> Connection {
        let client = redis::Client::open(format!("redis://127.0.0.1:{}", self.port)).expect("a url");
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
    }
}
