//! Mailboxes: a queue per thread, and what wakes the thread.
//!
//! Senders never block and never run the receiver's code: they push an item and wake the thread, once until it has
//! looked. Events are dropped from the front when a thread does not keep up; commands never are.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::runtime::ThreadId;

/// Pending events per thread and subscription. Beyond that the oldest is dropped and counted.
pub const MOST_PENDING: usize = 1024;

/// Which subscription of a thread an item is for.
pub type SubscriptionId = u32;

/// What a mailbox may hold.
pub trait Queued: Send {
    /// Says that the instance of the subscription was destroyed.
    const DESTROYED: Self;

    /// Events may be dropped when a thread does not keep up. Commands and results of calls may not.
    fn may_be_dropped(&self) -> bool;
}

/// A thread's mailbox as a component sees it: it takes the component's own events.
pub trait EventSink<E>: fmt::Debug + Send + Sync {
    /// The thread that reads it.
    fn thread(&self) -> ThreadId;
    /// Leaves an event; false when the thread has ended.
    fn push(&self, subscription: SubscriptionId, event: E) -> bool;
    /// Says that the instance was destroyed: nothing more comes for the subscription.
    fn destroyed(&self, subscription: SubscriptionId);
}

/// A shared [`EventSink`].
pub type Sink<E> = Arc<dyn EventSink<E>>;

/// Whether both are the same mailbox.
pub(crate) fn is_same<E>(one: &Sink<E>, other: &Sink<E>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(one), Arc::as_ptr(other))
}

/// What a thread takes out of its mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery<I> {
    /// The receiver's subscription.
    pub subscription: SubscriptionId,
    /// Events of this subscription dropped just before this one.
    pub missed: u64,
    /// What happened.
    pub item: I,
}

/// The queue of one thread.
pub struct Mailbox<I> {
    thread: ThreadId,
    inbox: Mutex<Inbox<I>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

struct Inbox<I> {
    closed: bool,
    /// The waker was called and the thread has not looked since.
    woken: bool,
    deliveries: Vec<Delivery<I>>,
    /// Pending events, by subscription.
    pending: HashMap<SubscriptionId, usize>,
}

impl<I: Queued> Mailbox<I> {
    /// A mailbox for the thread `thread`. `wake` wakes it, from any thread, and must not block or call back.
    #[must_use]
    pub fn new(thread: ThreadId, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { thread, inbox: Mutex::new(Inbox::new()), wake }
    }

    /// The thread that reads it.
    #[must_use]
    pub fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Leaves an item; false when the thread has ended.
    pub fn push(&self, subscription: SubscriptionId, item: I) -> bool {
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

    /// Takes everything pending, in order. The next `push` wakes again.
    pub fn take(&self) -> Vec<Delivery<I>> {
        let mut inbox = self.inbox.lock();
        inbox.woken = false;
        inbox.pending.clear();
        std::mem::take(&mut inbox.deliveries)
    }

    /// Drops pending events. Commands stay.
    pub fn drop_events(&self) {
        let dropped: Vec<_> = {
            let mut inbox = self.inbox.lock();
            inbox.pending.clear();
            inbox.deliveries.extract_if(.., |delivery| delivery.item.may_be_dropped()).collect()
        };
        drop(dropped);
    }

    /// Drops everything pending and refuses more: the thread ends.
    pub fn close(&self) {
        let mut inbox = self.inbox.lock();
        inbox.closed = true;
        inbox.deliveries = Vec::new();
    }
}

impl<I: Queued> Inbox<I> {
    fn new() -> Self {
        Self { closed: false, woken: false, deliveries: Vec::new(), pending: HashMap::new() }
    }

    fn add(&mut self, subscription: SubscriptionId, item: I) {
        let mut missed = 0;
        if item.may_be_dropped() {
            let pending = self.pending.entry(subscription).or_default();
            if *pending == MOST_PENDING {
                missed = drop_oldest(&mut self.deliveries, subscription);
            } else {
                *pending += 1;
            }
        }
        self.deliveries.push(Delivery { subscription, missed: 0, item });
        if missed > 0 {
            pass_on(&mut self.deliveries, subscription, missed);
        }
    }
}

/// Drops the oldest event of a subscription; returns how many are missed by that.
fn drop_oldest<I: Queued>(deliveries: &mut Vec<Delivery<I>>, subscription: SubscriptionId) -> u64 {
    let oldest = deliveries.iter().position(|d| d.subscription == subscription && d.item.may_be_dropped());
    oldest.map_or(0, |index| deliveries.remove(index).missed + 1)
}

/// Adds to the next event of the subscription how many were dropped before it.
fn pass_on<I: Queued>(deliveries: &mut [Delivery<I>], subscription: SubscriptionId, missed: u64) {
    if let Some(next) =
        deliveries.iter_mut().find(|d| d.subscription == subscription && d.item.may_be_dropped())
    {
        next.missed += missed;
    }
}

impl<I: Queued + From<E>, E> EventSink<E> for Mailbox<I> {
    fn thread(&self) -> ThreadId {
        self.thread
    }

    fn push(&self, subscription: SubscriptionId, event: E) -> bool {
        Self::push(self, subscription, event.into())
    }

    fn destroyed(&self, subscription: SubscriptionId) {
        Self::push(self, subscription, I::DESTROYED);
    }
}

impl<I> fmt::Debug for Mailbox<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox").field("thread", &self.thread).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Item {
        Event(u64),
        Command,
    }

    impl Queued for Item {
        const DESTROYED: Self = Self::Command;

        fn may_be_dropped(&self) -> bool {
            matches!(self, Self::Event(_))
        }
    }

    fn change(version: u64) -> Item {
        Item::Event(version)
    }

    fn mailbox() -> (Mailbox<Item>, Arc<AtomicUsize>) {
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&wakes);
        let wake = Box::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        });
        (Mailbox::new(ThreadId(1), wake), wakes)
    }

    #[test]
    fn wakes_once_until_the_thread_has_looked() {
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
        for version in 0..MOST_PENDING as u64 + 3 {
            mailbox.push(1, change(version));
        }
        let deliveries: Vec<_> = mailbox.take().into_iter().filter(|d| d.subscription == 1).collect();
        assert_eq!(deliveries.len(), MOST_PENDING);
        assert_eq!(deliveries[0], Delivery { subscription: 1, missed: 3, item: change(3) });
        assert!(deliveries[1..].iter().all(|delivery| delivery.missed == 0));
    }

    #[test]
    fn never_drops_a_command() {
        let (mailbox, _) = mailbox();
        for _ in 0..MOST_PENDING * 2 {
            mailbox.push(1, Item::Command);
        }
        assert_eq!(mailbox.take().len(), MOST_PENDING * 2);
    }

    #[test]
    fn refuses_when_closed() {
        let (mailbox, wakes) = mailbox();
        mailbox.close();
        assert!(!mailbox.push(1, change(1)));
        assert_eq!((wakes.load(Ordering::Relaxed), mailbox.take().len()), (0, 0));
    }
}
