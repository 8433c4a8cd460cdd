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
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use sluice_core::runtime::clock;
use sluice_core::{FailureSink, Reputation};
use tokio::sync::Notify;

use self::changes::Changes;
use self::replica::Own;
use self::script::Names;
use self::sink::SUBSCRIPTION;
use crate::answer::{Answer, Deliveries, Desk, Failure, Ticket};
use crate::link::LinkState;
use crate::server::Server;

/// How long [`FleetBans::close`] waits for changes to be sent.
const LAST_CHANGES: Duration = Duration::from_millis(150);

/// The answer where nothing is shared any more.
const CLOSED: Answer = Answer::Failed(Failure::Away);

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
    closing: AtomicBool,
    /// The thread has ended.
    ended: (Mutex<bool>, Condvar),
    state: AtomicU8,
    awaiting_ready: Mutex<Vec<Ticket>>,
    known: Mutex<Known>,
    connections: AtomicU64,
    bans: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

/// What is known of the server.
#[derive(Default)]
struct Known {
    version: Option<String>,
    last_error: Option<String>,
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
            closing: AtomicBool::new(false),
            ended: (Mutex::new(false), Condvar::new()),
            state: AtomicU8::new(LinkState::Connecting as u8),
            awaiting_ready: Mutex::default(),
            known: Mutex::default(),
            connections: AtomicU64::new(0),
            bans: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            received: AtomicU64::new(0),
        });
        shared.listen();
        let serving = Arc::clone(&shared);
        let spawned =
            std::thread::Builder::new().name("sluice-bans".to_owned()).spawn(move || serve(&serving));
        if let Err(error) = spawned {
            shared.failed(format!("no thread for the connection: {error}"));
            shared.set_state(LinkState::Away);
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
        let mut awaiting = self.0.awaiting_ready.lock();
        // Under the lock: both are set before the list is taken.
        if self.0.is_closing() {
            return Some(CLOSED);
        }
        if self.0.state() == LinkState::Ready {
            return Some(Answer::Ready);
        }
        awaiting.push(ticket);
        None
    }

    /// Nothing awaits the answer any more. False where it was given before.
    pub fn withdraw(&self, desk: &Arc<dyn Desk>, number: u64) -> bool {
        let mut awaiting = self.0.awaiting_ready.lock();
        let is_it = |ticket: &Ticket| ticket.number == number && Arc::ptr_eq(&ticket.desk, desk);
        let place = awaiting.iter().position(is_it);
        place.map(|place| awaiting.swap_remove(place)).is_some()
    }

    /// What was done so far.
    #[must_use]
    pub fn stats(&self) -> FleetBansStats {
        let shared = &self.0;
        let (known, changes) = (shared.known.lock(), shared.changes.lock());
        FleetBansStats {
            state: shared.state(),
            server: shared.server.to_string(),
            version: known.version.clone(),
            last_error: known.last_error.clone(),
            connections: shared.connections.load(Ordering::Relaxed),
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
        shared.reputation.share_failures(None);
        shared.reputation.unsubscribe(sink::THREAD, SUBSCRIPTION);
        shared.closing.store(true, Ordering::Release);
        shared.answer_ready(CLOSED);
        shared.wake.notify_one();
        if shared.state() == LinkState::Ready && shared.changes.lock().pending() > 0 {
            let (ended, has_ended) = &shared.ended;
            let mut ended = ended.lock();
            if !*ended {
                has_ended.wait_for(&mut ended, LAST_CHANGES);
            }
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

    fn state(&self) -> LinkState {
        LinkState::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    fn set_state(&self, state: LinkState) {
        self.state.store(state as u8, Ordering::Release);
        if state == LinkState::Ready {
            self.answer_ready(Answer::Ready);
        }
    }

    /// Answers what awaits the bans of the others.
    fn answer_ready(&self, answer: Answer) {
        let tickets = std::mem::take(&mut *self.awaiting_ready.lock());
        let mut deliveries = Deliveries::default();
        for ticket in tickets {
            deliveries.put(&ticket, answer);
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// What messages of the server change.
    fn own(&self) -> Own<'_> {
        Own { reputation: &self.reputation, changes: &self.changes }
    }

    fn failed(&self, error: String) {
        self.known.lock().last_error = Some(error);
    }
}

fn serve(shared: &Arc<Shared>) {
    // An internal error ends a connection, and never the process.
    while catch_unwind(AssertUnwindSafe(|| connection::run(shared))).is_err() {
        shared.failed("an internal error of the sharing of bans; please report it".to_owned());
        shared.set_state(LinkState::Away);
    }
    let (ended, has_ended) = &shared.ended;
    *ended.lock() = true;
    has_ended.notify_all();
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
