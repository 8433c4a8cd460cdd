//! What opening and closing a connection costs where processes share the tracker, beside a tracker of one process: `cargo
//! bench --package sluice-machine --bench connections`. Small batches in turn, and the median of each, so that both see the
//! same machine.

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{Write, stdout};
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Instant;

    use sluice_core::{
        ConnectionOptions, ConnectionTracker, ConnectionTrackerConfig, ConnectionTrackerOptions, Opened,
        ThreadId,
    };
    use sluice_machine::{Directory, SharedTracker};

    const BATCHES: usize = 300;
    const CALLS: usize = 1_000;

    pub(super) fn main() {
        for processes in [1, 2, 4, 8] {
            let directory = tempfile::tempdir_in("/dev/shm").expect("a file system in memory");
            let own = ConnectionTracker::new("process", config());
            let shared: Vec<_> = (0..processes).map(|_| attach(directory.path())).collect();
            // Each has some connections of its own, of these clients and of others.
            let clients: Vec<_> = (0..100).map(|client| format!("203.0.113.{client}")).collect();
            let held: Vec<_> = shared.iter().map(|tracker| hold(tracker.tracker(), &clients)).collect();
            let held_by_process = hold(&own, &clients);
            let [process, machine] = in_turn(|side, call| {
                let tracker = if side == 0 { &own } else { &**shared[0].tracker() };
                let connection = open(tracker, &clients[call % clients.len()]).expect("room");
                tracker.forget(&connection);
            });
            print(&format!(
                "{processes} processes, open and close: {process:.0} ns, {machine:.0} ns, x {:.2}",
                machine / process
            ));
            drop((held, held_by_process));
        }
    }

    fn config() -> ConnectionTrackerConfig {
        let options = ConnectionTrackerOptions {
            max: Some(10_000),
            max_per_client: Some(1_000),
            ..ConnectionTrackerOptions::default()
        };
        options.try_into().expect("valid")
    }

    fn attach(path: &Path) -> SharedTracker {
        SharedTracker::open(&Directory::open(path).expect("fit"), "sockets", config()).expect("fit")
    }

    fn hold(tracker: &ConnectionTracker, clients: &[String]) -> Vec<Arc<sluice_core::Connection>> {
        clients.iter().filter_map(|client| open(tracker, client)).collect()
    }

    fn open(tracker: &ConnectionTracker, client: &str) -> Option<Arc<sluice_core::Connection>> {
        let session = ConnectionOptions::session(ThreadId(1));
        match tracker.open(Some(client), session, (0, 0)).expect("open") {
            Opened::Yes(connection) => Some(connection),
            Opened::No(_) => None,
        }
    }

    /// The median of a call's nanoseconds, of each side.
    fn in_turn(mut call: impl FnMut(usize, usize)) -> [f64; 2] {
        let mut times = [vec![], vec![]];
        for batch in 0..BATCHES {
            for (side, times) in times.iter_mut().enumerate() {
                let begun = Instant::now();
                (0..CALLS).for_each(|number| call(side, batch * CALLS + number));
                times.push(begun.elapsed().as_nanos() as f64 / CALLS as f64);
            }
        }
        times.map(|mut times| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        })
    }

    fn print(line: &str) {
        let _ = writeln!(stdout(), "{line}");
    }
}
