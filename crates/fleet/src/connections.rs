//! Connections that processes count together: a server has how many each holds, of each client.
//!
//! The connections themselves are those of the process's own [`ConnectionTracker`]. Before one opens, the server is asked
//! for a place, which it holds until it closes. Whatever closes it, its thread's end too, gives the place back. What a
//! process holds counts for a lease, and is said again three times as often, so that of a process that dies nothing counts.
//!
//! Each tracker has a connection and a thread of its own, and one call out at a time: see `book`.

mod answering;
mod book;
mod counters;
mod place;
mod script;
mod serving;
mod session;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sluice_core::{ConnectionTracker, Error, ThreadId};
use tokio::sync::Notify;

use self::answering::close_all;
use self::book::{Ask, Asked, Book, Holding};
use self::counters::Counters;
pub use self::counters::FleetConnectionsStats;
use self::script::Names;
use crate::answer::{Answer, Desk, Failure, Ticket};
use crate::back_off::BackOff;
use crate::client_name::ClientName;
use crate::latch::Latch;
use crate::limiter::OnError;
use crate::link::{CLOSED, LinkState, LinkStatus};
use crate::server::Server;

/// How long what a process holds counts, unless it says so again.
pub(crate) const LEASE: Duration = Duration::from_secs(30);

/// How long [`FleetConnections::close`] waits for what was given back just before.
const LAST_WORDS: Duration = Duration::from_millis(150);

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
    status: LinkStatus,
    /// The thread has ended.
    ended: Latch,
    counters: Counters,
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
            status: LinkStatus::new(LinkState::Connecting),
            ended: Latch::default(),
            counters: Counters::default(),
        });
        let served = Arc::clone(&shared);
        let spawned =
            std::thread::Builder::new().name("sluice-connect".to_owned()).spawn(move || serve(&served));
        if let Err(error) = spawned {
            shared.status.failed(format!("no thread for the connection: {error}"));
            shared.status.set_state(LinkState::Away);
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
        if shared.status.state() == LinkState::Away && !shared.status.is_closing() {
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
        self.0.status.ready(ticket)
    }

    /// Nothing awaits the answer of [`ready`](Self::ready) any more. False where it was given before.
    pub fn withdraw(&self, desk: &Arc<dyn Desk>, number: u64) -> bool {
        self.0.status.withdraw(desk, number)
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
        if !shared.status.close() {
            return;
        }
        shared.wake.notify_one();
        if shared.status.state() == LinkState::Ready {
            shared.ended.wait(LAST_WORDS);
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
}

fn serve(shared: &Arc<Shared>) {
    let mut back_off = BackOff::default();
    // An internal error ends a connection, and never the process.
    while catch_unwind(AssertUnwindSafe(|| serving::run(shared, &mut back_off))).is_err() {
        shared.status.failed("an internal error of the count of connections; please report it".to_owned());
        shared.is_away();
        let lost = shared.book.lock().lost();
        shared.fail(lost, Failure::Away);
    }
    let dropped = shared.book.lock().close();
    close_all(dropped);
    shared.ended.set();
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
