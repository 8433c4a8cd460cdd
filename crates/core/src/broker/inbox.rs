//! What waits for one peer.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::directory::PeerInfo;
use super::occupancy::Places;

/// Numbers that go with each message; what they mean is its readers' and writers' affair.
pub const HEADER: usize = 6;

/// The numbers of one message.
pub type Header = [f64; HEADER];

/// What one message, or several, say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// One JSON text for each message, with commas between.
    Json {
        /// UTF-8.
        text: Vec<u8>,
        /// Whether it is ASCII throughout.
        is_ascii: bool,
    },
    /// The text of one message.
    Text {
        /// UTF-8.
        text: Vec<u8>,
        /// Whether it is ASCII throughout.
        is_ascii: bool,
    },
    /// The bytes of one message.
    Bytes(Vec<u8>),
}

/// Messages of one sender that travel together. Several receivers share one.
#[derive(Debug)]
pub struct Batch {
    /// The numbers of each message.
    pub headers: Box<[Header]>,
    /// What they say.
    pub body: Body,
    /// Places that these messages were promised at each receiver.
    pub(crate) places: Places,
}

impl Batch {
    /// `requests` of its messages ask for an answer, `messages` were promised a place.
    #[must_use]
    pub fn new(headers: Box<[Header]>, body: Body, messages: u32, requests: u32) -> Self {
        Self { headers, body, places: Places { messages, requests } }
    }

    /// Places that they hold in the receiver's inbox until they are taken out.
    #[must_use]
    pub fn messages(&self) -> u32 {
        self.places.messages
    }
}

/// What the broker itself tells a peer.
#[derive(Clone, Debug)]
pub enum News {
    /// Another peer joined.
    Joined(Arc<PeerInfo>),
    /// Another peer left, or its thread ended. Nothing of it comes after this.
    Left(u32),
    /// A peer that had no place has some again.
    Room(u32),
    /// Somebody asks this peer to finish and leave.
    AskedToLeave,
    /// The broker was destroyed.
    Destroyed,
}

/// One thing in an inbox.
#[derive(Clone, Debug)]
pub enum Parcel {
    /// Messages of a peer.
    Messages(Arc<Batch>),
    /// Something of the broker.
    News(News),
}

/// First in, first out. One lock, held for one push or to swap the whole of it.
pub(crate) struct Inbox {
    state: Mutex<State>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    /// The receiver has been woken for and has not said since that it sleeps.
    is_awake: bool,
    parcels: Vec<Parcel>,
}

impl Inbox {
    /// `wake` wakes the receiver, from any thread, and must not block or call back.
    pub(crate) fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { state: Mutex::default(), wake }
    }

    /// How many parcels wait before it; none when the receiver is gone.
    pub(crate) fn push(&self, parcel: Parcel) -> Option<usize> {
        let (before, must_wake) = {
            let mut state = self.state.lock();
            if state.is_closed {
                return None;
            }
            state.parcels.push(parcel);
            (state.parcels.len() - 1, !std::mem::replace(&mut state.is_awake, true))
        };
        if must_wake {
            (self.wake)();
        }
        Some(before)
    }

    /// Takes out everything, into the empty `room`. When there is nothing, the receiver stays awake or sleeps: the next
    /// push then wakes. Under load nobody wakes.
    pub(crate) fn take(&self, room: &mut Vec<Parcel>, stays_awake: bool) {
        let mut state = self.state.lock();
        if state.parcels.is_empty() {
            state.is_awake = stays_awake;
        } else {
            std::mem::swap(&mut state.parcels, room);
        }
    }

    /// Drops the messages that wait, not the news; the places that were reserved for them.
    pub(crate) fn drop_messages(&self) -> Places {
        let mut freed = Places::default();
        let dropped: Vec<_> = {
            let mut state = self.state.lock();
            state.parcels.extract_if(.., |parcel| matches!(parcel, Parcel::Messages(_))).collect()
        };
        for parcel in &dropped {
            if let Parcel::Messages(batch) = parcel {
                freed.messages += batch.places.messages;
                freed.requests += batch.places.requests;
            }
        }
        freed
    }

    /// Drops what waits and refuses more.
    pub(crate) fn close(&self) {
        let dropped = {
            let mut state = self.state.lock();
            state.is_closed = true;
            std::mem::take(&mut state.parcels)
        };
        drop(dropped);
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inbox").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn inbox() -> (Inbox, Arc<AtomicU32>) {
        let wakes = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&wakes);
        let wake = Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        (Inbox::new(wake), wakes)
    }

    #[test]
    fn rings_for_a_sleeper_only() {
        let (inbox, wakes) = inbox();
        let mut room = Vec::new();
        for _ in 0..3 {
            assert!(inbox.push(Parcel::News(News::AskedToLeave)).is_some());
        }
        inbox.take(&mut room, false);
        assert_eq!((room.len(), wakes.load(Ordering::Relaxed)), (3, 1));

        // It took something out, so it looks again: no wake.
        room.clear();
        inbox.push(Parcel::News(News::AskedToLeave));
        inbox.take(&mut room, false);
        room.clear();
        inbox.take(&mut room, true);
        inbox.push(Parcel::News(News::AskedToLeave));
        assert_eq!(wakes.load(Ordering::Relaxed), 1);

        inbox.take(&mut room, false);
        room.clear();
        inbox.take(&mut room, false);
        inbox.push(Parcel::News(News::AskedToLeave));
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn takes_nothing_once_closed() {
        let (inbox, wakes) = inbox();
        inbox.close();
        assert_eq!(inbox.push(Parcel::News(News::Left(1))), None);
        assert_eq!(wakes.load(Ordering::Relaxed), 0);
    }
}
