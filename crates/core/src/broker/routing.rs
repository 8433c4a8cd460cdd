//! Reserving capacity at the receiver of a message, before it is sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::Guard;

use super::Broker;
use super::directory::Directory;
use super::occupancy::{Capacity, Refused};
use super::peer::Peer;
use super::reservations::BroadcastReservation;

/// The receiver at which capacity for a request was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The receiver's number.
    pub receiver: u32,
    /// The request's number, unique in this broker.
    pub sequence: u64,
}

/// Why no capacity was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendRefusal {
    /// No peer serves the endpoint.
    NoEndpoint,
    /// The receiver, or each peer that serves the endpoint, is full.
    Full,
    /// The receiver has left, is leaving, or never existed.
    Gone,
    /// The broker was destroyed.
    Closed,
}

impl Broker {
    /// Reserves capacity for a request at the least loaded peer that serves an endpoint.
    ///
    /// # Errors
    ///
    /// A [`SendRefusal`]. After [`SendRefusal::Full`] the sender is notified when a receiver has drained.
    pub fn route(&self, sender: &Peer, endpoint: u32) -> Result<Route, SendRefusal> {
        let directory = self.open_directory()?;
        let servers = directory.servers(endpoint);
        // Relaxed: numbers need only be unique.
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let reserved = self.reserve_least_loaded(servers, sequence);
        if reserved == Err(SendRefusal::Full) {
            self.notify_when_drained(&directory, sender, servers);
        }
        // Release: pairs with `stats`, which sees the number of each request that it sees refused.
        let receiver = reserved.inspect_err(|_| {
            self.refused.fetch_add(1, Ordering::Release);
        })?;
        sender.reservations.lock().add(receiver, Capacity::REQUEST);
        Ok(Route { receiver, sequence })
    }

    /// Reserves capacity for a request to one peer.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn route_to(&self, sender: &Peer, receiver: u32) -> Result<Route, SendRefusal> {
        self.reserve(sender, receiver, Capacity::REQUEST)?;
        Ok(Route { receiver, sequence: self.sequence.fetch_add(1, Ordering::Relaxed) })
    }

    /// Reserves capacity for a message to one peer.
    ///
    /// # Errors
    ///
    /// As [`route`](Self::route).
    pub fn reserve_message(&self, sender: &Peer, receiver: u32) -> Result<(), SendRefusal> {
        self.reserve(sender, receiver, Capacity::MESSAGE)
    }

    /// Reserves capacity for a message at every other peer. Returns how many there are; `None` if one of them is full, or
    /// if peers have come or gone since the messages before, which are then delivered first.
    pub fn reserve_for_all(&self, sender: &Peer) -> Option<u32> {
        let directory = self.directory.load();
        let mut reservations = sender.reservations.lock();
        let mut broadcast = reservations.broadcast.take().unwrap_or_else(|| BroadcastReservation {
            version: directory.version,
            receivers: directory.receivers_of(sender),
            messages: 0,
        });
        let is_reserved =
            broadcast.version == directory.version && self.reserve_at_each(&broadcast.receivers);
        broadcast.messages += u32::from(is_reserved);
        let receivers = broadcast.receivers.len();
        if broadcast.messages > 0 && receivers > 0 {
            reservations.broadcast = Some(broadcast);
        }
        if is_reserved { u32::try_from(receivers).ok() } else { None }
    }

    /// Reserves at all receivers or at none.
    fn reserve_at_each(&self, receivers: &[Arc<Peer>]) -> bool {
        let refusing = receivers
            .iter()
            .position(|receiver| receiver.occupancy.reserve(Capacity::MESSAGE, self.inbox()).is_err());
        for reserved in &receivers[..refusing.unwrap_or(0)] {
            // Another sender may have been refused meanwhile: notifies it.
            self.release(reserved, Capacity::MESSAGE);
        }
        refusing.is_none()
    }

    fn reserve(&self, sender: &Peer, receiver: u32, capacity: Capacity) -> Result<(), SendRefusal> {
        let directory = self.open_directory()?;
        let peer = directory.peer(receiver).ok_or(SendRefusal::Gone)?;
        match peer.occupancy.reserve(capacity, self.inbox()) {
            Ok(()) => {
                sender.reservations.lock().add(receiver, capacity);
                Ok(())
            }
            Err(Refused::Leaving) => Err(SendRefusal::Gone),
            Err(Refused::Full) => {
                self.notify_when_drained(&directory, sender, std::slice::from_ref(peer));
                Err(SendRefusal::Full)
            }
        }
    }

    /// Equally loaded peers take turns.
    fn reserve_least_loaded(&self, servers: &[Arc<Peer>], turn: u64) -> Result<u32, SendRefusal> {
        let try_reserve = |peer: &Arc<Peer>| peer.occupancy.reserve(Capacity::REQUEST, self.inbox());
        let in_turn = || {
            let first = turn as usize % servers.len().max(1);
            servers[first..].iter().chain(&servers[..first])
        };
        let least = in_turn().min_by_key(|peer| peer.load()).ok_or(SendRefusal::NoEndpoint)?;
        if try_reserve(least).is_ok() {
            return Ok(least.info().number);
        }
        let mut refused = SendRefusal::NoEndpoint;
        for peer in in_turn() {
            match try_reserve(peer) {
                Ok(()) => return Ok(peer.info().number),
                Err(Refused::Full) => refused = SendRefusal::Full,
                Err(Refused::Leaving) => {}
            }
        }
        Err(refused)
    }

    fn open_directory(&self) -> Result<Guard<Arc<Directory>>, SendRefusal> {
        // Relaxed: a sender that sees it late is notified by `Destroyed`.
        if self.is_closed.load(Ordering::Relaxed) {
            Err(SendRefusal::Closed)
        } else {
            Ok(self.directory.load())
        }
    }
}
