//! One connection, as all threads see it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::options::ConnectionTrackerConfig;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::mailbox::{Sink, SubscriptionId};

/// What a tracker sends to threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// The thread is to close the socket of a connection.
    Close {
        /// Serials are never reused. An id may belong to another connection by the time this is read.
        serial: u64,
        /// Only if nothing was transferred for so many milliseconds.
        if_idle_ms: Option<u64>,
    },
    /// The number of open connections fell to zero.
    Drained,
}

/// What a connection holds elsewhere, such as in a count of several machines: given back when it is dropped.
pub trait HeldElsewhere: fmt::Debug + Send + Sync {}

/// A place that was granted elsewhere.
#[derive(Clone, Debug)]
pub struct Place {
    /// Held until the connection closes.
    pub held: Arc<dyn HeldElsewhere>,
    /// Whether the caps of this process apply: not where those of all machines were applied.
    pub checks_caps: bool,
}

/// How a connection is opened.
#[derive(Clone, Debug)]
pub struct ConnectionOptions<'a> {
    /// The thread that holds it.
    pub thread: ThreadId,
    /// Its id; `None` for one that the tracker makes.
    pub id: Option<&'a str>,
    /// What the user keeps with it, encoded by the binding.
    pub detail: Option<Box<[u8]>>,
    /// Where the thread is asked to close the connection's socket; `None` for a connection without one.
    pub socket: Option<(Sink<ConnectionEvent>, SubscriptionId)>,
    /// Whether limits per client apply. They do not for a proxy, whose connection carries many clients.
    pub check_client: bool,
    /// What was granted elsewhere; `None` where this tracker alone decides.
    pub place: Option<Place>,
}

impl ConnectionOptions<'_> {
    /// A session without a socket, under all limits.
    #[must_use]
    pub fn session(thread: ThreadId) -> Self {
        Self { thread, id: None, detail: None, socket: None, check_client: true, place: None }
    }
}

/// A connection that was opened. It counts until any thread closes it, or its own thread ends.
#[derive(Debug)]
pub struct Connection {
    /// Its number, which is never reused.
    pub serial: u64,
    /// Its id, unique among the open connections of its tracker.
    pub id: Arc<str>,
    /// The client that opened it, under the name it is counted by; `None` for a socket without an address.
    pub client: Option<Arc<str>>,
    /// When it was opened, in UTC milliseconds.
    pub opened_at: u64,
    /// The thread that holds it.
    pub thread: ThreadId,
    /// What the user keeps with it.
    pub detail: Option<Box<[u8]>>,
    counts_for_client: bool,
    /// The client behind a proxy, once it is known; see [`assign`](Self::assign).
    assigned: Mutex<Option<Arc<str>>>,
    socket: Option<(Sink<ConnectionEvent>, SubscriptionId)>,
    /// What it holds elsewhere until it closes.
    held: Mutex<Vec<Arc<dyn HeldElsewhere>>>,
    last_active: AtomicU64,
    usage: Mutex<Usage>,
    closed: AtomicBool,
}

/// Theoretical arrival times of messages and bytes. One lock holds both, so both are charged or neither.
#[derive(Debug, Default)]
struct Usage {
    messages: u64,
    bytes: u64,
}

impl Connection {
    pub(super) fn new(
        serial: u64,
        id: Arc<str>,
        client: Option<Arc<str>>,
        options: ConnectionOptions<'_>,
        (now, utc_ms): (u64, u64),
    ) -> Self {
        Self {
            serial,
            id,
            client,
            opened_at: utc_ms,
            thread: options.thread,
            socket: options.socket,
            detail: options.detail,
            counts_for_client: options.check_client,
            assigned: Mutex::default(),
            held: Mutex::new(options.place.map(|place| place.held).into_iter().collect()),
            last_active: AtomicU64::new(now),
            usage: Mutex::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// The client that it counts for; `None` where limits per client do not apply.
    #[must_use]
    pub fn counted_client(&self) -> Option<Arc<str>> {
        let opener = self.client.as_ref().filter(|_| self.counts_for_client);
        opener.cloned().or_else(|| self.assigned.lock().clone())
    }

    /// The client that it belongs to: the assigned one, else the one that opened it.
    #[must_use]
    pub fn current_client(&self) -> Option<Arc<str>> {
        self.assigned.lock().clone().or_else(|| self.client.clone())
    }

    /// Makes it count for `client` from now on. False when it already counts for a client, or is closed.
    ///
    /// A close sets its flag before it takes this lock. So either it finds the client here and releases it, or this call
    /// sees the flag.
    pub(super) fn assign(&self, client: &Arc<str>) -> bool {
        let mut assigned = self.assigned.lock();
        let is_free = self.is_open() && !self.counts_for_client && assigned.is_none();
        if is_free {
            *assigned = Some(Arc::clone(client));
        }
        is_free
    }

    /// Holds this too until it closes; at once given back where it is closed.
    pub(super) fn hold(&self, held: Arc<dyn HeldElsewhere>) {
        let mut all = self.held.lock();
        // A close sets its flag before it takes this lock.
        if self.is_open() {
            all.push(held);
        }
    }

    /// Gives back what it holds elsewhere.
    pub(super) fn give_back(&self) {
        let held = std::mem::take(&mut *self.held.lock());
        drop(held);
    }

    /// Records that something was transferred.
    pub fn touch(&self, now: u64) {
        // Relaxed: a time to compare; it publishes nothing.
        self.last_active.fetch_max(now, Ordering::Relaxed);
    }

    /// Nanoseconds since something was last transferred.
    pub fn idle_for(&self, now: u64) -> u64 {
        now.saturating_sub(self.last_active.load(Ordering::Relaxed))
    }

    /// A test set the clock back: the connection is idle for as long as before, and its quotas are as full.
    pub(super) fn clock_was_set_back(&self, set_back: SetBack) {
        // Relaxed: as in `touch`.
        let moved = |time| Some(set_back.moved(time));
        let _ = self.last_active.fetch_update(Ordering::Relaxed, Ordering::Relaxed, moved);
        let mut usage = self.usage.lock();
        *usage = Usage { messages: set_back.moved(usage.messages), bytes: set_back.moved(usage.bytes) };
    }

    /// Whether it still counts.
    pub fn is_open(&self) -> bool {
        !self.closed.load(Ordering::Acquire)
    }

    /// True for the one caller that closes it.
    pub(super) fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::AcqRel)
    }

    /// Asks the thread to close the socket. False when there is none, or the thread has ended.
    pub(super) fn ask_thread(&self, if_idle_ms: Option<u64>) -> bool {
        let Some((mailbox, subscription)) = &self.socket else { return false };
        mailbox.push(*subscription, ConnectionEvent::Close { serial: self.serial, if_idle_ms })
    }

    /// Charges one message of so many bytes if both quotas admit it.
    pub(super) fn try_message(&self, config: &ConnectionTrackerConfig, bytes: u64, now: u64) -> bool {
        let mut usage = self.usage.lock();
        let messages = match &config.messages {
            Some(quota) => quota.decide(usage.messages, now, 1).ok(),
            None => Some(usage.messages),
        };
        let bytes = match &config.bytes {
            Some(quota) if bytes > quota.capacity() => None,
            Some(quota) if bytes > 0 => quota.decide(usage.bytes, now, bytes).ok(),
            _ => Some(usage.bytes),
        };
        let (Some(messages), Some(bytes)) = (messages, bytes) else { return false };
        *usage = Usage { messages, bytes };
        true
    }
}
