//! A shutdown that goes on: until when, and whose report is still awaited.

use std::sync::Arc;

use super::member::Member;
use super::report::{HookOutcome, ShutdownReport, ThreadReport};
use crate::Owner;
use crate::clock::{MS, SetBack};

/// What a shutdown has, without another wish.
const DEFAULT_TIMEOUT: u64 = 10_000 * MS;

/// What who calls for a shutdown wants. Times are in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct ShutdownRequest {
    /// Why.
    pub reason: Option<String>,
    /// How long servers go on as before.
    pub delay: u64,
    /// How long after that threads may take; ten seconds by default.
    pub timeout: Option<u64>,
}

/// Two times of the clock, and the reason for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShutdownTimes {
    /// Servers close then.
    pub closes_at: u64,
    /// What is left then is ended.
    pub deadline: u64,
    /// As its first caller said.
    pub reason: Option<String>,
}

#[derive(Debug)]
pub(super) struct Shutdown {
    began_at: u64,
    /// How long it took before the clock was set back.
    took_before: u64,
    times: ShutdownTimes,
    parts: Vec<Part>,
    took: Option<u64>,
}

/// What one member owes.
#[derive(Debug)]
struct Part {
    member: Arc<Member>,
    closed_before: u64,
    report: Option<ThreadReport>,
}

impl Shutdown {
    pub(super) fn begin(request: ShutdownRequest, members: &[Arc<Member>], now: u64) -> Self {
        let closes_at = now.saturating_add(request.delay);
        let deadline = closes_at.saturating_add(request.timeout.unwrap_or(DEFAULT_TIMEOUT));
        let part = |member: &Arc<Member>| Part {
            member: Arc::clone(member),
            closed_before: member.closed(),
            report: None,
        };
        Self {
            began_at: now,
            took_before: 0,
            times: ShutdownTimes { closes_at, deadline, reason: request.reason },
            parts: members.iter().map(part).collect(),
            took: None,
        }
    }

    /// Another call for it: only a time that it names, and that is shorter, changes anything.
    pub(super) fn hasten(&mut self, request: &ShutdownRequest, now: u64) -> bool {
        let Some(timeout) = request.timeout else { return false };
        let closes_at = now.saturating_add(request.delay);
        let deadline = closes_at.saturating_add(timeout);
        let is_earlier = self.took.is_none() && deadline < self.times.deadline;
        if is_earlier {
            self.times.deadline = deadline;
            self.times.closes_at = self.times.closes_at.min(closes_at);
        }
        is_earlier
    }

    pub(super) fn times(&self) -> ShutdownTimes {
        self.times.clone()
    }

    pub(super) fn clock_was_set_back(&mut self, set_back: SetBack) {
        let took = set_back.before.saturating_sub(self.began_at);
        self.took_before = self.took_before.saturating_add(took);
        self.began_at = set_back.now;
        self.times.closes_at = set_back.moved(self.times.closes_at);
        self.times.deadline = set_back.moved(self.times.deadline);
    }

    pub(super) fn is_over(&self, now: u64) -> bool {
        self.times.deadline <= now
    }

    /// The first report of a member counts.
    pub(super) fn report(&mut self, member: &Arc<Member>, forced: u64, hooks: Vec<HookOutcome>) {
        let owed = self.owed().find(|part| Arc::ptr_eq(&part.member, member));
        if let Some(Part { member, closed_before, report }) = owed {
            *report = Some(member.reported(*closed_before, forced, hooks));
        }
    }

    pub(super) fn owner_ended(&mut self, owner: Owner) {
        for Part { member, closed_before, report } in self.owed() {
            if member.owner() == owner {
                *report = Some(member.ended(*closed_before));
            }
        }
    }

    /// Who has not reported is silent.
    pub(super) fn give_up(&mut self) {
        for Part { member, closed_before, report } in self.owed() {
            *report = Some(member.silent(*closed_before));
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
        Some(ShutdownReport { reason: self.times.reason.clone(), took, threads })
    }

    fn owed(&mut self) -> impl Iterator<Item = &mut Part> {
        self.parts.iter_mut().filter(|part| part.report.is_none())
    }
}
