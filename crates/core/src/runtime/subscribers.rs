//! Who is to be told of the events of one instance.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::runtime::ThreadId;
use crate::runtime::mailbox::{Item, Mailbox, SubscriptionId};

/// Subscriptions of all threads. One lock, taken to subscribe and to tell, so every thread is told in one order.
#[derive(Debug, Default)]
pub(crate) struct Subscribers(Mutex<Vec<Subscriber>>);

#[derive(Debug)]
struct Subscriber {
    mailbox: Arc<Mailbox>,
    subscription: SubscriptionId,
}

impl Subscribers {
    /// Tells a thread of every event from now on.
    pub(crate) fn add(&self, mailbox: Arc<Mailbox>, subscription: SubscriptionId) {
        self.0.lock().push(Subscriber { mailbox, subscription });
    }

    /// Ends one subscription of a thread.
    pub(crate) fn remove(&self, thread: ThreadId, subscription: SubscriptionId) {
        self.0.lock().retain(|s| s.mailbox.thread() != thread || s.subscription != subscription);
    }

    /// Ends every subscription of a thread that ended.
    pub(crate) fn remove_thread(&self, thread: ThreadId) {
        self.0.lock().retain(|subscriber| subscriber.mailbox.thread() != thread);
    }

    /// The instance is destroyed: tells each of them, and keeps none.
    pub(crate) fn end(&self) {
        for Subscriber { mailbox, subscription } in std::mem::take(&mut *self.0.lock()) {
            mailbox.push(subscription, Item::Destroyed);
        }
    }

    /// Leaves an event for each of them.
    pub(crate) fn tell(&self, item: &Item) {
        for Subscriber { mailbox, subscription } in &*self.0.lock() {
            mailbox.push(*subscription, item.clone());
        }
    }
}
