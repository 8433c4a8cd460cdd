//! One thread's part in a broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::directory::PeerInfo;
use super::inbox::{Inbox, Parcel};
use super::occupancy::{Occupancy, Places};
use crate::runtime::ThreadId;

/// A thread that takes part.
#[derive(Debug)]
pub struct Peer {
    info: Arc<PeerInfo>,
    pub(crate) thread: ThreadId,
    pub(crate) occupancy: Occupancy,
    pub(crate) inbox: Inbox,
    /// Places that others promised it and that it has not used yet; given back when it leaves.
    pub(crate) promised: Mutex<Promised>,
    /// Whether the others were told of it.
    is_announced: AtomicBool,
    /// Peers that were refused here and want to hear when there is room.
    pub(crate) refused: Mutex<Vec<u32>>,
}

impl Peer {
    pub(crate) fn new(info: PeerInfo, thread: ThreadId, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self {
            info: Arc::new(info),
            thread,
            occupancy: Occupancy::default(),
            inbox: Inbox::new(wake),
            promised: Mutex::default(),
            refused: Mutex::default(),
            is_announced: AtomicBool::new(false),
        }
    }

    /// What others know of it.
    #[must_use]
    pub fn info(&self) -> &Arc<PeerInfo> {
        &self.info
    }

    pub(super) fn is_announced(&self) -> bool {
        // Acquire: whoever sees it set sends after the news, which stand in every inbox by then.
        self.is_announced.load(Ordering::Acquire)
    }

    /// True for the first.
    pub(super) fn set_announced(&self) -> bool {
        !self.is_announced.swap(true, Ordering::AcqRel)
    }

    /// Requests that were sent to it and are not answered.
    #[must_use]
    pub fn load(&self) -> u32 {
        self.occupancy.places().requests
    }

    /// Messages for it that it has not taken out.
    #[must_use]
    pub fn waiting(&self) -> u32 {
        self.occupancy.places().messages
    }

    /// Takes out everything that waits, into the empty `room`, and makes room for more. See [`Inbox::take`].
    pub fn take(&self, room: &mut Vec<Parcel>, stays_awake: bool) {
        self.inbox.take(room, stays_awake);
    }

    /// Nothing is asked of it any more, nor will be.
    #[must_use]
    pub fn has_finished(&self) -> bool {
        self.occupancy.is_leaving() && self.occupancy.places() == Places::default()
    }
}

/// Places promised to one sender, by the receiver's number.
#[derive(Debug, Default)]
pub(crate) struct Promised {
    by_receiver: Vec<(u32, Places)>,
    /// Messages for everybody that are not sent yet.
    pub(crate) to_all: Option<ToAll>,
}

/// Messages for everybody who was there at the first of them, each of whom has a place for each.
#[derive(Debug)]
pub(crate) struct ToAll {
    /// Of the directory.
    pub(crate) version: u64,
    pub(crate) receivers: Vec<Arc<Peer>>,
    pub(crate) messages: u32,
}

impl Promised {
    pub(crate) fn add(&mut self, receiver: u32, places: Places) {
        let held = self.of(receiver);
        held.messages += places.messages;
        held.requests += places.requests;
    }

    /// What is used needs no giving back.
    pub(crate) fn use_up(&mut self, receiver: u32, places: Places) {
        let held = self.of(receiver);
        held.messages = held.messages.saturating_sub(places.messages);
        held.requests = held.requests.saturating_sub(places.requests);
        if *held == Places::default() {
            self.by_receiver.retain(|(number, _)| *number != receiver);
        }
    }

    pub(crate) fn take(&mut self) -> (Vec<(u32, Places)>, Option<ToAll>) {
        (std::mem::take(&mut self.by_receiver), self.to_all.take())
    }

    fn of(&mut self, receiver: u32) -> &mut Places {
        let at = self.by_receiver.iter().position(|(number, _)| *number == receiver).unwrap_or_else(|| {
            self.by_receiver.push((receiver, Places::default()));
            self.by_receiver.len() - 1
        });
        &mut self.by_receiver[at].1
    }
}
