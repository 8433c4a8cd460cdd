//! Threads that find and call each other: peers, endpoints, and an inbox each.
//!
//! A sender first reserves a place at the receiver, which may refuse, and later delivers what it reserved for,
//! several messages at once. So a refusal is told when the call is made, though messages travel in batches. Replies
//! need no place: a bound that could refuse them would lose calls.

mod directory;
mod inbox;
mod occupancy;
mod peer;
mod sending;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use directory::PeerInfo;
pub use inbox::{Batch, Body, HEADER, Header, News, Parcel};
pub use peer::Peer;
pub use sending::{Reserved, Unreserved};

use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::runtime::memory;
use crate::{Error, Result};
use directory::Directory;
use occupancy::Places;

/// Messages that wait for a peer, and requests that it owes answers, where nothing is said.
pub const DEFAULT_INBOX: u32 = 10_000;

/// How a peer comes in.
pub struct Joining {
    /// The id asked for; without one, the peer gets one made of its thread's.
    pub id: Option<String>,
    /// The thread that holds it.
    pub thread: ThreadId,
    /// Node's id of that thread.
    pub thread_id: u32,
    /// What others may know of it, encoded by whoever reads and writes it.
    pub metadata: Box<[u8]>,
    /// Wakes the thread; must not block or call back.
    pub wake: Box<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Joining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Joining").field("id", &self.id).field("thread", &self.thread).finish_non_exhaustive()
    }
}

/// What goes on, over all peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BrokerStats {
    /// Peers that are there.
    pub peers: u64,
    /// Endpoints that somebody serves.
    pub endpoints: u64,
    /// Messages that were sent and not taken out yet.
    pub waiting: u64,
    /// Requests that were sent and not answered yet.
    pub in_flight: u64,
    /// Messages that their receivers could not decode, since the broker was created.
    pub undecodable: u64,
}

/// Peers that find and call each other by one name.
#[derive(Debug)]
pub struct Broker {
    name: String,
    created_with: OptionList,
    inbox: AtomicU32,
    directory: ArcSwap<Directory>,
    /// Who comes, goes or serves takes turns, so that everybody hears of it in one order.
    changing: Mutex<Changing>,
    /// Numbers of requests.
    sequence: AtomicU64,
    first_since_reset: AtomicU64,
    is_closed: AtomicBool,
    undecodable: AtomicU64,
}

#[derive(Debug, Default)]
struct Changing {
    last_number: u32,
}

impl Broker {
    /// A broker without peers, each of which will take up to `inbox` messages.
    #[must_use]
    pub fn new(name: &str, inbox: u32) -> Self {
        Self {
            name: name.to_owned(),
            created_with: list_options(inbox),
            inbox: AtomicU32::new(inbox),
            directory: ArcSwap::default(),
            changing: Mutex::default(),
            sequence: AtomicU64::new(0),
            first_since_reset: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            undecodable: AtomicU64::new(0),
        }
    }

    /// Messages that each peer takes before it has looked at one.
    #[must_use]
    pub fn inbox(&self) -> u32 {
        // Relaxed: a bound that is compared, nothing more.
        self.inbox.load(Ordering::Relaxed)
    }

    /// Requests with lower numbers were sent before the last reset: their callers wait no more.
    #[must_use]
    pub fn first_since_reset(&self) -> u64 {
        self.first_since_reset.load(Ordering::Acquire)
    }

    /// Takes part from now on. The others come with it; they are told by [`announce`](Self::announce).
    pub fn join(&self, joining: Joining) -> Result<(Arc<Peer>, Vec<Arc<Peer>>)> {
        let mut changing = self.changing.lock();
        self.check_open()?;
        let directory = self.directory.load();
        let id = match joining.id {
            Some(id) if directory.with_id(&id).is_some() => return Err(self.duplicate(id)),
            Some(id) => id,
            None => unused_id(&directory, joining.thread_id),
        };
        changing.last_number += 1;
        let info = PeerInfo {
            number: changing.last_number,
            id: id.into(),
            thread_id: joining.thread_id,
            metadata: joining.metadata,
        };
        let peer = Arc::new(Peer::new(info, joining.thread, joining.wake));
        self.directory.store(Arc::new(directory.with_peer(Arc::clone(&peer))));
        Ok((peer, directory.peers().to_vec()))
    }

    /// Tells the others that a peer is there: once, when it has said what it serves, and before anything it sends. They
    /// find it from its joining on; those that came later know it already.
    pub fn announce(&self, peer: &Peer) {
        if peer.is_announced() {
            return;
        }
        let _changing = self.changing.lock();
        self.announce_once(peer);
    }

    /// For whoever has the turn.
    fn announce_once(&self, peer: &Peer) {
        if peer.set_announced() {
            let news = News::Joined(Arc::clone(peer.info()));
            tell(&self.directory.load(), &news, Some(peer.info().number));
        }
    }

    /// Takes part no longer: nothing reaches it, what it was promised is given back, the others are told. Doing it twice
    /// does it once.
    pub fn leave(&self, peer: &Peer) {
        let changing = self.changing.lock();
        let directory = self.directory.load();
        if directory.peer(peer.info().number).is_none() {
            return;
        }
        // Nobody hears that a peer left of which he did not hear that it came.
        self.announce_once(peer);
        peer.occupancy.leave();
        peer.inbox.close();
        let rest = directory.without_peer(peer.info().number);
        self.give_back(&rest, peer);
        let rest = Arc::new(rest);
        self.directory.store(Arc::clone(&rest));
        // What it sent before stands before this in every inbox.
        tell(&rest, &News::Left(peer.info().number), None);
        drop(changing);
    }

    /// Ends every part of a thread that ended.
    pub fn thread_ended(&self, thread: ThreadId) {
        let directory = self.directory.load_full();
        for peer in directory.peers().iter().filter(|peer| peer.thread == thread) {
            self.leave(peer);
        }
    }

    /// Serves an endpoint from now on; its number.
    pub fn serve(&self, peer: &Arc<Peer>, endpoint: &str) -> Result<u32> {
        let _changing = self.changing.lock();
        self.check_open()?;
        let (next, number) = self.directory.load().with_server(peer, endpoint);
        self.directory.store(Arc::new(next));
        Ok(number)
    }

    /// Serves it no longer. Requests that were promised to the peer still come.
    pub fn withdraw(&self, peer: &Peer, endpoint: &str) {
        let _changing = self.changing.lock();
        let next = self.directory.load().without_server(peer.info().number, Some(endpoint));
        self.directory.store(Arc::new(next));
    }

    /// Takes no more requests and messages; what was promised a place still comes. [`Peer::has_finished`] says when all of it was
    /// answered.
    pub fn begin_to_leave(&self, peer: &Peer) {
        let _changing = self.changing.lock();
        peer.occupancy.leave();
        let next = self.directory.load().without_server(peer.info().number, None);
        self.directory.store(Arc::new(next));
    }

    /// Asks a peer to finish what it does and leave; false when there is no such peer.
    pub fn ask_to_leave(&self, id: &str) -> bool {
        let directory = self.directory.load();
        let asked = directory.with_id(id).and_then(|peer| peer.inbox.push(Parcel::News(News::AskedToLeave)));
        asked.is_some()
    }

    /// Every peer, in the order in which they came.
    #[must_use]
    pub fn peers(&self) -> Vec<Arc<Peer>> {
        self.directory.load().peers().to_vec()
    }

    /// The number of an endpoint that is or was served.
    #[must_use]
    pub fn endpoint(&self, name: &str) -> Option<u32> {
        self.directory.load().endpoint(name)
    }

    /// Endpoints that are served, each with the numbers of its peers.
    #[must_use]
    pub fn endpoints(&self) -> Vec<(Arc<str>, Vec<u32>)> {
        let numbers = |servers: &[Arc<Peer>]| servers.iter().map(|peer| peer.info().number).collect();
        let directory = self.directory.load();
        directory.endpoints().map(|served| (Arc::clone(&served.name), numbers(&served.servers))).collect()
    }

    /// Whether it takes nobody and nothing any more.
    #[must_use]
    pub fn is_destroyed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// What goes on now.
    #[must_use]
    pub fn stats(&self) -> BrokerStats {
        let directory = self.directory.load();
        let mut stats = BrokerStats {
            peers: directory.peers().len() as u64,
            endpoints: directory.endpoints().count() as u64,
            // Relaxed: a count, which orders nothing.
            undecodable: self.undecodable.load(Ordering::Relaxed),
            ..BrokerStats::default()
        };
        for peer in directory.peers() {
            stats.waiting += u64::from(peer.waiting());
            stats.in_flight += u64::from(peer.load());
        }
        stats
    }

    /// Counts a message that its receiver could not decode.
    pub fn count_undecodable(&self) {
        // Relaxed: as in `stats`.
        self.undecodable.fetch_add(1, Ordering::Relaxed);
    }

    /// Gives back the places that a sender has reserved and will not use. Only for a sender that has delivered all its
    /// messages: each place that is still reserved then belongs to a message that failed before it was one.
    pub fn give_back_unused(&self, sender: &Peer) {
        self.give_back(&self.directory.load(), sender);
    }

    /// Gives back what others promised a peer that goes.
    fn give_back(&self, directory: &Directory, peer: &Peer) {
        let (promised, to_all) = peer.promised.lock().take();
        for (receiver, places) in promised {
            if let Some(receiver) = directory.peer(receiver) {
                receiver.occupancy.release(places);
                self.tell_of_room(directory, receiver);
            }
        }
        for receiver in to_all.iter().flat_map(|to_all| &to_all.receivers) {
            let messages = to_all.as_ref().map_or(0, |to_all| to_all.messages);
            receiver.occupancy.release(Places { messages, requests: 0 });
            self.tell_of_room(directory, receiver);
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.is_destroyed() {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }

    fn duplicate(&self, id: String) -> Error {
        Error::DuplicateId { what: "peer", id, accepted: "an id that no peer of this broker has" }
    }
}

impl Instance for Broker {
    const KIND: &'static str = "Broker";
    type Config = u32;

    fn create(name: &str, inbox: u32) -> Self {
        Self::new(name, inbox)
    }

    fn try_create(name: &str, inbox: u32) -> Result<Self> {
        memory::check("Broker inbox", inbox.into(), size_of::<Parcel>() as u64)?;
        Ok(Self::create(name, inbox))
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(inbox: &u32) -> OptionList {
        list_options(*inbox)
    }

    fn reconfigure(&self, _: &str, inbox: u32, _: bool) -> Result<Option<Arc<Self>>> {
        self.inbox.store(inbox, Ordering::Relaxed);
        Ok(None)
    }

    /// Peers stay, with what they serve. Messages that wait are dropped, and their places are free.
    fn reset(&self) {
        let _changing = self.changing.lock();
        self.first_since_reset.store(self.sequence.load(Ordering::Relaxed), Ordering::Release);
        let directory = self.directory.load();
        for peer in directory.peers() {
            peer.occupancy.release(peer.inbox.drop_messages());
            self.tell_of_room(&directory, peer);
        }
    }

    fn close(&self) {
        let _changing = self.changing.lock();
        self.is_closed.store(true, Ordering::Release);
        tell(&self.directory.load(), &News::Destroyed, None);
    }

    fn thread_ended(&self, thread: ThreadId, _: u64) {
        Self::thread_ended(self, thread);
    }

    /// Deadlines are kept by the callers, in time that never goes back.
    fn clock_was_set_back(&self, _: SetBack) {}
}

fn list_options(inbox: u32) -> OptionList {
    vec![("inbox", inbox.to_string())]
}

/// Tells every peer but one.
fn tell(directory: &Directory, news: &News, but: Option<u32>) {
    for peer in directory.peers().iter().filter(|peer| Some(peer.info().number) != but) {
        peer.inbox.push(Parcel::News(news.clone()));
    }
}

/// An id made of the thread's: the thread has a second peer only where it has loaded us twice.
fn unused_id(directory: &Directory, thread_id: u32) -> String {
    let first = format!("thread-{thread_id}");
    if directory.with_id(&first).is_none() {
        return first;
    }
    (2_u32..).map(|n| format!("{first}-{n}")).find(|id| directory.with_id(id).is_none()).unwrap_or(first)
}

#[cfg(test)]
mod tests;
