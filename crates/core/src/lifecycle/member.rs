//! A thread that takes part, and what it owes.

use std::sync::atomic::{AtomicU64, Ordering};

use super::report::{MemberEnd, ThreadReport};
use super::state::LifecycleEvent;
use crate::runtime::ThreadId;
use crate::runtime::mailbox::{Sink, SubscriptionId, is_same};

/// What a member counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberCount {
    /// A connection of one of its servers opened.
    Opened,
    /// A connection of one of its servers closed.
    Closed,
    /// Work began that is to be waited for.
    Begun,
    /// Such work ended.
    Done,
}

/// One thread's part in a lifecycle. It alone counts; anybody may read.
#[derive(Debug)]
pub struct Member {
    mailbox: Sink<LifecycleEvent>,
    subscription: SubscriptionId,
    thread_id: u32,
    counts: [AtomicU64; 4],
}

impl Member {
    pub(super) fn new(mailbox: Sink<LifecycleEvent>, subscription: SubscriptionId, thread_id: u32) -> Self {
        Self { mailbox, subscription, thread_id, counts: Default::default() }
    }

    /// One more. Wait-free.
    pub fn count(&self, what: MemberCount) {
        // Relaxed: its own thread reads them in order; others read what was true a moment ago.
        self.counts[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.get(MemberCount::Opened).saturating_sub(self.closed())
    }

    /// Work that goes on now.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.get(MemberCount::Begun).saturating_sub(self.get(MemberCount::Done))
    }

    pub(super) fn closed(&self) -> u64 {
        self.get(MemberCount::Closed)
    }

    pub(super) fn thread(&self) -> ThreadId {
        self.mailbox.thread()
    }

    pub(super) fn is_told_by(&self, mailbox: &Sink<LifecycleEvent>) -> bool {
        is_same(&self.mailbox, mailbox)
    }

    /// It is to look at its lifecycle.
    pub(super) fn tell(&self) {
        self.mailbox.push(self.subscription, LifecycleEvent::Moved);
    }

    /// Of a member that has done what it could.
    pub(super) fn reported(&self, closed_before: u64, end: MemberEnd) -> ThreadReport {
        let MemberEnd { forced, connections_reset, hooks, hooks_took } = end;
        let owed = self.owes(closed_before, forced);
        ThreadReport { responded: true, connections_reset, hooks, hooks_took, ..owed }
    }

    /// Of one that ended: with it ended all it had.
    pub(super) fn ended(&self, closed_before: u64) -> ThreadReport {
        let open = self.open();
        let owed = self.owes(closed_before, open);
        ThreadReport { responded: true, connections_closed: owed.connections_closed + open, ..owed }
    }

    /// Of one that says nothing.
    pub(super) fn silent(&self, closed_before: u64) -> ThreadReport {
        self.owes(closed_before, self.open())
    }

    fn owes(&self, closed_before: u64, forced: u64) -> ThreadReport {
        ThreadReport {
            thread_id: self.thread_id,
            responded: false,
            forced,
            connections_closed: self.closed().saturating_sub(closed_before),
            connections_reset: 0,
            tasks_left: self.tasks(),
            hooks: Vec::new(),
            hooks_took: 0,
        }
    }

    fn get(&self, what: MemberCount) -> u64 {
        self.counts[what as usize].load(Ordering::Relaxed)
    }
}
