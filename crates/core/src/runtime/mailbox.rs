//! What one thread tells another: a queue per receiving thread, and a waker.
//!
//! Senders never wait and never run the receiver's code: they leave an item and wake once until the
//! receiver has looked. Events are dropped from the front when nobody looks; commands are not.

use std::collections::HashMap;
use std::fmt;

use parking_lot::Mutex;

use crate::circuit_breaker::CircuitChange;
use crate::client_hub::HubNews;
use crate::lifecycle::LifecycleState;
use crate::runtime::ThreadId;
use crate::security_monitor::Alert;

/// Events that wait for one thread and subscription; then the oldest is dropped and counted.
pub const MOST_WAITING: usize = 1024;

/// Which subscription of a thread an item is for.
pub type SubscriptionId = u32;

/// Something to be told to a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A key of a registry has another value, or none.
    RegistryChange {
        /// The key.
        key: std::sync::Arc<str>,
        /// The registry's version with that change.
        version: u64,
    },
    /// A circuit has another state.
    CircuitChange(CircuitChange),
    /// A connection that this thread serves is to be closed.
    CloseConnection {
        /// Its number, which no other ever has; an id may be another's by the time this is read.
        serial: u64,
        /// Only if nothing was transferred for this many milliseconds.
        if_idle_ms: Option<u64>,
    },
    /// A rule of a security monitor was met.
    SecurityAlert(std::sync::Arc<Alert>),
    /// What has become of calls that wait at a hub.
    Hub(HubNews),
    /// The number of open connections fell to zero.
    Drained,
    /// A lifecycle has another state.
    LifecycleChange {
        /// The state now.
        state: LifecycleState,
    },
    /// Something of a lifecycle changed that a member acts on.
    LifecycleMoved,
    /// The test clock was moved.
    ClockMoved,
    /// An instance uses more memory than before, or less.
    MemoryMoved,
    /// The instance of the subscription was destroyed: nothing more will come.
    Destroyed,
    /// A cluster worker opened a port, or leaves its cluster.
    ListenersChanged,
    /// A test has emptied every instance.
    Reset,
    /// An instance has other options.
    OptionsChanged,
}

impl Item {
    /// Events may be dropped when a thread does not keep up; what keeps a promise may not.
    const fn may_be_dropped(&self) -> bool {
        matches!(
            self,
            Self::RegistryChange { .. }
                | Self::CircuitChange(_)
                | Self::SecurityAlert(_)
                | Self::LifecycleChange { .. }
        )
    }
}

/// What a thread takes out of its mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whom it is for.
    pub subscription: SubscriptionId,
    /// Events of this subscription dropped just before this one.
    pub missed: u64,
    /// What happened.
    pub item: Item,
}

/// The queue of one thread.
pub struct Mailbox {
    thread: ThreadId,
    inbox: Mutex<Inbox>,
    wake: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Inbox {
    closed: bool,
    /// The waker has woken and the thread has not looked since.
    woken: bool,
    deliveries: Vec<Delivery>,
    /// Events waiting, by subscription.
    waiting: HashMap<SubscriptionId, usize>,
}

impl Mailbox {
    /// A mailbox for the thread `thread`. `wake` wakes it, from any thread, and must not block or call back.
    #[must_use]
    pub fn new(thread: ThreadId, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { thread, inbox: Mutex::new(Inbox::default()), wake }
    }

    /// The thread that reads it.
    #[must_use]
    pub fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Leaves an item; false when the thread has ended.
    pub fn push(&self, subscription: SubscriptionId, item: Item) -> bool {
        let must_wake = {
            let mut inbox = self.inbox.lock();
            if inbox.closed {
                return false;
            }
            inbox.add(subscription, item);
            !std::mem::replace(&mut inbox.woken, true)
        };
        if must_wake {
            (self.wake)();
        }
        true
    }

    /// Takes everything that waits, in order. The next `push` wakes again.
    pub fn take(&self) -> Vec<Delivery> {
        let mut inbox = self.inbox.lock();
        inbox.woken = false;
        inbox.waiting.clear();
        std::mem::take(&mut inbox.deliveries)
    }

    /// Drops the events that wait; what keeps a promise stays.
    pub fn drop_events(&self) {
        let dropped: Vec<_> = {
            let mut inbox = self.inbox.lock();
            inbox.waiting.clear();
            inbox.deliveries.extract_if(.., |delivery| delivery.item.may_be_dropped()).collect()
        };
        drop(dropped);
    }

    /// Drops what waits and refuses more: the thread ends.
    pub fn close(&self) {
        let mut inbox = self.inbox.lock();
        inbox.closed = true;
        inbox.deliveries = Vec::new();
    }
}

impl Inbox {
    fn add(&mut self, subscription: SubscriptionId, item: Item) {
        let mut missed = 0;
        if item.may_be_dropped() {
            let waiting = self.waiting.entry(subscription).or_default();
            if *waiting == MOST_WAITING {
                missed = drop_oldest(&mut self.deliveries, subscription);
            } else {
                *waiting += 1;
            }
        }
        self.deliveries.push(Delivery { subscription, missed: 0, item });
        if missed > 0 {
            pass_on(&mut self.deliveries, subscription, missed);
        }
    }
}

/// Drops the oldest event of a subscription; returns how many are missed by that.
fn drop_oldest(deliveries: &mut Vec<Delivery>, subscription: SubscriptionId) -> u64 {
    let oldest = deliveries.iter().position(|d| d.subscription == subscription && d.item.may_be_dropped());
    oldest.map_or(0, |index| deliveries.remove(index).missed + 1)
}

/// Tells the next event of the subscription how many were dropped before it.
fn pass_on(deliveries: &mut [Delivery], subscription: SubscriptionId, missed: u64) {
    if let Some(next) =
        deliveries.iter_mut().find(|d| d.subscription == subscription && d.item.may_be_dropped())
    {
        next.missed += missed;
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("thread", &self.thread).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn change(version: u64) -> Item {
        Item::RegistryChange { key: "k".into(), version }
    }

    fn mailbox() -> (Mailbox, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&wakes);
        let wake = Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        (Mailbox::new(ThreadId(1), wake), wakes)
    }

    #[test]
    fn rings_once_until_the_thread_has_looked() {
        let (mailbox, wakes) = mailbox();
        assert!(mailbox.push(1, change(1)) && mailbox.push(1, change(2)));
        assert_eq!(wakes.load(Ordering::Relaxed), 1);
        assert_eq!(mailbox.take().len(), 2);
        assert!(mailbox.push(1, change(3)));
        assert_eq!(wakes.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn drops_the_oldest_event_and_says_so_on_the_next() {
        let (mailbox, _) = mailbox();
        mailbox.push(2, change(0));
        for version in 0..MOST_WAITING as u64 + 3 {
            mailbox.push(1, change(version));
        }
        let deliveries: Vec<_> = mailbox.take().into_iter().filter(|d| d.subscription == 1).collect();
        assert_eq!(deliveries.len(), MOST_WAITING);
        assert_eq!(deliveries[0], Delivery { subscription: 1, missed: 3, item: change(3) });
        assert!(deliveries[1..].iter().all(|delivery| delivery.missed == 0));
    }

    #[test]
    fn never_drops_a_command() {
        let (mailbox, _) = mailbox();
        for _ in 0..MOST_WAITING * 2 {
            mailbox.push(1, Item::Drained);
        }
        assert_eq!(mailbox.take().len(), MOST_WAITING * 2);
    }

    #[test]
    fn refuses_when_closed() {
        let (mailbox, wakes) = mailbox();
        mailbox.close();
        assert!(!mailbox.push(1, change(1)));
        assert_eq!((wakes.load(Ordering::Relaxed), mailbox.take().len()), (0, 0));
    }
}
