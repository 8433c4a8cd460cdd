//! Capacity that a sender has reserved and not used yet.

use std::sync::Arc;

use super::occupancy::Capacity;
use super::peer::Peer;

/// The reservations of one sender, by the receiver's number.
#[derive(Debug, Default)]
pub(crate) struct Reservations {
    by_receiver: Vec<(u32, Capacity)>,
    /// Of broadcast messages that are not delivered yet.
    pub(crate) broadcast: Option<BroadcastReservation>,
}

/// Capacity for broadcast messages, at each peer that was there at the first of them.
#[derive(Debug)]
pub(crate) struct BroadcastReservation {
    /// Of the directory.
    pub(crate) version: u64,
    pub(crate) receivers: Vec<Arc<Peer>>,
    /// Reserved at each receiver.
    pub(crate) messages: u32,
}

impl Reservations {
    pub(crate) fn add(&mut self, receiver: u32, capacity: Capacity) {
        let held = self.at(receiver);
        held.messages += capacity.messages;
        held.requests += capacity.requests;
    }

    /// The messages are delivered: their receiver releases the capacity.
    pub(crate) fn use_up(&mut self, receiver: u32, capacity: Capacity) {
        let held = self.at(receiver);
        held.messages = held.messages.saturating_sub(capacity.messages);
        held.requests = held.requests.saturating_sub(capacity.requests);
        if *held == Capacity::default() {
            self.by_receiver.retain(|(number, _)| *number != receiver);
        }
    }

    pub(crate) fn take(&mut self) -> (Vec<(u32, Capacity)>, Option<BroadcastReservation>) {
        (std::mem::take(&mut self.by_receiver), self.broadcast.take())
    }

    fn at(&mut self, receiver: u32) -> &mut Capacity {
        let at = self.by_receiver.iter().position(|(number, _)| *number == receiver).unwrap_or_else(|| {
            self.by_receiver.push((receiver, Capacity::default()));
            self.by_receiver.len() - 1
        });
        &mut self.by_receiver[at].1
    }
}
