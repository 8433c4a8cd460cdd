//! What is pending for one peer.

use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::directory::PeerInfo;
use super::occupancy::Capacity;

/// How many numbers go with each message. The core does not interpret them.
pub const HEADER_LENGTH: usize = 6;

/// The numbers of one message.
pub type Header = [f64; HEADER_LENGTH];

/// The payload of one message, or of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// One JSON text per message, separated by commas.
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

/// Messages of one sender that travel together. The receivers of a broadcast share one.
#[derive(Debug)]
pub struct Batch {
    /// The numbers of each message.
    pub headers: Box<[Header]>,
    /// Their payloads.
    pub body: Body,
    /// Capacity that these messages hold at each receiver.
    pub(crate) capacity: Capacity,
}

impl Batch {
    /// `messages` of them have reserved capacity, and `requests` of those expect an answer.
    #[must_use]
    pub fn new(headers: Box<[Header]>, body: Body, messages: u32, requests: u32) -> Self {
        Self { headers, body, capacity: Capacity { messages, requests } }
    }

    /// How many messages hold capacity in the inbox until they are taken.
    #[must_use]
    pub fn messages(&self) -> u32 {
        self.capacity.messages
    }
}

/// An event of the broker itself.
#[derive(Clone, Debug)]
pub enum BrokerEvent {
    /// Another peer joined.
    PeerJoined(Arc<PeerInfo>),
    /// Another peer left, or its thread ended. Nothing from it follows.
    PeerLeft(u32),
    /// A peer that refused this one has half of its inbox free again.
    Drained(u32),
    /// Another peer asks this one to finish its work and leave.
    LeaveRequested,
    /// The broker was destroyed.
    Destroyed,
}

/// One entry of an inbox.
#[derive(Clone, Debug)]
pub enum InboxItem {
    /// Messages of a peer.
    Messages(Arc<Batch>),
    /// An event of the broker.
    Event(BrokerEvent),
}

/// First in, first out. The lock is held for one push, or to swap out everything.
pub(crate) struct Inbox {
    state: Mutex<State>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    /// The receiver was woken and has not gone to sleep since.
    is_awake: bool,
    items: Vec<InboxItem>,
}

impl Inbox {
    /// `wake` wakes the receiver. It is called from any thread, and must neither block nor call back.
    pub(crate) fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { state: Mutex::default(), wake }
    }

    /// Returns how many items are pending before this one; `None` if the receiver is gone.
    pub(crate) fn push(&self, item: InboxItem) -> Option<usize> {
        let (before, must_wake) = {
            let mut state = self.state.lock();
            if state.is_closed {
                return None;
            }
            state.items.push(item);
            (state.items.len() - 1, !std::mem::replace(&mut state.is_awake, true))
        };
        if must_wake {
            (self.wake)();
        }
        Some(before)
    }

    /// Swaps everything pending into the empty `items`. If nothing is pending, the receiver stays awake or goes to sleep,
    /// and the next push wakes it. Under load no push wakes.
    pub(crate) fn take(&self, items: &mut Vec<InboxItem>, stays_awake: bool) {
        let mut state = self.state.lock();
        if state.items.is_empty() {
            state.is_awake = stays_awake;
        } else {
            std::mem::swap(&mut state.items, items);
        }
    }

    /// Drops pending messages, not events. Returns the capacity that they held.
    pub(crate) fn drop_messages(&self) -> Capacity {
        let mut freed = Capacity::default();
        let dropped: Vec<_> = {
            let mut state = self.state.lock();
            state.items.extract_if(.., |item| matches!(item, InboxItem::Messages(_))).collect()
        };
        for item in &dropped {
            if let InboxItem::Messages(batch) = item {
                freed.messages += batch.capacity.messages;
                freed.requests += batch.capacity.requests;
            }
        }
        freed
    }

    /// Drops everything pending and refuses more.
    pub(crate) fn close(&self) {
        let dropped = {
            let mut state = self.state.lock();
            state.is_closed = true;
            std::mem::take(&mut state.items)
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
    fn wakes_a_sleeping_receiver_only() {
        let (inbox, wakes) = inbox();
        let mut items = Vec::new();
        for _ in 0..3 {
            assert!(inbox.push(InboxItem::Event(BrokerEvent::LeaveRequested)).is_some());
        }
        inbox.take(&mut items, false);
        assert_eq!((items.len(), wakes.load(Ordering::Relaxed)), (3, 1));

        // The receiver took something, so it looks again without a wake.
        items.clear();
        inbox.push(InboxItem::Event(BrokerEvent::LeaveRequested));
        inbox.take(&mut items, false);
        items.clear();
        inbox.take(&mut items, true);
        inbox.push(InboxItem::Event(BrokerEvent::LeaveRequested));
        assert_eq!(wakes.load(Ordering::Relaxed), 1);

        inbox.take(&mut items, false);
        items.clear();
        inbox.take(&mut items, false);
        inbox.push(InboxItem::Event(BrokerEvent::LeaveRequested));
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn refuses_everything_once_closed() {
        let (inbox, wakes) = inbox();
        inbox.close();
        assert_eq!(inbox.push(InboxItem::Event(BrokerEvent::PeerLeft(1))), None);
        assert_eq!(wakes.load(Ordering::Relaxed), 0);
    }
}
