//! One run of an initialiser: the call that leads it, and the calls that wait for it.

use std::collections::VecDeque;

use super::events::HubEvent;
use crate::runtime::ThreadId;
use crate::runtime::mailbox::{Sink, SubscriptionId, is_same};

/// The number of a call that leads or waits. A call leads at most once, so the number also identifies its run.
pub type CallId = u64;

/// Where the events of a call go.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The thread's mailbox.
    pub mailbox: Sink<HubEvent>,
    /// The subscription in the mailbox.
    pub subscription: SubscriptionId,
}

impl Caller {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.subscription == other.subscription && is_same(&self.mailbox, &other.mailbox)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) id: CallId,
    pub(super) caller: Caller,
    /// How long its initialiser may run, in nanoseconds.
    pub(super) timeout: u64,
}

impl Call {
    fn is_of(&self, thread: ThreadId) -> bool {
        self.caller.mailbox.thread() == thread
    }
}

#[derive(Debug)]
pub(super) struct Initialisation {
    leader: Call,
    /// Start of the leader's time.
    since: u64,
    waiters: VecDeque<Call>,
    /// Calls that came after an invalidation. The value being made may be older, so they wait for the next run.
    late: VecDeque<Call>,
    is_invalidated: bool,
    /// The leader's caller no longer needs the result.
    is_detached: bool,
}

/// What a run that ended leaves behind.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) leader: Call,
    pub(super) waiters: Vec<Call>,
    /// The leader of the next run, which the late calls wait for.
    pub(super) next: Option<Call>,
}

impl Initialisation {
    pub(super) fn new(leader: Call, now: u64) -> Self {
        Self {
            leader,
            since: now,
            waiters: VecDeque::new(),
            late: VecDeque::new(),
            is_invalidated: false,
            is_detached: false,
        }
    }

    pub(super) fn leader(&self) -> &Call {
        &self.leader
    }

    pub(super) fn is_led_by(&self, call: CallId) -> bool {
        self.leader.id == call
    }

    /// Whether no call needs the result. Late calls wait for the next run, not for this one.
    pub(super) fn is_abandoned(&self) -> bool {
        self.is_detached && self.waiters.is_empty()
    }

    pub(super) fn is_awaited_by(&self, call: CallId) -> bool {
        self.waiters.iter().chain(&self.late).any(|waiter| waiter.id == call)
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiters.len() + self.late.len()
    }

    pub(super) fn is_invalidated(&self) -> bool {
        self.is_invalidated
    }

    pub(super) fn invalidate(&mut self) {
        self.is_invalidated = true;
    }

    pub(super) fn detach(&mut self) {
        self.is_detached = true;
    }

    pub(super) fn join(&mut self, call: Call) {
        if self.is_invalidated {
            self.late.push_back(call);
        } else {
            self.waiters.push_back(call);
        }
    }

    pub(super) fn leave(&mut self, call: CallId) {
        self.waiters.retain(|waiter| waiter.id != call);
        self.late.retain(|waiter| waiter.id != call);
    }

    pub(super) fn leave_all_of(&mut self, thread: ThreadId) {
        self.waiters.retain(|waiter| !waiter.is_of(thread));
        self.late.retain(|waiter| !waiter.is_of(thread));
    }

    pub(super) fn is_led_from(&self, thread: ThreadId) -> bool {
        self.leader.is_of(thread)
    }

    /// The leader has read the event that made it the leader. Its time begins now.
    pub(super) fn begin(&mut self, now: u64) {
        self.since = now;
    }

    /// When the leader's time is over.
    pub(super) fn until(&self) -> u64 {
        self.since.saturating_add(self.leader.timeout)
    }

    pub(super) fn clock_was_set_back(&mut self, now: u64) {
        self.since = self.since.min(now);
    }

    /// The next run, led by the call that has waited longest and awaited by all others. It begins after every
    /// invalidation. `None` when no call waits.
    pub(super) fn hand_over(self, now: u64) -> Option<Self> {
        let mut calls = self.waiters;
        calls.extend(self.late);
        Self::of(calls, now)
    }

    /// Ends the run for the calls that came before an invalidation. Returns the next run, of the late calls, with it.
    pub(super) fn end(self, now: u64) -> (Ended, Option<Self>) {
        let next = Self::of(self.late, now);
        let next_leader = next.as_ref().map(|run| run.leader.clone());
        (Ended { leader: self.leader, waiters: self.waiters.into(), next: next_leader }, next)
    }

    /// All calls, the leader first.
    pub(super) fn into_calls(self) -> Vec<Call> {
        let rest = self.waiters.into_iter().chain(self.late);
        std::iter::once(self.leader).chain(rest).collect()
    }

    fn of(mut calls: VecDeque<Call>, now: u64) -> Option<Self> {
        let leader = calls.pop_front()?;
        Some(Self { waiters: calls, ..Self::new(leader, now) })
    }
}
