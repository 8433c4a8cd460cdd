//! From a sender's decision to the receiver's inbox.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::Guard;

use super::Broker;
use super::directory::Directory;
use super::inbox::{Batch, News, Parcel};
use super::occupancy::{Places, Refused};
use super::peer::{Peer, ToAll};

/// A request may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserved {
    /// The receiver's number.
    pub receiver: u32,
    /// The request's number, which no other request of this broker has.
    pub sequence: u64,
}

/// A message may not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreserved {
    /// Nobody serves the endpoint.
    NoEndpoint,
    /// The receiver, or each that serves the endpoint, has no place left.
    Full,
    /// The receiver has left, is about to, or never was.
    Gone,
    /// The broker was destroyed.
    Closed,
}

impl Broker {
    /// Reserves for a request at the least loaded peer that serves an endpoint.
    pub fn route(&self, sender: &Peer, endpoint: u32) -> Result<Reserved, Unreserved> {
        let directory = self.open_directory()?;
        let servers = directory.servers(endpoint);
        // Relaxed: numbers need only differ.
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let reserved = self.reserve_least_loaded(servers, sequence);
        if reserved == Err(Unreserved::Full) {
            self.want_room(&directory, sender, servers);
        }
        let receiver = reserved?;
        sender.promised.lock().add(receiver, Places::REQUEST);
        Ok(Reserved { receiver, sequence })
    }

    /// Reserves for a request to a certain peer.
    pub fn route_to(&self, sender: &Peer, receiver: u32) -> Result<Reserved, Unreserved> {
        self.reserve(sender, receiver, Places::REQUEST)?;
        Ok(Reserved { receiver, sequence: self.sequence.fetch_add(1, Ordering::Relaxed) })
    }

    /// Reserves for a message to a certain peer.
    pub fn reserve_message(&self, sender: &Peer, receiver: u32) -> Result<(), Unreserved> {
        self.reserve(sender, receiver, Places::MESSAGE)
    }

    /// Reserves for a message to every other peer, of which there are so many; `None` when one of them has no place, or
    /// others are there than for the messages before, which are to be delivered first.
    pub fn reserve_for_all(&self, sender: &Peer) -> Option<u32> {
        let directory = self.directory.load();
        let mut promised = sender.promised.lock();
        let mut to_all = promised.to_all.take().unwrap_or_else(|| ToAll {
            version: directory.version,
            receivers: others(&directory, sender),
            messages: 0,
        });
        let has_places = to_all.version == directory.version && self.reserve_at_each(&to_all.receivers);
        to_all.messages += u32::from(has_places);
        let receivers = to_all.receivers.len();
        if to_all.messages > 0 && receivers > 0 {
            promised.to_all = Some(to_all);
        }
        if has_places { u32::try_from(receivers).ok() } else { None }
    }

    /// One place at each of them, or none at any.
    fn reserve_at_each(&self, receivers: &[Arc<Peer>]) -> bool {
        let refusing = receivers
            .iter()
            .position(|receiver| receiver.occupancy.reserve(Places::MESSAGE, self.inbox()).is_err());
        for reserved in &receivers[..refusing.unwrap_or(0)] {
            // Somebody may have been refused meanwhile.
            self.release(reserved, Places::MESSAGE);
        }
        refusing.is_none()
    }

    /// Delivers what was reserved for; how much waits before it there, or none when the receiver is gone. Replies and
    /// the like need not be reserved for.
    pub fn deliver(&self, sender: &Peer, receiver: u32, batch: Batch) -> Option<usize> {
        self.announce(sender);
        if batch.places != Places::default() {
            sender.promised.lock().use_up(receiver, batch.places);
        }
        let directory = self.directory.load();
        let receiver = directory.peer(receiver);
        receiver.and_then(|receiver| receiver.inbox.push(Parcel::Messages(Arc::new(batch))))
    }

    /// Delivers the messages that [`reserve_for_all`](Self::reserve_for_all) has counted.
    pub fn deliver_to_all(&self, sender: &Peer, mut batch: Batch) {
        self.announce(sender);
        let Some(to_all) = sender.promised.lock().to_all.take() else { return };
        batch.places = Places { messages: to_all.messages, requests: 0 };
        let batch = Arc::new(batch);
        for receiver in to_all.receivers {
            receiver.inbox.push(Parcel::Messages(Arc::clone(&batch)));
        }
    }

    /// Delivers one message to every other peer that has a place for it; how many have.
    pub fn broadcast(&self, sender: &Peer, batch: Batch) -> u32 {
        self.announce(sender);
        let directory = self.directory.load();
        let batch = Arc::new(Batch { places: Places::MESSAGE, ..batch });
        let mut delivered = 0;
        for receiver in others(&directory, sender) {
            match receiver.occupancy.reserve(Places::MESSAGE, self.inbox()) {
                Ok(()) => {
                    let pushed = receiver.inbox.push(Parcel::Messages(Arc::clone(&batch)));
                    delivered += u32::from(pushed.is_some());
                }
                Err(Refused::Full) => self.want_room(&directory, sender, std::slice::from_ref(&receiver)),
                Err(Refused::Leaving) => {}
            }
        }
        delivered
    }

    /// A peer has taken out batches with so many messages.
    pub fn taken_out(&self, peer: &Peer, messages: u32) {
        if messages > 0 {
            self.release(peer, Places { messages, requests: 0 });
        }
    }

    /// A peer owes so many answers less.
    pub fn answered(&self, peer: &Peer, requests: u32) {
        self.release(peer, Places { messages: 0, requests });
    }

    fn open_directory(&self) -> Result<Guard<Arc<Directory>>, Unreserved> {
        // Relaxed: whoever must know at once is told by the broker's news.
        if self.is_closed.load(Ordering::Relaxed) {
            Err(Unreserved::Closed)
        } else {
            Ok(self.directory.load())
        }
    }

    fn release(&self, peer: &Peer, places: Places) {
        peer.occupancy.release(places);
        self.tell_of_room(&self.directory.load(), peer);
    }

    /// Tells those that were refused at a peer, once it has half of its room again.
    pub(super) fn tell_of_room(&self, directory: &Directory, peer: &Peer) {
        let mut refused = peer.refused.lock();
        if refused.is_empty() || !self.has_room(peer) {
            return;
        }
        let told = std::mem::take(&mut *refused);
        drop(refused);
        for sender in told.into_iter().filter_map(|number| directory.peer(number)) {
            sender.inbox.push(Parcel::News(News::Room(peer.info().number)));
        }
    }

    /// The sender hears when one of these has room again.
    fn want_room(&self, directory: &Directory, sender: &Peer, receivers: &[Arc<Peer>]) {
        for receiver in receivers {
            let mut refused = receiver.refused.lock();
            if !refused.contains(&sender.info().number) {
                refused.push(sender.info().number);
            }
            drop(refused);
            // It may have made room before it could see who waits for that.
            self.tell_of_room(directory, receiver);
        }
    }

    fn has_room(&self, peer: &Peer) -> bool {
        let Places { messages, requests } = peer.occupancy.places();
        messages <= self.inbox() / 2 && requests <= self.inbox() / 2
    }

    fn reserve(&self, sender: &Peer, receiver: u32, places: Places) -> Result<(), Unreserved> {
        let directory = self.open_directory()?;
        let peer = directory.peer(receiver).ok_or(Unreserved::Gone)?;
        match peer.occupancy.reserve(places, self.inbox()) {
            Ok(()) => {
                sender.promised.lock().add(receiver, places);
                Ok(())
            }
            Err(Refused::Leaving) => Err(Unreserved::Gone),
            Err(Refused::Full) => {
                self.want_room(&directory, sender, std::slice::from_ref(peer));
                Err(Unreserved::Full)
            }
        }
    }

    /// Among equals the turn goes round.
    fn reserve_least_loaded(&self, servers: &[Arc<Peer>], turn: u64) -> Result<u32, Unreserved> {
        let try_reserve = |peer: &Arc<Peer>| peer.occupancy.reserve(Places::REQUEST, self.inbox());
        let in_turn = || {
            let first = turn as usize % servers.len().max(1);
            servers[first..].iter().chain(&servers[..first])
        };
        let least = in_turn().min_by_key(|peer| peer.load()).ok_or(Unreserved::NoEndpoint)?;
        if try_reserve(least).is_ok() {
            return Ok(least.info().number);
        }
        let mut refused = Unreserved::NoEndpoint;
        for peer in in_turn() {
            match try_reserve(peer) {
                Ok(()) => return Ok(peer.info().number),
                Err(Refused::Full) => refused = Unreserved::Full,
                Err(Refused::Leaving) => {}
            }
        }
        Err(refused)
    }
}

/// Everybody else who takes messages.
fn others(directory: &Directory, sender: &Peer) -> Vec<Arc<Peer>> {
    let takes =
        |peer: &&Arc<Peer>| peer.info().number != sender.info().number && !peer.occupancy.is_leaving();
    directory.peers().iter().filter(takes).cloned().collect()
}
