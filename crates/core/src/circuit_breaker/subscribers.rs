//! Who is told when a circuit changes.

use std::sync::Arc;

use parking_lot::Mutex;

use super::rates::Counts;
use super::state::CircuitState;
use crate::runtime::ThreadId;
use crate::runtime::mailbox::{Item, Mailbox, SubscriptionId};

/// A circuit has another state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CircuitChange {
    /// Whose circuit.
    pub peer: Arc<str>,
    /// Its state before.
    pub from: CircuitState,
    /// Its state now.
    pub to: CircuitState,
    /// Calls that led to it; none when it was changed by hand, or by time.
    pub counts: Counts,
    /// Nanoseconds for which it is open.
    pub open_for: Option<u64>,
}

/// Threads that listen. Changes are told one at a time, so all threads are told of them in one order; a circuit
/// tells of its own under its lock, so that order is the one in which they were made.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    list: Mutex<Vec<(Arc<Mailbox>, SubscriptionId)>>,
}

impl Subscribers {
    pub(super) fn add(&self, mailbox: Arc<Mailbox>, subscription: SubscriptionId) {
        self.list.lock().push((mailbox, subscription));
    }

    pub(super) fn remove(&self, thread: ThreadId, subscription: SubscriptionId) {
        self.list.lock().retain(|(mailbox, known)| mailbox.thread() != thread || *known != subscription);
    }

    pub(super) fn thread_ended(&self, thread: ThreadId) {
        self.list.lock().retain(|(mailbox, _)| mailbox.thread() != thread);
    }

    /// The breaker is destroyed: tells each of them, and keeps none.
    pub(super) fn end(&self) {
        for (mailbox, subscription) in std::mem::take(&mut *self.list.lock()) {
            mailbox.push(subscription, Item::Destroyed);
        }
    }

    pub(super) fn tell(&self, change: &CircuitChange) {
        for (mailbox, subscription) in &*self.list.lock() {
            mailbox.push(*subscription, Item::CircuitChange(change.clone()));
        }
    }
}
