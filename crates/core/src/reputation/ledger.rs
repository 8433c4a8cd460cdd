//! The reputation: lists, banned ranges and clients combined.

mod instance;
mod report;
mod sharing;
mod subscriptions;

pub use self::sharing::{FailureSink, SharedBan};

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use ipnet::IpNet;

use self::sharing::SharedFailures;
use super::FOREVER;
use super::ban_watch::Target;
use super::client::Client;
use super::clients::Clients;
use super::history::{Cause, History, Outcome};
use super::options::ReputationConfig;
use super::policy::end_of;
use super::ranges::{Listed, Lists, Ranges};
use super::shared_ranges::SharedRanges;
use super::verdict::{BanTerm, Record, Verdict};
use crate::client_key::cidr::parse_range;
use crate::client_key::{AddressText, unmap};
use crate::runtime::instances::OptionList;
use crate::runtime::sharded_counters::ShardedCounters;
use crate::{Error, Result};

/// Failures, bans and lists of all threads.
///
/// A client is an address as `client_key` cuts it; lists and banned ranges are matched against the whole address. Failures
/// of one client take effect one after the other, whichever threads they come from, so `maxFailures` failures make one ban.
pub struct Reputation {
    name: String,
    created_with: OptionList,
    config: ArcSwap<ReputationConfig>,
    /// A copy of the prefix in `config`, which every call reads.
    ipv6_prefix: AtomicU8,
    ranges: SharedRanges,
    clients: Clients,
    chance: Box<dyn Fn() -> f64 + Send + Sync>,
    counters: ShardedCounters<5>,
    /// What counts failures of several processes, where something does.
    shared_failures: ArcSwapOption<SharedFailures>,
    closed: AtomicBool,
}

const FAILURES: usize = 0;
const BANS: usize = 1;
const MANUAL_BANS: usize = 2;
const UNBANS: usize = 3;
const UNTRACKED: usize = 4;

impl Reputation {
    /// A reputation without clients.
    #[must_use]
    pub fn new(name: &str, config: ReputationConfig) -> Self {
        Self::with_chance(name, config, fastrand::f64)
    }

    /// As [`new`](Self::new), with another source of random numbers from 0 to 1 for `jitter`.
    #[must_use]
    pub fn with_chance(
        name: &str,
        config: ReputationConfig,
        chance: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Self {
        let ranges = Ranges { lists: Arc::new(config.lists.clone()), bans: Arc::default() };
        Self {
            name: name.to_owned(),
            created_with: config.list(),
            ranges: SharedRanges::new(ranges),
            clients: Clients::new(config.capacity, config.policy),
            ipv6_prefix: AtomicU8::new(config.ipv6_prefix),
            config: ArcSwap::from_pointee(config),
            chance: Box::new(chance),
            counters: ShardedCounters::new(),
            shared_failures: ArcSwapOption::empty(),
            closed: AtomicBool::new(false),
        }
    }

    /// Whether an address is banned or denied. Takes no lock.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn is_banned<'a>(&self, ip: impl Into<AddressText<'a>>, now: u64) -> Result<bool> {
        self.check_open()?;
        let address = address_of(ip)?;
        let ranges = self.ranges.load_any();
        let listed = ranges.as_ref().and_then(|ranges| ranges.lists.decide(address));
        if let Some(listed) = listed {
            return Ok(listed == Listed::Deny);
        }
        let is_around = || ranges.is_some_and(|ranges| ranges.bans.around(address, now).is_some());
        Ok(self.clients.is_banned(self.client(address), now) || is_around())
    }

    /// The verdict on an address.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn check<'a>(&self, ip: impl Into<AddressText<'a>>, now: u64) -> Result<Verdict> {
        self.check_open()?;
        let address = address_of(ip)?;
        let record = self.clients.read(self.client(address), |history| self.record(history, now));
        Ok(self.judge(address, record.unwrap_or_default(), now))
    }

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
                self.clients.with(client, now, |history| history.ban(term.clone(), now)).is_ok()
            }
            Target::Range(range) => {
                self.ban_ranges([(range, term)], now);
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
            Target::Range(range) => {
                let mut was_banned = false;
                let unban = |ranges: Ranges| {
                    if ranges.bans.of(&range, now).is_none_or(|term| term.until > until) {
                        return ranges;
                    }
                    let bans;
                    (bans, was_banned) = ranges.bans.without(&range, now);
                    Ranges { bans: Arc::new(bans), ..ranges }
                };
                self.ranges.change_and(unban, |ranges| {
                    self.clients.watch().follow(Target::Range(range), ranges.bans.of(&range, now), now);
                });
                was_banned
            }
        })
    }

    /// Bans ranges; of two bans of a range the one that ends later holds.
    fn ban_ranges(&self, bans: impl IntoIterator<Item = (IpNet, BanTerm)>, now: u64) {
        let bans: Vec<_> = bans.into_iter().collect();
        let banned: Vec<_> = bans.iter().map(|(range, _)| *range).collect();
        let ban = |ranges: Ranges| Ranges { bans: Arc::new(ranges.bans.with(bans, now)), ..ranges };
        self.ranges.change_and(ban, |ranges| {
            for range in banned {
                self.clients.watch().follow(Target::Range(range), ranges.bans.of(&range, now), now);
            }
        });
    }

    /// Replaces both lists at once.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `INVALID_OPTION`, `CLOSED`; nothing is changed then.
    pub fn set_lists(&self, allow: &[String], deny: &[String]) -> Result<()> {
        self.check_open()?;
        let lists = Arc::new(Lists::parse("setLists", allow, deny)?);
        self.ranges.change(|ranges| Ranges { lists, ..ranges });
        Ok(())
    }

    fn apply(&self, ip: AddressText<'_>, cause: Cause, reason: Option<&str>, now: u64) -> Result<Verdict> {
        self.check_open()?;
        let address = address_of(ip)?;
        let (client, policy) = (self.client(address), &self.config.load().policy);
        if self.is_decided_by_range(address, now) {
            let record = self.clients.read(client, |history| self.record(history, now));
            return Ok(self.judge(address, record.unwrap_or_default(), now));
        }
        let applied = self.clients.with(client, now, |history| {
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

    fn is_decided_by_range(&self, address: IpAddr, now: u64) -> bool {
        let Some(ranges) = self.ranges.load_any() else { return false };
        ranges.lists.decide(address).is_some() || ranges.bans.around(address, now).is_some()
    }

    fn record(&self, history: &History, now: u64) -> Record {
        let term = history.ban_in_force(now).cloned();
        let led_to_it = term.as_ref().map_or(0, |term| term.failures);
        let failures = led_to_it.saturating_add(history.failures(&self.config.load().policy, now));
        Record { failures, bans: history.bans(now), term }
    }

    fn judge(&self, address: IpAddr, record: Record, now: u64) -> Verdict {
        match self.ranges.load_any() {
            None => Verdict::of(record, None, None),
            Some(ranges) => {
                Verdict::of(record, ranges.lists.decide(address), ranges.bans.around(address, now))
            }
        }
    }

    fn client(&self, address: IpAddr) -> Client {
        // Relaxed: it changes only between a reset and the next construction.
        Client::of(address, self.ipv6_prefix.load(Ordering::Relaxed))
    }

    /// A range within one client means that client.
    fn target(&self, text: &str) -> Result<Target> {
        if !text.contains('/') {
            return Ok(Target::Client(self.client(address_of(text)?)));
        }
        let range = parse_range("ipOrCidr", text)?;
        let whole_client = match range {
            IpNet::V4(_) => 32,
            IpNet::V6(_) => self.ipv6_prefix.load(Ordering::Relaxed),
        };
        Ok(if range.prefix_len() >= whole_client {
            Target::Client(self.client(range.addr()))
        } else {
            Target::Range(range)
        })
    }

    /// # Errors
    ///
    /// `CLOSED`.
    pub fn check_open(&self) -> Result<()> {
        // Relaxed: a call concurrent with `destroy` may still succeed.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }
}

/// Reads an address; IPv4 inside IPv6 becomes that IPv4.
fn address_of<'a>(text: impl Into<AddressText<'a>>) -> Result<IpAddr> {
    text.into().read().map(unmap)
}
