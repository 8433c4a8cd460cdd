//! The link to one server: all pending calls of the process, and the thread that sends them.
//!
//! ```text
//!            ask                          handshake                    two calls overdue
//!  idle ────────────▸ connecting ────────────────────▸ ready ────────────────────────▸ away
//!                       ▴   │ an attempt fails, or          │ cut                      │ ▴
//!                       │   ▾ the first caller gives up     ▾                          │ │
//!                       │  away ◂─────────────────── connecting                        │ │
//!                       └───┴─────────────── an answer, or a connection ◂──────────────┘ │
//!                                            an answer overdue tenfold ends the connection
//! ```
//!
//! While connecting, calls wait for their deadline at most; while away, each is answered at once.

mod connection;
mod settle;
mod thread;
mod work;

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use self::connection::Connected;
use self::work::Work;
use crate::answer::{Answer, Deliveries, Failure, Ticket};
use crate::request::Request;
use crate::server::Server;

/// Calls of the process that one link holds.
const MOST_PENDING: usize = 10_000;

/// Whether the server can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Nothing was asked yet.
    Idle,
    /// A connection is being made; calls wait for it.
    Connecting,
    /// The server answers.
    Ready,
    /// It does not; calls are answered without it.
    Away,
}

impl LinkState {
    const ALL: [Self; 4] = [Self::Idle, Self::Connecting, Self::Ready, Self::Away];
}

/// What a link has done for all limiters of the process that use it.
#[derive(Clone, Debug)]
pub struct LinkStats {
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
    /// Connections made.
    pub connections: u64,
    /// Calls pending now.
    pub pending: usize,
    /// A recent round trip of a script call.
    pub round_trip: Option<Duration>,
}

/// The link to a server. All limiters of the process that name the server with the same account share one; it ends with the
/// last of them.
pub(crate) struct Link {
    shared: Arc<Shared>,
    /// Ends the thread when the last link is dropped.
    _end: Arc<End>,
}

/// What callers and the thread share.
pub(crate) struct Shared {
    server: Server,
    state: AtomicU8,
    /// A word of its own, so that a call that cannot be held takes no lock.
    pending: AtomicUsize,
    started: AtomicBool,
    closing: AtomicBool,
    work: Mutex<Work>,
    wake: Notify,
    awaiting_ready: Mutex<Vec<Ticket>>,
    known: Mutex<Known>,
    commands: AtomicU64,
    connections: AtomicU64,
    /// Nanoseconds, smoothed; 0 before the first.
    round_trip: AtomicU64,
}

/// What the server has said of itself.
#[derive(Default)]
struct Known {
    version: Option<String>,
    eviction_policy: Option<String>,
    last_error: Option<String>,
}

struct End(Arc<Shared>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.closing.store(true, Ordering::Release);
        self.0.wake.notify_one();
    }
}

static LINKS: LazyLock<Mutex<HashMap<Server, Weak<End>>>> = LazyLock::new(Mutex::default);

impl Link {
    /// The link to a server; connects with the first call.
    pub(crate) fn to(server: &Server) -> Self {
        let mut links = LINKS.lock();
        links.retain(|_, end| end.strong_count() > 0);
        let end = links.get(server).and_then(Weak::upgrade).unwrap_or_else(|| {
            let end = Arc::new(End(Arc::new(Shared::new(server.clone()))));
            links.insert(server.clone(), Arc::downgrade(&end));
            end
        });
        Self { shared: Arc::clone(&end.0), _end: end }
    }

    /// Leaves a call for the server; gives it back where it cannot be asked.
    #[expect(clippy::result_large_err, reason = "what is given back is what was given")]
    pub(crate) fn ask(&self, request: Request) -> Result<(), (Request, Failure)> {
        self.shared.ask(request)
    }

    /// Answers once the server does; at once where it does now.
    pub(crate) fn ready(&self, ticket: Ticket) -> Option<Answer> {
        self.shared.start();
        let mut awaiting = self.shared.awaiting_ready.lock();
        // Under the lock: the thread sets the state before it takes the list.
        if self.shared.state() == LinkState::Ready {
            return Some(Answer::Ready);
        }
        awaiting.push(ticket);
        None
    }

    /// Whether calls are answered without the server.
    pub(crate) fn is_away(&self) -> bool {
        self.shared.state() == LinkState::Away
    }

    pub(crate) fn stats(&self) -> LinkStats {
        self.shared.stats()
    }
}

impl Shared {
    fn new(server: Server) -> Self {
        Self {
            server,
            state: AtomicU8::new(LinkState::Idle as u8),
            pending: AtomicUsize::new(0),
            started: AtomicBool::new(false),
            closing: AtomicBool::new(false),
            work: Mutex::new(Work::new()),
            wake: Notify::new(),
            awaiting_ready: Mutex::default(),
            known: Mutex::default(),
            commands: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            round_trip: AtomicU64::new(0),
        }
    }

    #[expect(clippy::result_large_err, reason = "what is given back is what was given")]
    fn ask(self: &Arc<Self>, request: Request) -> Result<(), (Request, Failure)> {
        if self.state() == LinkState::Away {
            return Err((request, Failure::Away));
        }
        // Relaxed: a bound, which publishes nothing.
        if self.pending.fetch_add(1, Ordering::Relaxed) >= MOST_PENDING {
            self.pending.fetch_sub(1, Ordering::Relaxed);
            return Err((request, Failure::Full));
        }
        let must_wake = self.work.lock().add(request);
        if must_wake {
            self.wake.notify_one();
        }
        self.start();
        Ok(())
    }

    fn start(self: &Arc<Self>) {
        if self.started.load(Ordering::Relaxed) || self.started.swap(true, Ordering::AcqRel) {
            return;
        }
        self.set_state(LinkState::Connecting);
        if let Err(error) = thread::start(Arc::clone(self)) {
            self.failed(format!("no thread for the connection: {error}"));
            self.set_state(LinkState::Away);
            self.give_up(Failure::Away);
            self.started.store(false, Ordering::Release);
        }
    }

    pub(crate) fn state(&self) -> LinkState {
        LinkState::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    fn set_state(&self, state: LinkState) {
        let before = self.state.swap(state as u8, Ordering::AcqRel);
        if state == LinkState::Ready && before != state as u8 {
            let mut deliveries = Deliveries::default();
            for ticket in std::mem::take(&mut *self.awaiting_ready.lock()) {
                deliveries.put(&ticket, Answer::Ready);
            }
        }
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn failed(&self, error: String) {
        self.known.lock().last_error = Some(error);
    }

    /// A connection was made.
    fn connected(&self, connected: &Connected) {
        let clock = connected.clock;
        {
            let mut known = self.known.lock();
            known.version.clone_from(&connected.version);
            known.eviction_policy.clone_from(&connected.eviction_policy);
        }
        self.work.lock().connected(clock);
        self.connections.fetch_add(1, Ordering::Relaxed);
        self.set_state(LinkState::Ready);
    }

    /// Answers the calls whose answer was lost with the connection.
    fn give_up_sent(&self) {
        let requests = self.work.lock().take_all_sent();
        self.fail(requests, Failure::Away);
    }

    /// Answers the calls that were not sent.
    fn give_up_queued(&self) {
        let requests = self.work.lock().take_all_queued();
        self.fail(requests, Failure::Away);
    }

    /// Answers every pending call without the server.
    fn give_up(&self, failure: Failure) {
        let requests = self.work.lock().take_all();
        self.fail(requests, failure);
    }

    fn fail(&self, requests: Vec<Request>, failure: Failure) {
        let mut deliveries = Deliveries::default();
        for request in requests {
            self.answer(request, &mut deliveries, |caller, request| {
                caller.limiter.without_server(request, caller.key, failure)
            });
        }
    }

    /// Answers a call with what `answer` makes of it.
    fn answer(
        &self,
        request: Request,
        deliveries: &mut Deliveries,
        answer: impl FnOnce(&crate::request::Caller, &Request) -> Answer,
    ) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
        if let Some(caller) = &request.caller {
            deliveries.put(&caller.ticket, answer(caller, &request));
        }
    }

    fn stats(&self) -> LinkStats {
        let known = self.known.lock();
        let round_trip = self.round_trip.load(Ordering::Relaxed);
        LinkStats {
            state: self.state(),
            server: self.server.to_string(),
            version: known.version.clone(),
            eviction_policy: known.eviction_policy.clone(),
            last_error: known.last_error.clone(),
            commands: self.commands.load(Ordering::Relaxed),
            connections: self.connections.load(Ordering::Relaxed),
            pending: self.pending.load(Ordering::Relaxed),
            round_trip: (round_trip > 0).then(|| Duration::from_nanos(round_trip)),
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("server", &self.shared.server).finish_non_exhaustive()
    }
}
