//! What is remembered of one client: recent failures, past bans, and the ban that stands.

use std::collections::VecDeque;
use std::sync::Arc;

use super::policy::Policy;
use super::verdict::{BanTerm, later};
use crate::runtime::clock::SetBack;

/// Failures at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) at: u64,
    pub(super) failures: u64,
}

/// One client's history. All zero is a client never seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    /// Failures that may still count, oldest first; none from before the last automatic ban.
    pub(super) moments: VecDeque<Moment>,
    /// Automatic bans remembered at `quiet_since`.
    pub(super) bans: u32,
    /// From when bans are being forgotten: the end of the last ban, or a failure after it.
    pub(super) quiet_since: u64,
    /// For each of these without a failure one ban is forgotten.
    pub(super) quiet_period: u64,
    /// The last ban, which may have ended.
    pub(super) term: Option<BanTerm>,
}

/// Why a client is banned next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cause {
    /// So many failures, once they are as many as ban.
    Failures(u64),
    /// As if the last failure that bans had come.
    Order,
}

/// What came of a cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Who is banned is not counted against.
    Ignored,
    Counted,
    Banned,
}

impl History {
    /// The ban that stands.
    pub(super) fn standing(&self, now: u64) -> Option<&BanTerm> {
        self.term.as_ref().filter(|term| term.stands(now))
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

    /// How much there is to remember: by this the least is forgotten first. `None` while a ban stands.
    pub(super) fn weight(&self, policy: &Policy, now: u64) -> Option<(u32, u64, u64)> {
        if self.standing(now).is_some() {
            return None;
        }
        let failures = self.failures(policy, now);
        let last = self.moments.back().filter(|_| failures > 0).map_or(0, |moment| moment.at);
        Some((self.bans(now), failures, last))
    }

    /// Whether it differs from the history of a client never seen.
    pub(super) fn matters(&self, policy: &Policy, now: u64) -> bool {
        self.weight(policy, now).is_none_or(|(bans, failures, _)| bans > 0 || failures > 0)
    }

    /// Holds a cause against the client, who is banned if that is enough. `chance` draws from 0 to 1.
    pub(super) fn blame(
        &mut self,
        policy: &Policy,
        cause: Cause,
        reason: Option<&str>,
        now: u64,
        chance: impl Fn() -> f64,
    ) -> Outcome {
        if self.standing(now).is_some() {
            return Outcome::Ignored;
        }
        self.recall(now);
        self.moments.retain(|moment| is_live(moment, policy, now));
        let counted = match cause {
            Cause::Failures(failures) => failures.saturating_mul(policy.counts_each(self.bans)),
            Cause::Order => policy.max_failures.saturating_sub(self.failures(policy, now)),
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
        self.serve(BanTerm { until: now + duration, reason: reason.map(Arc::from), failures });
        Outcome::Banned
    }

    /// Bans until the later of two ends.
    pub(super) fn ban(&mut self, term: BanTerm, now: u64) {
        self.recall(now);
        let standing = self.term.take().filter(|standing| standing.stands(now));
        if let Some(latest) = later(standing, Some(term)) {
            self.serve(latest);
        }
    }

    /// Ends the ban that stands; false when none does. Past bans are being forgotten from now on.
    pub(super) fn unban(&mut self, now: u64) -> bool {
        let stood = self.standing(now).is_some();
        if stood {
            self.term = None;
            self.quiet_since = now;
        }
        stood
    }

    /// Forgets the failures that did not ban.
    pub(super) fn forgive(&mut self) {
        self.moments = VecDeque::new();
    }

    /// Adds what another history of the same client knows: the later end of a ban, the longer memory of
    /// bans, and the more failures of the two. To add the same twice changes nothing.
    pub(super) fn merge(&mut self, other: Self, policy: &Policy, now: u64) {
        if (other.bans(now), other.quiet_since) > (self.bans(now), self.quiet_since) {
            self.bans = other.bans;
            self.quiet_since = other.quiet_since;
            self.quiet_period = other.quiet_period;
        }
        if other.failures(policy, now) > self.failures(policy, now) {
            self.moments = other.moments;
        }
        let standing = self.term.take().filter(|standing| standing.stands(now));
        match later(standing, other.term.filter(|standing| standing.stands(now))) {
            Some(latest) => self.serve(latest),
            None => self.term = None,
        }
    }

    /// The clock was set back, by hand: failures and bans of the past are as old as before, and a ban that
    /// stands ends after as long as before.
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

    /// What a file says happened later than `now` happened now. Bans end when they were to end.
    pub(super) fn cut(&mut self, now: u64) {
        for moment in &mut self.moments {
            moment.at = moment.at.min(now);
        }
        if self.standing(now).is_none() {
            self.quiet_since = self.quiet_since.min(now);
        }
    }

    /// Brings the number of bans up to date, and starts the time without failure anew.
    fn recall(&mut self, now: u64) {
        self.bans = self.bans(now);
        self.quiet_since = self.quiet_since.max(now);
    }

    /// No time of a ban is time without failure.
    fn serve(&mut self, term: BanTerm) {
        self.quiet_since = self.quiet_since.max(term.until);
        self.term = Some(term);
    }

    /// A thread that is late counts with the latest.
    fn count(&mut self, failures: u64, moment: u64, now: u64) {
        match self.moments.back_mut() {
            Some(last) if now.saturating_sub(last.at) <= moment => {
                last.failures = last.failures.saturating_add(failures);
            }
            _ => self.moments.push_back(Moment { at: now, failures }),
        }
    }
}

/// A failure counts for `findTime`, and no more at its end.
fn is_live(moment: &Moment, policy: &Policy, now: u64) -> bool {
    now.saturating_sub(moment.at) < policy.find_time
}
