//! What processes tell each other of bans and failures, where they share them.

use std::collections::VecDeque;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Reputation, UNTRACKED};
use crate::Result;
use crate::reputation::FOREVER;
use crate::reputation::ban_events::BanCause;
use crate::reputation::ban_watch::Target;
use crate::reputation::client::Client;
use crate::reputation::history::{Cause, History};
use crate::reputation::policy::end_of;
use crate::reputation::verdict::{BanTerm, Verdict};

/// A ban in force, without any clock: processes whose clocks differ tell each other of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharedBan {
    /// Nanoseconds until its end; `None` for a permanent one.
    pub remaining: Option<u64>,
    /// The reason, if one was given.
    pub reason: Option<Arc<str>>,
    /// The failures that led to it; 0 for a manual ban.
    pub failures: u64,
    /// Automatic bans of the client that are not forgotten, this one included.
    pub bans: u32,
    /// Nanoseconds without failure after its end until one of them is forgotten.
    pub quiet_period: u64,
}

/// What counts the failures of several processes.
pub trait FailureSink: fmt::Debug + Send + Sync {
    /// So many failures of a client were counted, and have not banned it here. Must not block or call back.
    fn failed(&self, client: IpAddr, failures: u64, reason: Option<&str>);
    /// The failures of a client that were counted here do not count any more. Must not block or call back.
    fn forgiven(&self, client: IpAddr);
}

/// A [`FailureSink`] that can be exchanged.
pub(super) struct SharedFailures(Arc<dyn FailureSink>);

impl Reputation {
    /// Tells `sink` of failures from now on; `None`: nothing.
    pub fn share_failures(&self, sink: Option<Arc<dyn FailureSink>>) {
        self.shared_failures.store(sink.map(|sink| Arc::new(SharedFailures(sink))));
    }

    /// The ban of this client or of exactly this range; `None` where none is in force.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn ban_of(&self, target: &str, now: u64) -> Result<Option<SharedBan>> {
        self.check_open()?;
        Ok(match self.target(target)? {
            Target::Client(client) => {
                let shared = |history: &History| {
                    let term = history.ban_in_force(now)?;
                    Some(SharedBan {
                        bans: history.bans(now),
                        quiet_period: history.quiet_period,
                        ..SharedBan::of(term, now)
                    })
                };
                self.clients.read(client, shared).flatten()
            }
            Target::Range(range) => {
                self.ranges.load().bans.of(&range, now).map(|term| SharedBan::of(term, now))
            }
        })
    }

    /// The client or range as [`Ban::target`](crate::Ban::target) writes it here.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`.
    pub fn name_of(&self, target: &str) -> Result<String> {
        Ok(match self.target(target)? {
            Target::Client(client) => client.address().to_string(),
            Target::Range(range) => range.to_string(),
        })
    }

    /// Puts a ban of another process in force: of two bans the later end, the more past bans. False, and counted, when the
    /// client is not stored because every place is held by a banned client.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn take_over(&self, target: &str, ban: &SharedBan, now: u64) -> Result<bool> {
        self.check_open()?;
        let until = end_of(ban.remaining, now);
        let (reason, failures) = (ban.reason.clone(), ban.failures);
        let term = BanTerm { until, reason, failures, cause: BanCause::Fleet };
        let client = match self.target(target)? {
            Target::Client(client) => client,
            Target::Range(range) => {
                self.ban_ranges([(range, term)], now)?;
                return Ok(true);
            }
        };
        let policy = self.config.load().policy;
        let merge = |own: &mut History| {
            // Those that led to the ban are used up, wherever they were counted.
            if ban.failures > 0 {
                own.forgive();
            }
            let other = History {
                moments: VecDeque::new(),
                bans: ban.bans,
                quiet_since: until,
                quiet_period: ban.quiet_period.max(1),
                term: Some(term.clone()),
            };
            own.merge(other, &policy, now);
        };
        let is_stored = self.clients.with(client, &policy, now, merge).is_ok();
        self.counters.add(UNTRACKED, u64::from(!is_stored));
        Ok(is_stored)
    }

    /// Bans a client whose failures in all processes together have reached `maxFailures`. Does nothing while a list or a ban
    /// decides about the client.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn ban_for_failures(&self, client: &str, reason: Option<&str>, now: u64) -> Result<Verdict> {
        self.apply(client.into(), Cause::Elsewhere, reason, now)
    }

    /// The options that decide about bans, as processes compare them.
    #[must_use]
    pub fn rules_in_words(&self) -> String {
        let own = |option: &str| {
            ["maxFailures", "findTime", "banTime", "banFactor", "maxBanTime", "ipv6Prefix"].contains(&option)
        };
        let list = self.config.load().list();
        let rules = list.into_iter().filter(|(option, _)| own(option));
        rules.map(|(option, value)| format!("{option} {value}")).collect::<Vec<_>>().join(", ")
    }

    /// How many failures ban, and for how many nanoseconds each counts.
    #[must_use]
    pub fn failure_limit(&self) -> (u64, u64) {
        let policy = self.config.load().policy;
        (policy.max_failures, policy.find_time)
    }

    pub(super) fn tell_failed(&self, client: Client, failures: u64, reason: Option<&str>) {
        if let Some(sink) = &*self.shared_failures.load() {
            sink.0.failed(client.address(), failures, reason);
        }
    }

    pub(super) fn tell_forgiven(&self, client: Client) {
        let sink = self.shared_failures.load();
        let Some(sink) = &*sink else { return };
        if self.clients.read(client, |history| !history.moments.is_empty()) == Some(true) {
            sink.0.forgiven(client.address());
        }
    }
}

impl SharedBan {
    fn of(term: &BanTerm, now: u64) -> Self {
        let remaining = (term.until != FOREVER).then(|| term.until.saturating_sub(now));
        Self { remaining, reason: term.reason.clone(), failures: term.failures, ..Self::default() }
    }
}
