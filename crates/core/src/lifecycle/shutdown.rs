//! A shutdown in progress: its times, and the members whose report is awaited.

use std::sync::Arc;

use super::member::Member;
use super::report::{MemberEnd, ShutdownReport, ThreadReport};
use crate::runtime::ThreadId;
use crate::runtime::clock::{MS, SetBack};

/// How long a shutdown may take by default.
const DEFAULT_TIMEOUT: u64 = 10_000 * MS;

/// How long the hooks after the drain may take together by default.
const DEFAULT_HOOKS_TIMEOUT: u64 = 5_000 * MS;

/// What a call to shut down asks for. Times are in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct ShutdownRequest {
    /// Why.
    pub reason: Option<String>,
    /// How long servers go on as before.
    pub delay: u64,
    /// How long threads may take after that; ten seconds by default.
    pub timeout: Option<u64>,
    /// How long the hooks after the drain may take together; five seconds by default.
    pub hooks_timeout: Option<u64>,
}

/// Times of the clock, and the reason for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownTimes {
    /// When servers close.
    pub closes_at: u64,
    /// When what is left is ended.
    pub deadline: u64,
    /// How long the hooks of a thread may take after its drain.
    pub hooks_timeout: u64,
    /// When the first member that has not reported is late; none when all have.
    pub late_at: Option<u64>,
    /// Why, as the first caller gave it.
    pub reason: Option<String>,
}

#[derive(Debug)]
pub(super) struct Shutdown {
    began_at: u64,
    /// How long it took until a test set the clock back.
    took_before: u64,
    closes_at: u64,
    deadline: u64,
    hooks_timeout: u64,
    reason: Option<String>,
    parts: Vec<Part>,
    took: Option<u64>,
}

/// What is awaited of one member.
#[derive(Debug)]
struct Part {
    member: Arc<Member>,
    closed_before: u64,
    /// When its drain ended and the hooks after it began.
    drained_at: Option<u64>,
    report: Option<ThreadReport>,
}

impl Part {
    /// A member is late past the deadline, or past the time of the hooks after the drain where they have begun.
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

    /// Another call to shut down: a time that it gives, and that is shorter, takes effect. True when one did.
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
        let awaited = self.parts.iter().filter(|part| part.report.is_none());
        ShutdownTimes {
            closes_at: self.closes_at,
            deadline: self.deadline,
            hooks_timeout: self.hooks_timeout,
            late_at: awaited.map(|part| part.late_at(self.deadline, self.hooks_timeout)).min(),
            reason: self.reason.clone(),
        }
    }

    /// The drain of a member has ended: its connections and its work have, or their time has.
    pub(super) fn drained(&mut self, member: &Arc<Member>, now: u64) {
        if let Some(part) = self.awaited().find(|part| Arc::ptr_eq(&part.member, member)) {
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

    /// Takes the first report of a member.
    pub(super) fn report(&mut self, member: &Arc<Member>, end: MemberEnd) {
        if let Some(part) = self.awaited().find(|part| Arc::ptr_eq(&part.member, member)) {
            part.report = Some(part.member.reported(part.closed_before, end));
        }
    }

    pub(super) fn thread_ended(&mut self, thread: ThreadId) {
        for part in self.awaited().filter(|part| part.member.thread() == thread) {
            part.report = Some(part.member.ended(part.closed_before));
        }
    }

    /// Gives up members that were late at the time `by`.
    pub(super) fn give_up(&mut self, by: u64) {
        let (deadline, hooks_timeout) = (self.deadline, self.hooks_timeout);
        for part in self.awaited() {
            if part.late_at(deadline, hooks_timeout) <= by {
                part.report = Some(part.member.silent(part.closed_before));
            }
        }
    }

    /// True once, when no report is awaited any more.
    pub(super) fn end_if_all_reported(&mut self, now: u64) -> bool {
        let ends = self.took.is_none() && self.awaited().next().is_none();
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

    fn awaited(&mut self) -> impl Iterator<Item = &mut Part> {
        self.parts.iter_mut().filter(|part| part.report.is_none())
    }
}
