//! Releasing capacity, and notifying senders that were refused.

use std::sync::Arc;

use super::Broker;
use super::directory::Directory;
use super::inbox::{BrokerEvent, InboxItem};
use super::occupancy::Capacity;
use super::peer::Peer;

impl Broker {
    /// Releases the capacity of messages that a peer took from its inbox.
    pub fn messages_taken(&self, peer: &Peer, messages: u32) {
        if messages > 0 {
            self.release(peer, Capacity { messages, requests: 0 });
        }
    }

    /// Releases the capacity of requests that a peer answered.
    pub fn requests_answered(&self, peer: &Peer, requests: u32) {
        self.release(peer, Capacity { messages: 0, requests });
    }

    /// Releases what a sender has reserved and will not use. The sender must have delivered all its messages: every
    /// remaining reservation then belongs to a message that failed before it was queued.
    pub fn release_unused(&self, sender: &Peer) {
        self.release_reservations(&self.directory.load(), sender);
    }

    pub(super) fn release_reservations(&self, directory: &Directory, sender: &Peer) {
        let (reserved, broadcast) = sender.reservations.lock().take();
        for (receiver, capacity) in reserved {
            if let Some(receiver) = directory.peer(receiver) {
                receiver.occupancy.release(capacity);
                self.notify_drained(directory, receiver);
            }
        }
        let Some(broadcast) = broadcast else { return };
        for receiver in &broadcast.receivers {
            receiver.occupancy.release(Capacity { messages: broadcast.messages, requests: 0 });
            self.notify_drained(directory, receiver);
        }
    }

    pub(super) fn release(&self, peer: &Peer, capacity: Capacity) {
        peer.occupancy.release(capacity);
        self.notify_drained(&self.directory.load(), peer);
    }

    /// Notifies the senders that `peer` refused, once half of its inbox is free.
    pub(super) fn notify_drained(&self, directory: &Directory, peer: &Peer) {
        let mut refused = peer.refused_senders.lock();
        if refused.is_empty() || !self.is_half_free(peer) {
            return;
        }
        let senders = std::mem::take(&mut *refused);
        drop(refused);
        for sender in senders.into_iter().filter_map(|number| directory.peer(number)) {
            sender.inbox.push(InboxItem::Event(BrokerEvent::Drained(peer.info().number)));
        }
    }

    /// Notifies the sender when one of the receivers has drained.
    pub(super) fn notify_when_drained(&self, directory: &Directory, sender: &Peer, receivers: &[Arc<Peer>]) {
        for receiver in receivers {
            // The sender found the receiver by itself, and must know it when it reads that it drained.
            self.announce(receiver);
            let mut refused = receiver.refused_senders.lock();
            if !refused.contains(&sender.info().number) {
                refused.push(sender.info().number);
            }
            drop(refused);
            // The receiver may have drained before the sender was on its list.
            self.notify_drained(directory, receiver);
        }
    }

    fn is_half_free(&self, peer: &Peer) -> bool {
        let Capacity { messages, requests } = peer.occupancy.held();
        messages <= self.inbox() / 2 && requests <= self.inbox() / 2
    }
}
