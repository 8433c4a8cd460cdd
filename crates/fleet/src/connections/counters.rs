//! What was done for the connections of a tracker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{FleetConnections, Shared};
use crate::answer::Failure;
use crate::link::{Known, LinkState};

/// What was done for the connections of a tracker that are counted together.
#[derive(Clone, Debug)]
pub struct FleetConnectionsStats {
    /// Whether the server can be asked.
    pub state: LinkState,
    /// The server, without credentials.
    pub server: String,
    /// Its name and version, once it was connected.
    pub version: Option<String>,
    /// What it does when its memory is full, where it says so.
    pub eviction_policy: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Script calls sent.
    pub commands: u64,
    /// Connections to the server made.
    pub connections: u64,
    /// Questions pending now.
    pub pending: usize,
    /// Questions that the server has decided.
    pub decisions: u64,
    /// Questions that `onError` has decided.
    pub local: u64,
    /// Connections of this process that hold a place.
    pub held: u64,
    /// Connections of all processes, when the server was told or asked last.
    pub count: u64,
    /// A recent round trip of a script call.
    pub round_trip: Option<Duration>,
    /// Questions that the server did not decide, by the reason.
    pub failures: [u64; Failure::ALL.len()],
}

/// Each is independent and publishes nothing, so relaxed.
#[derive(Debug, Default)]
pub(super) struct Counters {
    decisions: AtomicU64,
    local: AtomicU64,
    /// Connections of all processes, as the server has said last.
    all: AtomicU64,
    failures: [AtomicU64; Failure::ALL.len()],
}

impl Counters {
    pub(super) fn counted(&self, all: u64) {
        self.all.store(all, Ordering::Relaxed);
    }

    pub(super) fn decided(&self) {
        add(&self.decisions);
    }

    pub(super) fn without_server(&self) {
        add(&self.local);
    }

    pub(super) fn failed(&self, failure: Failure) {
        add(&self.failures[failure as usize]);
    }

    pub(super) fn reset(&self) {
        for counter in [&self.decisions, &self.local].into_iter().chain(&self.failures) {
            counter.store(0, Ordering::Relaxed);
        }
    }
}

impl FleetConnections {
    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> FleetConnectionsStats {
        let Shared { options, book, status, counters, .. } = &*self.0;
        let (held, pending) = {
            let book = book.lock();
            (book.total(), book.pending())
        };
        let Known { version, eviction_policy, last_error, .. } = status.known();
        FleetConnectionsStats {
            state: status.state(),
            server: options.server.to_string(),
            version,
            eviction_policy,
            last_error,
            commands: status.commands(),
            connections: status.connections(),
            pending,
            decisions: read(&counters.decisions),
            local: read(&counters.local),
            held,
            count: read(&counters.all),
            round_trip: status.round_trip(),
            failures: [0, 1, 2, 3, 4, 5].map(|index| read(&counters.failures[index])),
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
