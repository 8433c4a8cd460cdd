//! Connections that processes count together: a server has how many each holds, of each client.
//!
//! The connections themselves are those of the process's own [`ConnectionTracker`]. Before one opens, the server is asked
//! for a place, which it holds until it closes. Whatever closes it, its thread's end too, gives the place back. What a
//! process holds counts for a lease, and is said again three times as often, so that of a process that dies nothing counts.
//!
//! Each tracker has a connection and a thread of its own, and one call out at a time: see `book`.

mod book;
mod counters;
mod place;
mod script;
mod serving;
mod session;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use sluice_core::{ConnectionTracker, Error, ThreadId};
use tokio::sync::Notify;

use self::book::{Ask, Asked, Book, Holding, Verdict};
use self::counters::Counters;
pub use self::counters::FleetConnectionsStats;
use self::script::Names;
use crate::answer::{Answer, Deliveries, Desk, Failure, Source, Ticket};
use crate::back_off::BackOff;
use crate::client_name::ClientName;
use crate::limiter::OnError;
use crate::link::LinkState;
use crate::server::Server;

/// How long what a process holds counts, unless it says so again.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// How long [`FleetConnections::close`] waits for what was given back just before.
const LAST_WORDS: Duration = Duration::from_millis(150);

/// The answer where nothing is counted together any more.
const CLOSED: Answer = Answer::Failed(Failure::Away);

/// How a tracker counts together with others.
#[derive(Clone, Debug)]
pub struct FleetConnectionsOptions {
    /// The server.
    pub server: Server,
    /// How long a connection waits for it, in milliseconds.
    pub timeout_ms: u64,
    /// What decides where it does not answer.
    pub on_error: OnError,
    /// What keys begin with.
    pub prefix: String,
    /// How long what a process holds counts, unless it says so again; `None` for 30 s.
    pub lease: Option<Duration>,
}

/// A place that is asked for.
#[derive(Clone, Debug)]
pub struct PlaceRequest<'a> {
    /// `None` for a connection that counts for no client.
    pub client: Option<&'a str>,
    /// Whether it counts in total: not where a connection that is open begins to count for its client.
    pub in_total: bool,
    /// The thread that asks.
    pub thread: ThreadId,
}

/// The connections of one tracker, counted by all processes that name the server and the tracker alike.
pub struct FleetConnections(Arc<Shared>);

/// What callers and the thread share.
pub(crate) struct Shared {
    tracker: Arc<ConnectionTracker>,
    options: FleetConnectionsOptions,
    names: Names,
    book: Mutex<Book>,
    wake: Notify,
    closing: AtomicBool,
    /// The thread has ended.
    ended: (Mutex<bool>, Condvar),
    state: AtomicU8,
    awaiting_ready: Mutex<Vec<Ticket>>,
    known: Mutex<Known>,
    counters: Counters,
}

/// What is known of the server.
#[derive(Default)]
struct Known {
    version: Option<String>,
    eviction_policy: Option<String>,
    last_error: Option<String>,
}

impl FleetConnections {
    /// Counts together with others from now on. Connects at once.
    #[must_use]
    pub fn start(name: &str, tracker: Arc<ConnectionTracker>, options: FleetConnectionsOptions) -> Self {
        let shared = Arc::new(Shared {
            names: Names::new(&options.prefix, name),
            tracker,
            options,
            book: Mutex::default(),
            wake: Notify::new(),
            closing: AtomicBool::new(false),
            ended: (Mutex::new(false), Condvar::new()),
            state: AtomicU8::new(LinkState::Connecting as u8),
            awaiting_ready: Mutex::default(),
            known: Mutex::default(),
            counters: Counters::default(),
        });
        let served = Arc::clone(&shared);
        let spawned =
            std::thread::Builder::new().name("sluice-connect".to_owned()).spawn(move || serve(&served));
        if let Err(error) = spawned {
            shared.failed(format!("no thread for the connection: {error}"));
            shared.set_state(LinkState::Away);
        }
        Self(shared)
    }

    /// The tracker of this process.
    #[must_use]
    pub fn tracker(&self) -> &Arc<ConnectionTracker> {
        &self.0.tracker
    }

    /// Asks for a place; answers at once where the server cannot be asked.
    ///
    /// # Errors
    ///
    /// The tracker was destroyed, or the client is not an address.
    pub fn ask(&self, request: &PlaceRequest<'_>, ticket: Ticket) -> Result<Option<Answer>, Error> {
        let shared = &self.0;
        shared.tracker.check_open()?;
        let ask = Ask {
            holding: shared.holding_of(request)?,
            thread: request.thread,
            ticket,
            deadline: Instant::now() + Duration::from_millis(shared.options.timeout_ms),
            tries: 0,
        };
        if shared.state() == LinkState::Away && !shared.is_closing() {
            return Ok(Some(shared.without_server(&ask, Failure::Away)));
        }
        let asked = shared.book.lock().ask(ask.clone());
        Ok(match asked {
            Asked::Pending => {
                shared.wake.notify_one();
                None
            }
            Asked::Full => Some(shared.without_server(&ask, Failure::Full)),
            Asked::Closed => Some(CLOSED),
        })
    }

    /// A place without asking, which the server is told of: for a connection that is open already. By its number; none where
    /// nothing is counted together any more.
    ///
    /// # Errors
    ///
    /// The tracker was destroyed, or the client is not an address.
    pub fn take(&self, request: &PlaceRequest<'_>) -> Result<Option<u64>, Error> {
        let shared = &self.0;
        shared.tracker.check_open()?;
        let holding = shared.holding_of(request)?;
        let place = shared.book.lock().hold_without_server(holding, request.thread);
        shared.wake.notify_one();
        Ok(place)
    }

    /// Answers once the server does; at once where it does now.
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

    /// Nothing awaits the answer of [`ready`](Self::ready) any more. False where it was given before.
    pub fn withdraw(&self, desk: &Arc<dyn Desk>, number: u64) -> bool {
        let mut awaiting = self.0.awaiting_ready.lock();
        let is_it = |ticket: &Ticket| ticket.number == number && Arc::ptr_eq(&ticket.desk, desk);
        let place = awaiting.iter().position(is_it);
        place.map(|place| awaiting.swap_remove(place)).is_some()
    }

    /// A thread has ended: what it asked for and did not take goes back.
    pub fn thread_ended(&self, thread: ThreadId) {
        self.0.book.lock().thread_ended(thread);
        self.0.wake.notify_one();
    }

    /// A test empties everything: what was asked for and not taken goes back.
    pub fn reset(&self) {
        self.0.book.lock().forget_asks();
        self.0.counters.reset();
        self.0.wake.notify_one();
    }

    /// Counts nothing together any more. Waits a moment for the server to learn that this process holds nothing.
    pub fn close(&self) {
        let shared = &self.0;
        // Before the thread may see that it closes: what is given back here is what it says last.
        let asks = shared.book.lock().finish();
        close_all(asks);
        if shared.closing.swap(true, Ordering::AcqRel) {
            return;
        }
        shared.answer_ready(CLOSED);
        shared.wake.notify_one();
        if shared.state() == LinkState::Ready {
            let (ended, has_ended) = &shared.ended;
            let mut ended = ended.lock();
            if !*ended {
                has_ended.wait_for(&mut ended, LAST_WORDS);
            }
        }
    }
}

impl Shared {
    fn lease(&self) -> Duration {
        self.options.lease.unwrap_or(LEASE)
    }

    /// What a place holds, under the names that its client has on the server.
    fn holding_of(&self, request: &PlaceRequest<'_>) -> Result<Holding, Error> {
        let client = request.client.map(|client| self.tracker.name_of(client)).transpose()?;
        let client = client.map(|client| ClientName::of_text(&client));
        Ok(Holding { client, in_total: request.in_total })
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

    fn failed(&self, error: String) {
        self.known.lock().last_error = Some(error);
    }

    /// The server does not answer: nothing waits for it any more.
    fn is_away(&self) {
        self.set_state(LinkState::Away);
        let waiting = self.book.lock().take_waiting();
        self.fail(waiting, Failure::Away);
    }

    /// Answers questions that the server has not decided.
    fn fail(&self, asks: Vec<Ask>, failure: Failure) {
        let mut deliveries = Deliveries::default();
        for ask in asks {
            let answer = self.without_server(&ask, failure);
            deliveries.put(&ask.ticket, answer);
        }
    }

    /// What `onError` decides.
    fn without_server(&self, ask: &Ask, failure: Failure) -> Answer {
        self.counters.failed(failure);
        self.counters.without_server();
        let source = match self.options.on_error {
            OnError::Local => Source::Local,
            OnError::Allow => Source::Allow,
            OnError::Deny => return Answer::NoPlace(None, Source::Deny),
        };
        let place = self.book.lock().hold_without_server(ask.holding.clone(), ask.thread);
        self.wake.notify_one();
        place.map_or(CLOSED, |place| Answer::Granted(place, source))
    }

    /// What the server has decided.
    fn decide(&self, settled: Vec<(Ask, Verdict)>) {
        let mut deliveries = Deliveries::default();
        for (ask, verdict) in settled {
            let answer = match verdict {
                Verdict::Granted(place) => Answer::Granted(place, Source::Redis),
                Verdict::Refused(refusal) => {
                    self.tracker.refused(refusal);
                    Answer::NoPlace(Some(refusal), Source::Redis)
                }
                Verdict::Foreign => self.without_server(&ask, Failure::Foreign),
            };
            if verdict != Verdict::Foreign {
                self.counters.decided();
            }
            deliveries.put(&ask.ticket, answer);
        }
    }
}

fn serve(shared: &Arc<Shared>) {
    let mut back_off = BackOff::default();
    // An internal error ends a connection, and never the process.
    while catch_unwind(AssertUnwindSafe(|| serving::run(shared, &mut back_off))).is_err() {
        shared.failed("an internal error of the count of connections; please report it".to_owned());
        shared.is_away();
        let lost = shared.book.lock().lost();
        shared.fail(lost, Failure::Away);
    }
    let dropped = shared.book.lock().close();
    close_all(dropped);
    let (ended, has_ended) = &shared.ended;
    *ended.lock() = true;
    has_ended.notify_all();
}

/// Answers questions where nothing is counted together any more.
fn close_all(asks: Vec<Ask>) {
    let mut deliveries = Deliveries::default();
    for ask in asks {
        deliveries.put(&ask.ticket, CLOSED);
    }
}

impl Drop for FleetConnections {
    fn drop(&mut self) {
        self.close();
    }
}

impl fmt::Debug for FleetConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetConnections").field("tracker", &self.tracker).finish_non_exhaustive()
    }
}
