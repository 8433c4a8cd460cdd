//! What callers are told, and where it is left for them.

use std::fmt;
use std::sync::Arc;

use sluice_core::{Decision, Refusal};

/// Where a decision comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The server, now or at most a second ago.
    Redis,
    /// Units that this process holds, or a refusal of the server that it remembers.
    Lease,
    /// This process's own count, as the server did not answer.
    Local,
    /// Admitted, as the server did not answer.
    Allow,
    /// Refused, as the server did not answer.
    Deny,
}

/// Why the server did not decide a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It did not answer in time.
    Timeout,
    /// It cannot be reached, so nothing is asked.
    Away,
    /// As many calls are pending as the process holds.
    Full,
    /// The call reached it after its deadline, and charged nothing.
    Late,
    /// It answered with an error.
    Refused,
    /// The client's key holds something that this library did not write.
    Foreign,
}

/// The answer to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// What was decided, and by what.
    Decided(Decision, Source),
    /// A connection may open; the place that it holds, by its number.
    Granted(u64, Source),
    /// A connection may not open; `None` where the server did not answer.
    NoPlace(Option<Refusal>, Source),
    /// The operation was done; for a reset, whether there was anything to remove.
    Done(bool),
    /// The server answers.
    Ready,
    /// The operation may not have been done.
    Failed(Failure),
}

/// Where a thread finds the answers to its calls.
pub trait Desk: Send + Sync {
    /// Leaves an answer. The caller rings afterwards.
    fn put(&self, ticket: u64, answer: Answer);
    /// Wakes the thread.
    fn ring(&self);
}

/// A call's place on a desk.
#[derive(Clone)]
pub struct Ticket {
    /// The desk of the thread that called.
    pub desk: Arc<dyn Desk>,
    /// Which of its calls.
    pub number: u64,
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("number", &self.number).finish_non_exhaustive()
    }
}

/// Leaves answers, and rings once for each desk.
#[derive(Default)]
pub(crate) struct Deliveries {
    desks: Vec<Arc<dyn Desk>>,
}

impl Deliveries {
    pub(crate) fn put(&mut self, ticket: &Ticket, answer: Answer) {
        ticket.desk.put(ticket.number, answer);
        if !self.desks.iter().any(|desk| Arc::ptr_eq(desk, &ticket.desk)) {
            self.desks.push(Arc::clone(&ticket.desk));
        }
    }
}

impl Drop for Deliveries {
    fn drop(&mut self) {
        for desk in &self.desks {
            desk.ring();
        }
    }
}
