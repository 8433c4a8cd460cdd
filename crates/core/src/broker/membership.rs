//! How a peer joins, says what it serves, and leaves.

use std::fmt;
use std::sync::Arc;

use super::Broker;
use super::directory::{Directory, PeerInfo};
use super::inbox::{BrokerEvent, InboxItem};
use super::peer::Peer;
use crate::runtime::ThreadId;
use crate::{Error, Result};

/// How a peer joins.
pub struct JoinRequest {
    /// The id to join under. `None`: an id made of the thread's.
    pub id: Option<String>,
    /// The thread of the peer.
    pub thread: ThreadId,
    /// Node's id of that thread.
    pub thread_id: u32,
    /// What other peers can read about it, encoded. Empty: nothing.
    pub metadata: Box<[u8]>,
    /// Wakes the thread. Called from any thread; must neither block nor call back.
    pub wake: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinRequest")
            .field("id", &self.id)
            .field("thread", &self.thread)
            .finish_non_exhaustive()
    }
}

impl Broker {
    /// Joins. Returns the new peer, and those that were there before; [`announce`](Self::announce) notifies them.
    ///
    /// # Errors
    ///
    /// `CLOSED` once the broker was destroyed, `DUPLICATE_ID` if another peer has the id.
    pub fn join(&self, request: JoinRequest) -> Result<(Arc<Peer>, Vec<Arc<Peer>>)> {
        let mut last_number = self.changing.lock();
        self.check_open()?;
        let directory = self.directory.load();
        let id = match request.id {
            Some(id) if directory.with_id(&id).is_some() => return Err(duplicate(id)),
            Some(id) => id,
            None => unused_id(&directory, request.thread_id),
        };
        last_number.0 += 1;
        let info = PeerInfo {
            number: last_number.0,
            id: id.into(),
            thread_id: request.thread_id,
            metadata: request.metadata,
        };
        let peer = Arc::new(Peer::new(info, request.thread, request.wake));
        self.directory.store(Arc::new(directory.with_peer(Arc::clone(&peer))));
        Ok((peer, directory.peers().to_vec()))
    }

    /// Notifies the other peers that `peer` has joined, once: when the peer has registered its first endpoints, or before
    /// the first thing that it sends or refuses. They can find it before; peers that join later know it already.
    pub fn announce(&self, peer: &Peer) {
        if peer.is_announced() {
            return;
        }
        let _changing = self.changing.lock();
        self.announce_locked(peer);
    }

    /// Leaves: nothing reaches the peer any more, its unused reservations are released, the others are notified.
    /// Idempotent.
    pub fn leave(&self, peer: &Peer) {
        let changing = self.changing.lock();
        let directory = self.directory.load();
        if directory.peer(peer.info().number).is_none() {
            return;
        }
        // A peer that leaves was announced before.
        self.announce_locked(peer);
        peer.occupancy.leave();
        peer.inbox.close();
        let rest = directory.without_peer(peer.info().number);
        self.release_reservations(&rest, peer);
        let rest = Arc::new(rest);
        self.directory.store(Arc::clone(&rest));
        // Comes after everything that the peer sent, in every inbox.
        rest.notify(&BrokerEvent::PeerLeft(peer.info().number), None);
        drop(changing);
    }

    /// Leaves for each peer of a thread that ended.
    pub fn thread_ended(&self, thread: ThreadId) {
        let directory = self.directory.load_full();
        for peer in directory.peers().iter().filter(|peer| peer.thread == thread) {
            self.leave(peer);
        }
    }

    /// Adds `peer` to those that serve `endpoint`. Returns the endpoint's number.
    ///
    /// # Errors
    ///
    /// `CLOSED` once the broker was destroyed.
    pub fn serve(&self, peer: &Arc<Peer>, endpoint: &str) -> Result<u32> {
        let _changing = self.changing.lock();
        self.check_open()?;
        let (next, number) = self.directory.load().with_server(peer, endpoint);
        self.directory.store(Arc::new(next));
        Ok(number)
    }

    /// Removes `peer` from those that serve `endpoint`. Requests that have reserved capacity still arrive.
    pub fn withdraw(&self, peer: &Peer, endpoint: &str) {
        let _changing = self.changing.lock();
        let next = self.directory.load().without_server(peer.info().number, Some(endpoint));
        self.directory.store(Arc::new(next));
    }

    /// Stops accepting requests and messages; those that have reserved capacity still arrive. [`Peer::has_finished`] says
    /// when all of them are done.
    pub fn start_leaving(&self, peer: &Peer) {
        let _changing = self.changing.lock();
        peer.occupancy.leave();
        let next = self.directory.load().without_server(peer.info().number, None);
        self.directory.store(Arc::new(next));
    }

    /// Asks a peer to finish its work and leave. Returns false if there is no peer with this id.
    pub fn request_leave(&self, id: &str) -> bool {
        let directory = self.directory.load();
        let peer = directory.with_id(id);
        peer.and_then(|peer| peer.inbox.push(InboxItem::Event(BrokerEvent::LeaveRequested))).is_some()
    }

    /// The caller holds the lock of changes.
    fn announce_locked(&self, peer: &Peer) {
        if peer.set_announced() {
            let event = BrokerEvent::PeerJoined(Arc::clone(peer.info()));
            self.directory.load().notify(&event, Some(peer.info().number));
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.is_destroyed() {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }
}

/// An id made of the thread's. A thread has two peers only where it has loaded the package twice.
fn unused_id(directory: &Directory, thread_id: u32) -> String {
    let first = format!("thread-{thread_id}");
    if directory.with_id(&first).is_none() {
        return first;
    }
    (2_u32..).map(|n| format!("{first}-{n}")).find(|id| directory.with_id(id).is_none()).unwrap_or(first)
}

fn duplicate(id: String) -> Error {
    Error::DuplicateId { what: "peer", id, accepted: "an id that no peer of this broker has" }
}
