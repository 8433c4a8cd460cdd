//! A shutdown that goes on: until when, and whose report is still awaited.

use std::sync::Arc;

use super::member::Member;
use super::report::{MemberEnd, ShutdownReport, ThreadReport};
use crate::runtime::ThreadId;
use crate::runtime::clock::{MS, SetBack};

/// What a shutdown has, without another wish.
const DEFAULT_TIMEOUT: u64 = 10_000 * MS;

/// What the hooks after the drain have together, without another wish.
const DEFAULT_HOOKS_TIMEOUT: u64 = 5_000 * MS;

/// What who calls for a shutdown wants. Times are in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct ShutdownRequest {
    /// Why.
    pub reason: Option<String>,
    /// How long servers go on as before.
    pub delay: u64,
    /// How long after that threads may take; ten seconds by default.
    pub timeout: Option<u64>,
    /// How long the hooks after that may take together; five seconds by default.
    pub hooks_timeout: Option<u64>,
}

/// Times of the clock, and the reason for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownTimes {
    /// Servers close then.
    pub closes_at: u64,
    /// What is left then is ended.
    pub deadline: u64,
    /// How long the hooks of a thread may take from its end of the drain on.
    pub hooks_timeout: u64,
    /// When the first thread that has not reported is late; none when all have.
    pub late_at: Option<u64>,
    /// As its first caller said.
    pub reason: Option<String>,
}

#[derive(Debug)]
pub(super) struct Shutdown {
    began_at: u64,
    /// How long it took before the clock was set back.
    took_before: u64,
    closes_at: u64,
    deadline: u64,
    hooks_timeout: u64,
    reason: Option<String>,
    parts: Vec<Part>,
    took: Option<u64>,
}

/// What one member owes.
#[derive(Debug)]
struct Part {
    member: Arc<Member>,
    closed_before: u64,
    /// When its hooks began that run after the drain.
    drained_at: Option<u64>,
    report: Option<ThreadReport>,
}

impl Part {
    /// A member is late after the deadline, or after the time of its hooks where they have begun.
    fn late_at(&self, deadline: u64, hooks_timeout: u64) -> u64 {
        self.drained_at.map_or(deadline, |at| at.saturating_add(hooks_timeout))
    }
}

impl Shutdown {
    pub(super) fn begin(request: ShutdownRequest, members: &[Arc<Member>], now: u64) -> Self {
        let closes_at = now.saturating_add(request.delay);
        let deadline = closes_at.saturating_add(request.timeout.unwrap_or(DEFAULT_TIMEOUT));
        let part = |member: &Arc<Member>| Part {
            member: Arc::clone(member),
            closed_before: member.closed(),
            drained_at: None,
            report: None,
        };
        Self {
            began_at: now,
            took_before: 0,
            closes_at,
            deadline,
            hooks_timeout: request.hooks_timeout.unwrap_or(DEFAULT_HOOKS_TIMEOUT),
            reason: request.reason,
            parts: members.iter().map(part).collect(),
            took: None,
        }
    }

    /// Another call for it: only a time that it names, and that is shorter, changes anything.
    pub(super) fn hasten(&mut self, request: &ShutdownRequest, now: u64) -> bool {
        if self.took.is_some() {
            return false;
        }
        let is_shorter = self.shorten_hooks(request.hooks_timeout);
        self.shorten_drain(request, now) || is_shorter
    }

    fn shorten_drain(&mut self, request: &ShutdownRequest, now: u64) -> bool {
        let Some(timeout) = request.timeout else { return false };
        let closes_at = now.saturating_add(request.delay);
        let deadline = closes_at.saturating_add(timeout);
        let is_earlier = deadline < self.deadline;
        if is_earlier {
            self.deadline = deadline;
            self.closes_at = self.closes_at.min(closes_at);
        }
        is_earlier
    }

    fn shorten_hooks(&mut self, timeout: Option<u64>) -> bool {
        let shorter = timeout.filter(|timeout| *timeout < self.hooks_timeout);
        self.hooks_timeout = shorter.unwrap_or(self.hooks_timeout);
        shorter.is_some()
    }

    pub(super) fn times(&self) -> ShutdownTimes {
        let owed = self.parts.iter().filter(|part| part.report.is_none());
        ShutdownTimes {
            closes_at: self.closes_at,
            deadline: self.deadline,
            hooks_timeout: self.hooks_timeout,
            late_at: owed.map(|part| part.late_at(self.deadline, self.hooks_timeout)).min(),
            reason: self.reason.clone(),
        }
    }

    /// The connections and the work of a member have ended, or their time has: its last hooks begin.
    pub(super) fn drained(&mut self, member: &Arc<Member>, now: u64) {
        if let Some(part) = self.owed().find(|part| Arc::ptr_eq(&part.member, member)) {
            part.drained_at.get_or_insert(now);
        }
    }

    pub(super) fn clock_was_set_back(&mut self, set_back: SetBack) {
        let took = set_back.before.saturating_sub(self.began_at);
        self.took_before = self.took_before.saturating_add(took);
        self.began_at = set_back.now;
        self.closes_at = set_back.moved(self.closes_at);
        self.deadline = set_back.moved(self.deadline);
        for part in &mut self.parts {
            part.drained_at = part.drained_at.map(|at| set_back.moved(at));
        }
    }

    /// The first report of a member counts.
    pub(super) fn report(&mut self, member: &Arc<Member>, end: MemberEnd) {
        if let Some(part) = self.owed().find(|part| Arc::ptr_eq(&part.member, member)) {
            part.report = Some(part.member.reported(part.closed_before, end));
        }
    }

    pub(super) fn thread_ended(&mut self, thread: ThreadId) {
        for part in self.owed().filter(|part| part.member.thread() == thread) {
            part.report = Some(part.member.ended(part.closed_before));
        }
    }

    /// Members that were late by then are silent.
    pub(super) fn give_up(&mut self, by: u64) {
        let (deadline, hooks_timeout) = (self.deadline, self.hooks_timeout);
        for part in self.owed() {
            if part.late_at(deadline, hooks_timeout) <= by {
                part.report = Some(part.member.silent(part.closed_before));
            }
        }
    }

    /// True once: when nothing is awaited any more.
    pub(super) fn end_if_all_is_told(&mut self, now: u64) -> bool {
        let ends = self.took.is_none() && self.owed().next().is_none();
        if ends {
            self.took = Some(self.took_before.saturating_add(now.saturating_sub(self.began_at)));
        }
        ends
    }

    pub(super) fn result(&self) -> Option<ShutdownReport> {
        let took = self.took?;
        let threads = self.parts.iter().filter_map(|part| part.report.clone()).collect();
        Some(ShutdownReport { reason: self.reason.clone(), took, threads })
    }

    fn owed(&mut self) -> impl Iterator<Item = &mut Part> {
        self.parts.iter_mut().filter(|part| part.report.is_none())
    }
}
