//! What any thread reads of a link: whether the server can be asked, what is known of it, and what was counted. The thread
//! that serves the link writes it.

mod round_trip;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use self::round_trip::RoundTrip;
use super::LinkState;
use super::connection::Connected;
use crate::answer::{Answer, Deliveries, Desk, Failure, Ticket};

/// The answer where the link has ended.
pub(crate) const CLOSED: Answer = Answer::Failed(Failure::Away);

/// The status of a link to a server, and the calls that await its being ready.
#[derive(Debug)]
pub(crate) struct LinkStatus {
    state: AtomicU8,
    is_closing: AtomicBool,
    awaiting_ready: Mutex<Vec<Ticket>>,
    known: Mutex<Known>,
    /// The counters are independent and publish nothing, so relaxed.
    commands: AtomicU64,
    connections: AtomicU64,
    round_trip: RoundTrip,
}

/// What the server has said of itself, and what went wrong last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Known {
    /// Where it was found.
    pub(crate) node: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) eviction_policy: Option<String>,
    pub(crate) last_error: Option<String>,
}

impl LinkStatus {
    pub(crate) fn new(state: LinkState) -> Self {
        Self {
            state: AtomicU8::new(state as u8),
            is_closing: AtomicBool::new(false),
            awaiting_ready: Mutex::default(),
            known: Mutex::default(),
            commands: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            round_trip: RoundTrip::default(),
        }
    }

    /// Acquire, as what the serving thread has done before it set the state is visible with it.
    pub(crate) fn state(&self) -> LinkState {
        LinkState::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    /// Answers the calls that await it where the link becomes ready. Whether it was in another state.
    pub(crate) fn set_state(&self, state: LinkState) -> bool {
        let has_changed = self.state.swap(state as u8, Ordering::AcqRel) != state as u8;
        if has_changed && state == LinkState::Ready {
            self.answer_awaiting(Answer::Ready);
        }
        has_changed
    }

    /// Answers once the server does; at once where it does now, and where the link has ended.
    pub(crate) fn ready(&self, ticket: Ticket) -> Option<Answer> {
        let mut awaiting = self.awaiting_ready.lock();
        // Under the lock: both are set before the list is taken.
        if self.is_closing() {
            return Some(CLOSED);
        }
        if self.state() == LinkState::Ready {
            return Some(Answer::Ready);
        }
        awaiting.push(ticket);
        None
    }

    /// Nothing awaits the answer of [`ready`](Self::ready) any more. False where it was given before.
    pub(crate) fn withdraw(&self, desk: &Arc<dyn Desk>, number: u64) -> bool {
        let mut awaiting = self.awaiting_ready.lock();
        let is_it = |ticket: &Ticket| ticket.number == number && Arc::ptr_eq(&ticket.desk, desk);
        let place = awaiting.iter().position(is_it);
        place.map(|place| awaiting.swap_remove(place)).is_some()
    }

    /// The serving thread is to end. Calls that await its being ready stay pending.
    pub(crate) fn end(&self) -> bool {
        !self.is_closing.swap(true, Ordering::AcqRel)
    }

    /// As [`end`](Self::end), and answers what awaits its being ready. False where it was closed before.
    pub(crate) fn close(&self) -> bool {
        let was_open = self.end();
        self.answer_awaiting(CLOSED);
        was_open
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    pub(crate) fn failed(&self, error: String) {
        self.known.lock().last_error = Some(error);
    }

    /// A connection was made.
    pub(crate) fn connected(&self, connected: &Connected) {
        let mut known = self.known.lock();
        known.node = Some(connected.node.to_string());
        known.version.clone_from(&connected.version);
        known.eviction_policy.clone_from(&connected.eviction_policy);
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A script call is sent.
    pub(crate) fn sent(&self) {
        self.commands.fetch_add(1, Ordering::Relaxed);
    }

    /// A script call was answered after so long.
    pub(crate) fn answered(&self, took: Duration) {
        self.round_trip.add(took);
    }

    pub(crate) fn known(&self) -> Known {
        self.known.lock().clone()
    }

    pub(crate) fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// A recent round trip of a script call.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.get()
    }

    fn answer_awaiting(&self, answer: Answer) {
        let tickets = std::mem::take(&mut *self.awaiting_ready.lock());
        let mut deliveries = Deliveries::default();
        for ticket in tickets {
            deliveries.put(&ticket, answer);
        }
    }
}

#[cfg(test)]
mod tests;
