//! Bans that processes share: a server keeps them, each process has all of them in memory.
//!
//! Verdicts are of the process's own [`Reputation`], so none waits for the server. A change is sent at once, and published to
//! the others by the script that makes it; what was changed without the server is sent when it is back. Failures are
//! counted in the process and, together with those of the others, on the server.
//!
//! Each reputation has a connection and a thread of its own: messages to it hold up no decision of a limiter.

mod changes;
mod connection;
mod replica;
mod script;
mod session;
mod sink;
mod stored;
mod sync;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use sluice_core::runtime::clock;
use sluice_core::{FailureSink, Reputation};
use tokio::sync::Notify;

use self::changes::Changes;
use self::replica::Own;
use self::script::Names;
use self::sink::SUBSCRIPTION;
use crate::answer::{Answer, Desk, Ticket};
use crate::latch::Latch;
use crate::link::{Known, LinkState, LinkStatus};
use crate::server::Server;

/// How long [`FleetBans::close`] waits for changes to be sent.
const LAST_CHANGES: Duration = Duration::from_millis(150);

/// Which bans are shared.
#[derive(Clone, Debug)]
pub struct FleetBansOptions {
    /// The server that keeps them.
    pub server: Server,
    /// What keys begin with.
    pub prefix: String,
}

/// What the sharing of bans has done.
#[derive(Clone, Debug)]
pub struct FleetBansStats {
    /// `Ready` while every ban of the others is known here.
    pub state: LinkState,
    /// The server, without credentials.
    pub server: String,
    /// Its name and version, once it was connected.
    pub version: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// Connections made.
    pub connections: u64,
    /// Bans that the server is known to have.
    pub bans: u64,
    /// Changes of this process that the server has.
    pub sent: u64,
    /// Changes of others that were followed.
    pub received: u64,
    /// Changes that the server does not have yet.
    pub pending: usize,
    /// Changes and failures that were not sent, as too many were pending.
    pub dropped: u64,
}

/// The bans of one reputation, shared by all processes that name the server and the reputation alike.
pub struct FleetBans(Arc<Shared>);

/// What callers and the thread share.
pub(crate) struct Shared {
    reputation: Arc<Reputation>,
    server: Server,
    names: Names,
    changes: Mutex<Changes>,
    wake: Notify,
    /// Ready while every ban of the others is known here.
    status: LinkStatus,
    /// The thread has ended.
    ended: Latch,
    bans: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl FleetBans {
    /// Shares the bans of a reputation from now on. Connects at once.
    #[must_use]
    pub fn start(name: &str, reputation: Arc<Reputation>, options: FleetBansOptions) -> Self {
        let shared = Arc::new(Shared {
            names: Names::new(&options.prefix, name, &options.server),
            reputation,
            server: options.server,
            changes: Mutex::default(),
            wake: Notify::new(),
            status: LinkStatus::new(LinkState::Connecting),
            ended: Latch::default(),
            bans: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        shared.listen();
        let serving = Arc::clone(&shared);
        let spawned =
            std::thread::Builder::new().name("sluice-bans".to_owned()).spawn(move || serve(&serving));
        if let Err(error) = spawned {
            shared.status.failed(format!("no thread for the connection: {error}"));
            shared.status.set_state(LinkState::Away);
        }
        Self(shared)
    }

    /// The reputation whose bans are shared.
    #[must_use]
    pub fn reputation(&self) -> &Arc<Reputation> {
        &self.0.reputation
    }

    /// Answers once all bans of the others are known here; at once where they are. `Failed` where nothing is shared any
    /// more.
    pub fn ready(&self, ticket: Ticket) -> Option<Answer> {
        self.0.status.ready(ticket)
    }

    /// Nothing awaits the answer any more. False where it was given before.
    pub fn withdraw(&self, desk: &Arc<dyn Desk>, number: u64) -> bool {
        self.0.status.withdraw(desk, number)
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> FleetBansStats {
        let shared = &self.0;
        let Known { version, last_error, .. } = shared.status.known();
        let changes = shared.changes.lock();
        FleetBansStats {
            state: shared.status.state(),
            server: shared.server.to_string(),
            version,
            last_error,
            connections: shared.status.connections(),
            bans: shared.bans.load(Ordering::Relaxed),
            sent: shared.sent.load(Ordering::Relaxed),
            received: shared.received.load(Ordering::Relaxed),
            pending: changes.pending(),
            dropped: changes.dropped(),
        }
    }

    /// Shares nothing any more, and sends nothing of what was changed before.
    pub fn forget(&self) {
        *self.0.changes.lock() = Changes::default();
        self.close();
    }

    /// Shares nothing any more. Waits a moment for what was changed just before, where the server answers.
    pub fn close(&self) {
        let shared = &self.0;
        // Once: the reputation may be shared anew since.
        if !shared.status.close() {
            return;
        }
        shared.reputation.share_failures(None);
        shared.reputation.unsubscribe(sink::THREAD, SUBSCRIPTION);
        shared.wake.notify_one();
        if shared.status.state() == LinkState::Ready && shared.changes.lock().pending() > 0 {
            shared.ended.wait(LAST_CHANGES);
        }
    }
}

impl Shared {
    /// Hears of every change of a ban, and of failures.
    fn listen(self: &Arc<Self>) {
        // Fails where the reputation was destroyed meanwhile.
        let _ = self.reputation.subscribe(Arc::clone(self) as _, SUBSCRIPTION, clock::now());
        self.reputation.share_failures(Some(Arc::clone(self) as Arc<dyn FailureSink>));
    }

    /// What messages of the server change.
    fn own(&self) -> Own<'_> {
        Own { reputation: &self.reputation, changes: &self.changes }
    }
}

fn serve(shared: &Arc<Shared>) {
    // An internal error ends a connection, and never the process.
    while catch_unwind(AssertUnwindSafe(|| connection::run(shared))).is_err() {
        shared.status.failed("an internal error of the sharing of bans; please report it".to_owned());
        shared.status.set_state(LinkState::Away);
    }
    shared.ended.set();
}

impl Drop for FleetBans {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for FleetBans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetBans").field("server", &self.server).finish_non_exhaustive()
    }
}
