//! A thread that takes part, and what it has not finished.

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
    /// Tracked work began.
    Begun,
    /// Tracked work ended.
    Done,
}

/// One thread's part in a lifecycle. Only this thread counts; every thread may read.
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

    /// Adds one. Wait-free.
    pub fn count(&self, what: MemberCount) {
        // Relaxed: the member's own thread reads the counts in order; others may read slightly older ones.
        self.counts[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Connections that are open now.
    #[must_use]
    pub fn open(&self) -> u64 {
        self.get(MemberCount::Opened).saturating_sub(self.closed())
    }

    /// Tracked work in progress.
    #[must_use]
    pub fn tasks(&self) -> u64 {
        self.get(MemberCount::Begun).saturating_sub(self.get(MemberCount::Done))
    }

    pub(super) const fn thread_id(&self) -> u32 {
        self.thread_id
    }

    pub(super) fn closed(&self) -> u64 {
        self.get(MemberCount::Closed)
    }

    pub(super) fn thread(&self) -> ThreadId {
        self.mailbox.thread()
    }

    pub(super) fn has_mailbox(&self, mailbox: &Sink<LifecycleEvent>) -> bool {
        is_same(&self.mailbox, mailbox)
    }

    /// Notifies the thread that something of the lifecycle changed.
    pub(super) fn notify(&self) {
        self.mailbox.push(self.subscription, LifecycleEvent::Moved);
    }

    /// The report of a member that has finished.
    pub(super) fn reported(&self, closed_before: u64, end: MemberEnd) -> ThreadReport {
        let MemberEnd { forced, connections_reset, hooks, hooks_took } = end;
        let report = self.unfinished(closed_before, forced);
        ThreadReport { responded: true, connections_reset, hooks, hooks_took, ..report }
    }

    /// The report for a thread that ended: its connections ended with it.
    pub(super) fn ended(&self, closed_before: u64) -> ThreadReport {
        let open = self.open();
        let report = self.unfinished(closed_before, open);
        ThreadReport { responded: true, connections_closed: report.connections_closed + open, ..report }
    }

    /// The report for a member that was given up.
    pub(super) fn silent(&self, closed_before: u64) -> ThreadReport {
        self.unfinished(closed_before, self.open())
    }

    fn unfinished(&self, closed_before: u64, forced: u64) -> ThreadReport {
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
