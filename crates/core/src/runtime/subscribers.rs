//! Subscriptions to the events of one instance.

use crate::runtime::ThreadId;
use crate::runtime::mailbox::{Sink, SubscriptionId};
use crate::runtime::sync::Mutex;

/// Subscriptions of all threads. One lock, taken to subscribe and to notify, so every thread sees events in one order.
#[derive(Debug)]
pub(crate) struct Subscribers<E>(Mutex<Vec<Subscriber<E>>>);

#[derive(Debug)]
struct Subscriber<E> {
    sink: Sink<E>,
    subscription: SubscriptionId,
}

impl<E> Default for Subscribers<E> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<E: Clone> Subscribers<E> {
    /// Sends every event from now on to a thread.
    pub(crate) fn add(&self, sink: Sink<E>, subscription: SubscriptionId) {
        self.0.lock().push(Subscriber { sink, subscription });
    }

    /// Ends one subscription of a thread.
    pub(crate) fn remove(&self, thread: ThreadId, subscription: SubscriptionId) {
        self.0.lock().retain(|known| known.sink.thread() != thread || known.subscription != subscription);
    }

    /// Ends every subscription of a thread that ended.
    pub(crate) fn thread_ended(&self, thread: ThreadId) {
        self.0.lock().retain(|subscriber| subscriber.sink.thread() != thread);
    }

    /// Whether nothing listens.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// The instance is destroyed: notifies every subscriber, and keeps none.
    pub(crate) fn end(&self) {
        for Subscriber { sink, subscription } in std::mem::take(&mut *self.0.lock()) {
            sink.destroyed(subscription);
        }
    }

    /// Sends an event to every subscriber.
    pub(crate) fn notify(&self, event: &E) {
        for Subscriber { sink, subscription } in &*self.0.lock() {
            sink.push(*subscription, event.clone());
        }
    }
}
