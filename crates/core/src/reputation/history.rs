//! The history of one client: recent failures, past bans, and the ban in force.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ban_events::BanCause;
use super::policy::Policy;
use super::verdict::{BanTerm, later};
use crate::runtime::clock::SetBack;

/// Failures at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) at: u64,
    pub(super) failures: u64,
}

/// One client's history. The default is that of a new client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    /// Failures that may still count, the oldest first; none from before the last automatic ban.
    pub(super) moments: VecDeque<Moment>,
    /// Automatic bans that were not forgotten at `quiet_since`.
    pub(super) bans: u32,
    /// The start of the time without failure: the end of the last ban, or a failure after it.
    pub(super) quiet_since: u64,
    /// One ban is forgotten after each such period without failure.
    pub(super) quiet_period: u64,
    /// The last ban, which may have ended.
    pub(super) term: Option<BanTerm>,
}

/// What may ban a client.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// So many failures, which ban it if they reach `maxFailures`.
    Failures(u64),
    /// A request to ban it, as if its failures had reached `maxFailures`.
    Request,
    /// Its failures in several processes have reached `maxFailures`.
    Elsewhere,
}

/// The outcome of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The client is banned already: nothing was counted.
    Ignored,
    Counted,
    Banned,
}

/// In which order clients are evicted, the lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EvictionRank {
    bans: u32,
    failures: u64,
    /// 0 without failures.
    last_failure: u64,
}

impl EvictionRank {
    /// Whether something would be lost with the client.
    pub(super) fn matters(self) -> bool {
        self.bans > 0 || self.failures > 0
    }
}

impl History {
    /// The ban in force.
    pub(super) fn ban_in_force(&self, now: u64) -> Option<&BanTerm> {
        self.term.as_ref().filter(|term| term.is_in_force(now))
    }

    /// Failures that count.
    pub(super) fn failures(&self, policy: &Policy, now: u64) -> u64 {
        let live = self.moments.iter().filter(|moment| is_live(moment, policy, now));
        live.fold(0, |sum: u64, moment| sum.saturating_add(moment.failures))
    }

    /// Automatic bans that are not forgotten.
    pub(super) fn bans(&self, now: u64) -> u32 {
        if self.bans == 0 {
            return 0;
        }
        let forgotten = now.saturating_sub(self.quiet_since) / self.quiet_period;
        self.bans.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }

    /// In which order clients are evicted; `None` during a ban, in which a client is not evicted.
    pub(super) fn eviction_rank(&self, policy: &Policy, now: u64) -> Option<EvictionRank> {
        if self.ban_in_force(now).is_some() {
            return None;
        }
        let failures = self.failures(policy, now);
        let last_failure = self.moments.back().filter(|_| failures > 0).map_or(0, |moment| moment.at);
        Some(EvictionRank { bans: self.bans(now), failures, last_failure })
    }

    /// Whether it differs from the history of a new client.
    pub(super) fn matters(&self, policy: &Policy, now: u64) -> bool {
        self.eviction_rank(policy, now).is_none_or(EvictionRank::matters)
    }

    /// Counts a cause, and bans the client if that reaches `maxFailures`. `chance` returns a random number from 0 to 1.
    pub(super) fn apply(
        &mut self,
        policy: &Policy,
        cause: Cause,
        reason: Option<&str>,
        now: u64,
        chance: impl Fn() -> f64,
    ) -> Outcome {
        if self.ban_in_force(now).is_some() {
            return Outcome::Ignored;
        }
        self.update_bans(now);
        self.moments.retain(|moment| is_live(moment, policy, now));
        let (counted, ban_cause) = match cause {
            Cause::Failures(failures) => {
                (failures.saturating_mul(policy.counts_each(self.bans)), BanCause::Failures)
            }
            Cause::Request | Cause::Elsewhere => {
                let by = if matches!(cause, Cause::Request) { BanCause::Rule } else { BanCause::Failures };
                (policy.max_failures.saturating_sub(self.failures(policy, now)), by)
            }
        };
        self.count(counted, policy.moment(), now);
        let failures = self.failures(policy, now);
        if failures < policy.max_failures {
            return Outcome::Counted;
        }
        self.bans = self.bans.saturating_add(1);
        let duration = policy.nth_ban(self.bans, chance());
        self.quiet_period = policy.quiet_period(duration);
        self.moments = VecDeque::new();
        let reason = reason.map(Arc::from);
        self.put_in_force(BanTerm { until: now + duration, reason, failures, cause: ban_cause });
        Outcome::Banned
    }

    /// Bans the client; of two bans the one that ends later holds.
    pub(super) fn ban(&mut self, term: BanTerm, now: u64) {
        self.update_bans(now);
        let current = self.term.take().filter(|term| term.is_in_force(now));
        if let Some(latest) = later(current, Some(term)) {
            self.put_in_force(latest);
        }
    }

    /// Ends the ban in force; false when there is none. The time without failure starts now.
    pub(super) fn unban(&mut self, now: u64) -> bool {
        let was_banned = self.ban_in_force(now).is_some();
        if was_banned {
            self.term = None;
            self.quiet_since = now;
        }
        was_banned
    }

    /// Forgets the failures that have not led to a ban.
    pub(super) fn forgive(&mut self) {
        self.moments = VecDeque::new();
    }

    /// Merges another history of the same client: the later end of a ban, the more past bans, and the more failures of the
    /// two. Merging the same history twice changes nothing.
    pub(super) fn merge(&mut self, other: Self, policy: &Policy, now: u64) {
        if (other.bans(now), other.quiet_since) > (self.bans(now), self.quiet_since) {
            self.bans = other.bans;
            self.quiet_since = other.quiet_since;
            self.quiet_period = other.quiet_period;
        }
        if other.failures(policy, now) > self.failures(policy, now) {
            self.moments = other.moments;
        }
        let current = self.term.take().filter(|term| term.is_in_force(now));
        match later(current, other.term.filter(|term| term.is_in_force(now))) {
            Some(latest) => self.put_in_force(latest),
            None => self.term = None,
        }
    }

    /// A test set the clock back: past failures and bans keep their age, and the ban in force its remaining time.
    pub(super) fn clock_was_set_back(&mut self, policy: &Policy, set_back: SetBack) {
        self.moments.retain(|moment| is_live(moment, policy, set_back.before));
        self.bans = self.bans(set_back.before);
        self.quiet_since = set_back.moved(self.quiet_since);
        for moment in &mut self.moments {
            moment.at = set_back.moved(moment.at);
        }
        if let Some(term) = &mut self.term {
            term.clock_was_set_back(set_back);
        }
    }

    /// Moves what a file dates later than `now` to `now`. Bans keep their end.
    pub(super) fn cut(&mut self, now: u64) {
        for moment in &mut self.moments {
            moment.at = moment.at.min(now);
        }
        if self.ban_in_force(now).is_none() {
            self.quiet_since = self.quiet_since.min(now);
        }
    }

    /// Updates the number of past bans, and restarts the time without failure.
    fn update_bans(&mut self, now: u64) {
        self.bans = self.bans(now);
        self.quiet_since = self.quiet_since.max(now);
    }

    /// Puts a ban in force. The time without failure starts at its end.
    fn put_in_force(&mut self, term: BanTerm) {
        self.quiet_since = self.quiet_since.max(term.until);
        self.term = Some(term);
    }

    /// Adds failures. Those of a thread that read the clock earlier than another count at the latest moment.
    fn count(&mut self, failures: u64, moment: u64, now: u64) {
        match self.moments.back_mut() {
            Some(last) if now.saturating_sub(last.at) <= moment => {
                last.failures = last.failures.saturating_add(failures);
            }
            _ => self.moments.push_back(Moment { at: now, failures }),
        }
    }
}

/// Whether failures still count: they do until they are as old as `findTime`.
fn is_live(moment: &Moment, policy: &Policy, now: u64) -> bool {
    now.saturating_sub(moment.at) < policy.find_time
}
