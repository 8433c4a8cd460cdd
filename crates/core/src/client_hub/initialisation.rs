//! One run of an initialiser: who runs it, and who waits for it.

use std::collections::VecDeque;

use super::news::HubNews;
use crate::runtime::ThreadId;
use crate::runtime::mailbox::{Sink, SubscriptionId, is_same};

/// A call that leads or waits. It leads at most once, so its number also says which run a result is of.
pub type CallId = u64;

/// Whom to tell about a call.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The thread's mailbox.
    pub mailbox: Sink<HubNews>,
    /// Under which number.
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
    /// From when its time counts.
    since: u64,
    waiters: VecDeque<Call>,
    /// Who came after an invalidation: what is being made may be older than that, so they wait for the next run.
    late: VecDeque<Call>,
    is_invalidated: bool,
    /// Nobody in the leader's thread wants what it makes.
    is_detached: bool,
}

/// What a run that has ended leaves behind.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) leader: Call,
    pub(super) waiters: Vec<Call>,
    /// Who leads the run of those who came late.
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

    /// Nobody at all wants what it makes: those who came late wait for the next run.
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

    /// The leader begins: until now it did not know.
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

    /// The run of whoever waits longest, for all who wait: it begins after every invalidation. `None` when nobody does.
    pub(super) fn hand_over(self, now: u64) -> Option<Self> {
        let mut calls = self.waiters;
        calls.extend(self.late);
        Self::of(calls, now)
    }

    /// It came to a value or an error, for those who were there before an invalidation; and the run of the others.
    pub(super) fn end(self, now: u64) -> (Ended, Option<Self>) {
        let next = Self::of(self.late, now);
        let next_leader = next.as_ref().map(|run| run.leader.clone());
        (Ended { leader: self.leader, waiters: self.waiters.into(), next: next_leader }, next)
    }

    /// Everybody, the leader first.
    pub(super) fn into_calls(self) -> Vec<Call> {
        let rest = self.waiters.into_iter().chain(self.late);
        std::iter::once(self.leader).chain(rest).collect()
    }

    fn of(mut calls: VecDeque<Call>, now: u64) -> Option<Self> {
        let leader = calls.pop_front()?;
        Some(Self { waiters: calls, ..Self::new(leader, now) })
    }
}
