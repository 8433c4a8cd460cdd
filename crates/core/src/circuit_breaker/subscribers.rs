//! Who is told when a circuit changes.

use std::sync::Arc;

use parking_lot::Mutex;

use super::circuit::CircuitChange;
use crate::Owner;
use crate::mailbox::{Item, Mailbox, SubscriptionId};

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

    pub(super) fn remove(&self, owner: Owner, subscription: SubscriptionId) {
        self.list.lock().retain(|(mailbox, known)| mailbox.owner() != owner || *known != subscription);
    }

    pub(super) fn release_owner(&self, owner: Owner) {
        self.list.lock().retain(|(mailbox, _)| mailbox.owner() != owner);
    }

    pub(super) fn tell(&self, change: &CircuitChange) {
        for (mailbox, subscription) in &*self.list.lock() {
            mailbox.push(*subscription, Item::CircuitChange(change.clone()));
        }
    }
}
