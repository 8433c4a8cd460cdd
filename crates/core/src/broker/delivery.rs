//! Putting messages into inboxes.

use std::sync::Arc;

use super::Broker;
use super::inbox::{Batch, InboxItem};
use super::occupancy::{Capacity, Refused};
use super::peer::Peer;

impl Broker {
    /// Delivers messages. Returns how many items are pending before them; `None` if the receiver is gone.
    pub fn deliver(&self, sender: &Peer, receiver: u32, batch: Batch) -> Option<usize> {
        self.announce(sender);
        if batch.capacity != Capacity::default() {
            sender.reservations.lock().use_up(receiver, batch.capacity);
        }
        let directory = self.directory.load();
        let receiver = directory.peer(receiver);
        receiver.and_then(|receiver| receiver.inbox.push(InboxItem::Messages(Arc::new(batch))))
    }

    /// Delivers the messages counted by [`reserve_for_all`](Self::reserve_for_all).
    pub fn deliver_to_all(&self, sender: &Peer, mut batch: Batch) {
        self.announce(sender);
        let Some(broadcast) = sender.reservations.lock().broadcast.take() else { return };
        batch.capacity = Capacity { messages: broadcast.messages, requests: 0 };
        let batch = Arc::new(batch);
        for receiver in broadcast.receivers {
            receiver.inbox.push(InboxItem::Messages(Arc::clone(&batch)));
        }
    }

    /// Delivers one message to every other peer that is not full. Returns how many received it.
    pub fn broadcast(&self, sender: &Peer, batch: Batch) -> u32 {
        self.announce(sender);
        let directory = self.directory.load();
        let batch = Arc::new(Batch { capacity: Capacity::MESSAGE, ..batch });
        let mut delivered = 0;
        for receiver in directory.receivers_of(sender) {
            match receiver.occupancy.reserve(Capacity::MESSAGE, self.inbox()) {
                Ok(()) => {
                    let pushed = receiver.inbox.push(InboxItem::Messages(Arc::clone(&batch)));
                    delivered += u32::from(pushed.is_some());
                }
                Err(Refused::Full) => {
                    self.notify_when_drained(&directory, sender, std::slice::from_ref(&receiver));
                }
                Err(Refused::Leaving) => {}
            }
        }
        delivered
    }
}
