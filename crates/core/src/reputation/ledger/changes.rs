//! What changes the state of clients: failures, bans, lists.

use std::sync::Arc;

use super::{BANS, FAILURES, MANUAL_BANS, Reputation, UNBANS, UNTRACKED, address_of};
use crate::Result;
use crate::client_key::AddressText;
use crate::reputation::FOREVER;
use crate::reputation::ban_watch::Target;
use crate::reputation::history::{Cause, History, Outcome};
use crate::reputation::policy::end_of;
use crate::reputation::ranges::Lists;
use crate::reputation::verdict::{BanTerm, Record, Verdict};

impl Reputation {
    /// Counts `weight` failures of a client and bans it once they reach `maxFailures`. Counts nothing while a list or a ban
    /// decides about the client.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn record_failure<'a>(
        &self,
        ip: impl Into<AddressText<'a>>,
        weight: u64,
        reason: Option<&str>,
        now: u64,
    ) -> Result<Verdict> {
        self.apply(ip.into(), Cause::Failures(weight.max(1)), reason, now)
    }

    /// Bans a client as if its failures had reached `maxFailures`. Does nothing while a list or a ban decides about the
    /// client.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn ban_automatically(&self, client: &str, reason: &str, now: u64) -> Result<Verdict> {
        self.apply(client.into(), Cause::Request, Some(reason), now)
    }

    /// Forgets the failures of a client, but no ban and no number of bans.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn record_success<'a>(&self, ip: impl Into<AddressText<'a>>) -> Result<()> {
        self.check_open()?;
        let client = self.client(address_of(ip)?);
        self.tell_forgiven(client);
        self.clients.forgive(client);
        Ok(())
    }

    /// Bans a client or a range for `duration`, or permanently; of two bans the one that ends later holds. False, and
    /// counted, when the client is not stored because every place is held by a banned client.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn ban(&self, target: &str, duration: Option<u64>, reason: Option<&str>, now: u64) -> Result<bool> {
        self.check_open()?;
        let term = BanTerm::by_hand(end_of(duration, now), reason);
        let is_stored = match self.target(target)? {
            Target::Client(client) => {
                let ban = |history: &mut History| history.ban(term.clone(), now);
                self.clients.with(client, &self.config().policy, now, ban).is_ok()
            }
            Target::Range(range) => {
                self.ban_ranges([(range, term)], now)?;
                true
            }
        };
        self.counters.add(if is_stored { MANUAL_BANS } else { UNTRACKED }, 1);
        Ok(is_stored)
    }

    /// Ends the ban of this client or of exactly this range; false when there is none.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn unban(&self, target: &str, now: u64) -> Result<bool> {
        let was_banned = self.lift(target, FOREVER, now)?;
        self.counters.add(UNBANS, u64::from(was_banned));
        Ok(was_banned)
    }

    /// As [`unban`](Self::unban), of a ban that another process has ended: not counted. A ban that ends after `until` stays.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn lift(&self, target: &str, until: u64, now: u64) -> Result<bool> {
        self.check_open()?;
        Ok(match self.target(target)? {
            Target::Client(client) => {
                let unban = |history: &mut History| {
                    let ends = history.ban_in_force(now).is_some_and(|term| term.until <= until);
                    ends && history.unban(now)
                };
                self.clients.existing(client, now, unban).unwrap_or(false)
            }
            Target::Range(range) => self.unban_range(&range, until, now)?,
        })
    }

    /// Replaces both lists at once.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `INVALID_OPTION`, `CLOSED`; nothing is changed then.
    pub fn set_lists(&self, allow: &[String], deny: &[String]) -> Result<()> {
        self.check_open()?;
        self.replace_lists(&Arc::new(Lists::parse("setLists", allow, deny)?))
    }

    pub(super) fn apply(
        &self,
        ip: AddressText<'_>,
        cause: Cause,
        reason: Option<&str>,
        now: u64,
    ) -> Result<Verdict> {
        self.check_open()?;
        let address = address_of(ip)?;
        if let Some(machine) = &self.machine {
            machine.host.look_after();
        }
        let (client, policy) = (self.client(address), &self.config().policy);
        if self.is_decided_by_range(address, now) {
            let record = self.clients.read(client, |history| self.record(history, now));
            return Ok(self.judge(address, record.unwrap_or_default(), now));
        }
        let applied = self.clients.with(client, policy, now, |history| {
            let outcome = history.apply(policy, cause, reason, now, &self.chance);
            (outcome, self.record(history, now))
        });
        let Ok((outcome, record)) = applied else {
            self.counters.add(UNTRACKED, 1);
            return Ok(self.judge(address, Record::default(), now));
        };
        if let (Cause::Failures(weight), true) = (cause, outcome != Outcome::Ignored) {
            self.counters.add(FAILURES, weight);
            if outcome == Outcome::Counted {
                let counted = weight.saturating_mul(policy.counts_each(record.bans));
                self.tell_failed(client, counted, reason);
            }
        }
        self.counters.add(BANS, u64::from(outcome == Outcome::Banned));
        Ok(self.judge(address, record, now))
    }
}
