//! The ledger: lists, ranges and clients put together.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use arc_swap::ArcSwap;
use ipnet::IpNet;
use parking_lot::Mutex;

use super::client::Client;
use super::clients::Clients;
use super::file;
use super::history::{Cause, History, Outcome};
use super::options::ReputationConfig;
use super::policy::end_of;
use super::ranges::{Listed, Lists, Ranges};
use super::stats::ReputationStats;
use super::verdict::{Ban, BanTerm, Record, Verdict};
use crate::client_key::cidr::parse_range;
use crate::client_key::{parse_address, unmap};
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::runtime::sharded_counters::ShardedCounters;
use crate::{Error, Result};

/// Who behaved badly, for all threads: failures that ban, bans that grow, and lists.
///
/// A client is an address as `client_key` cuts it; lists and bans of ranges are asked for the whole
/// address. Failures of one client take effect one after the other, whichever threads they come from, so
/// the failure that bans does so once.
pub struct Reputation {
    name: String,
    created_with: OptionList,
    config: ArcSwap<ReputationConfig>,
    /// Of `config`, for every call.
    ipv6_prefix: AtomicU8,
    ranges: ArcSwap<Ranges>,
    /// Those who change the ranges take turns.
    changing_ranges: Mutex<()>,
    clients: Clients,
    chance: Box<dyn Fn() -> f64 + Send + Sync>,
    counters: ShardedCounters<5>,
    closed: AtomicBool,
}

const FAILURES: usize = 0;
const BANS: usize = 1;
const MANUAL_BANS: usize = 2;
const UNBANS: usize = 3;
const UNTRACKED: usize = 4;

/// Whom a ban is for.
enum Target {
    Client(Client),
    Range(IpNet),
}

impl Reputation {
    /// Nobody has done anything yet.
    #[must_use]
    pub fn new(name: &str, config: ReputationConfig) -> Self {
        Self::with_chance(name, config, fastrand::f64)
    }

    /// As [`new`](Self::new), with another source of the numbers from 0 to 1 that `jitter` takes.
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
            ranges: ArcSwap::from_pointee(ranges),
            changing_ranges: Mutex::new(()),
            clients: Clients::new(config.capacity, config.policy),
            ipv6_prefix: AtomicU8::new(config.ipv6_prefix),
            config: ArcSwap::from_pointee(config),
            chance: Box::new(chance),
            counters: ShardedCounters::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Whether an address is to be refused. Takes no lock.
    pub fn is_banned(&self, ip: &str, now: u64) -> Result<bool> {
        self.check_open()?;
        let address = address_of(ip)?;
        let ranges = self.ranges.load();
        Ok(match ranges.lists.decide(address) {
            Some(listed) => listed == Listed::Deny,
            None => {
                self.clients.is_banned(self.client(address), now)
                    || ranges.bans.around(address, now).is_some()
            }
        })
    }

    /// All there is to tell about an address.
    pub fn check(&self, ip: &str, now: u64) -> Result<Verdict> {
        self.check_open()?;
        let address = address_of(ip)?;
        let record = self.clients.read(self.client(address), |history| self.record(history, now));
        Ok(self.judge(address, record.unwrap_or_default(), now))
    }

    /// Counts `weight` failures against the client, who is banned when they are as many as ban. Who is
    /// allowed, denied or banned is not counted against.
    pub fn record_failure(&self, ip: &str, weight: u64, reason: Option<&str>, now: u64) -> Result<Verdict> {
        self.blame(ip, Cause::Failures(weight.max(1)), reason, now)
    }

    /// Gives the client its next ban at once, as if its failures were as many as ban. Who is allowed,
    /// denied or banned stays so.
    pub fn ban_automatically(&self, client: &str, reason: &str, now: u64) -> Result<Verdict> {
        self.blame(client, Cause::Order, Some(reason), now)
    }

    /// Forgets the failures counted against the client; never a ban, nor the number of bans.
    pub fn record_success(&self, ip: &str) -> Result<()> {
        self.check_open()?;
        let client = self.client(address_of(ip)?);
        self.clients.existing(client, History::forgive);
        Ok(())
    }

    /// Bans a client or a range for `duration`, or for ever; the later of two ends holds. False, and
    /// counted, when there is no place for the client, as all others are banned.
    pub fn ban(&self, target: &str, duration: Option<u64>, reason: Option<&str>, now: u64) -> Result<bool> {
        self.check_open()?;
        let term = BanTerm::by_hand(end_of(duration, now), reason);
        let kept = match self.target(target)? {
            Target::Client(client) => {
                self.clients.with(client, now, |history| history.ban(term.clone(), now)).is_ok()
            }
            Target::Range(range) => {
                self.change_ranges(|ranges| Ranges {
                    bans: Arc::new(ranges.bans.with([(range, term)], now)),
                    ..ranges
                });
                true
            }
        };
        self.counters.add(if kept { MANUAL_BANS } else { UNTRACKED }, 1);
        Ok(kept)
    }

    /// Ends the ban of this client or of exactly this range; false when there is none.
    pub fn unban(&self, target: &str, now: u64) -> Result<bool> {
        self.check_open()?;
        let stood = match self.target(target)? {
            Target::Client(client) => {
                self.clients.existing(client, |history| history.unban(now)).unwrap_or(false)
            }
            Target::Range(range) => {
                let mut stood = false;
                self.change_ranges(|ranges| {
                    let bans;
                    (bans, stood) = ranges.bans.without(&range, now);
                    Ranges { bans: Arc::new(bans), ..ranges }
                });
                stood
            }
        };
        self.counters.add(UNBANS, u64::from(stood));
        Ok(stood)
    }

    /// The bans that stand, those of ranges and of clients, the first to end first. One pass over all.
    pub fn bans(&self, now: u64) -> Result<Vec<Ban>> {
        self.check_open()?;
        let ranges = self.ranges.load();
        let of_ranges = ranges.bans.standing(now).map(|(range, term)| Ban::of_range(range, term.clone()));
        let clients = self.clients.all();
        let of_clients = clients.into_iter().filter_map(|(client, history)| {
            Some(Ban::of_client(client.address(), history.standing(now)?.clone()))
        });
        let mut bans: Vec<_> = of_ranges.chain(of_clients).collect();
        bans.sort_by_key(|ban| (ban.until, ban.range));
        Ok(bans)
    }

    /// Replaces both lists in one moment.
    pub fn set_lists(&self, allow: &[String], deny: &[String]) -> Result<()> {
        self.check_open()?;
        let lists = Arc::new(Lists::parse("setLists", allow, deny)?);
        self.change_ranges(|ranges| Ranges { lists, ..ranges });
        Ok(())
    }

    /// Everything but the lists, as bytes for a file. Its dates are times of the clock and `date_ahead`.
    pub fn save(&self, now: u64, date_ahead: i64) -> Result<Vec<u8>> {
        self.check_open()?;
        let mut clients = self.clients.all();
        clients.retain(|(_, history)| history.matters(&self.config.load().policy, now));
        let ranges = self.ranges.load();
        Ok(file::encode(&clients, ranges.bans.standing(now), date_ahead))
    }

    /// Adds what a file holds to what is known: bans until the later of two ends, the longer memory of
    /// past bans, the more failures of the two. `source` names the file in errors.
    pub fn load(&self, bytes: &[u8], source: &str, now: u64, date_ahead: i64) -> Result<()> {
        self.check_open()?;
        let mut saved = file::decode(bytes, source, date_ahead)?;
        for (client, history) in &mut saved.clients {
            // Whoever saved may have cut addresses elsewhere, and its date may have been ahead.
            *client = self.client(client.address());
            history.cut(now);
        }
        // Bans first: they are to have the places, should there be too few.
        saved.clients.sort_by_key(|(_, history)| history.standing(now).is_none());
        let policy = self.config.load().policy;
        for (client, history) in saved.clients {
            let merge = |own: &mut History| own.merge(history.clone(), &policy, now);
            if self.clients.with(client, now, merge).is_err() {
                self.counters.add(UNTRACKED, 1);
            }
        }
        self.change_ranges(|ranges| Ranges { bans: Arc::new(ranges.bans.with(saved.ranges, now)), ..ranges });
        Ok(())
    }

    /// Sums over all threads, and one pass over the clients.
    pub fn stats(&self, now: u64) -> Result<ReputationStats> {
        self.check_open()?;
        let (size, banned) = self.clients.count(now);
        let ranges = self.ranges.load();
        let [allow, deny] = ranges.lists.lengths();
        Ok(ReputationStats {
            failures: self.counters.sum(FAILURES),
            bans: self.counters.sum(BANS),
            manual_bans: self.counters.sum(MANUAL_BANS),
            unbans: self.counters.sum(UNBANS),
            untracked: self.counters.sum(UNTRACKED),
            evicted: self.clients.evicted(),
            banned,
            ranges: ranges.bans.standing(now).count() as u64,
            allow,
            deny,
            size,
            capacity: self.config.load().capacity as u64,
        })
    }

    /// The clock was set back, by hand, in a test: bans end after as long as before.
    pub fn clock_was_set_back(&self, set_back: SetBack) {
        self.clients.clock_was_set_back(set_back);
        self.change_ranges(|ranges| Ranges {
            bans: Arc::new(ranges.bans.after_set_back(set_back)),
            ..ranges
        });
    }

    fn blame(&self, ip: &str, cause: Cause, reason: Option<&str>, now: u64) -> Result<Verdict> {
        self.check_open()?;
        let address = address_of(ip)?;
        let (client, policy) = (self.client(address), &self.config.load().policy);
        if self.is_decided_by_range(address, now) {
            let record = self.clients.read(client, |history| self.record(history, now));
            return Ok(self.judge(address, record.unwrap_or_default(), now));
        }
        let blamed = self.clients.with(client, now, |history| {
            let outcome = history.blame(policy, cause, reason, now, &self.chance);
            (outcome, self.record(history, now))
        });
        let Ok((outcome, record)) = blamed else {
            self.counters.add(UNTRACKED, 1);
            return Ok(self.judge(address, Record::default(), now));
        };
        if let (Cause::Failures(weight), true) = (cause, outcome != Outcome::Ignored) {
            self.counters.add(FAILURES, weight);
        }
        self.counters.add(BANS, u64::from(outcome == Outcome::Banned));
        Ok(self.judge(address, record, now))
    }

    fn is_decided_by_range(&self, address: IpAddr, now: u64) -> bool {
        let ranges = self.ranges.load();
        ranges.lists.decide(address).is_some() || ranges.bans.around(address, now).is_some()
    }

    fn record(&self, history: &History, now: u64) -> Record {
        let term = history.standing(now).cloned();
        let led_to_it = term.as_ref().map_or(0, |term| term.failures);
        let failures = led_to_it.saturating_add(history.failures(&self.config.load().policy, now));
        Record { failures, bans: history.bans(now), term }
    }

    fn judge(&self, address: IpAddr, record: Record, now: u64) -> Verdict {
        let ranges = self.ranges.load();
        Verdict::of(record, ranges.lists.decide(address), ranges.bans.around(address, now))
    }

    fn client(&self, address: IpAddr) -> Client {
        // Relaxed: it changes between a reset and the next construction only.
        Client::of(address, self.ipv6_prefix.load(Ordering::Relaxed))
    }

    /// A range within one client is that client.
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

    fn change_ranges(&self, change: impl FnOnce(Ranges) -> Ranges) {
        let _one_at_a_time = self.changing_ranges.lock();
        let changed = change(Ranges::clone(&self.ranges.load()));
        self.ranges.store(Arc::new(changed));
    }

    fn check_open(&self) -> Result<()> {
        // Relaxed: a call that races with `destroy` may still be answered.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }
}

/// An address as lists and clients know it: IPv4 inside IPv6 is that IPv4.
fn address_of(text: &str) -> Result<IpAddr> {
    parse_address(text).map(unmap)
}

impl Instance for Reputation {
    const KIND: &'static str = "Reputation";
    type Config = ReputationConfig;

    fn create(name: &str, config: ReputationConfig) -> Self {
        Self::new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &ReputationConfig) -> OptionList {
        config.list()
    }

    /// By which clients are named, and how many have a place.
    fn list_fixed(config: &ReputationConfig) -> OptionList {
        let is_fixed = |option: &str| ["ipv6Prefix", "maxClients"].contains(&option);
        config.list().into_iter().filter(|(option, _)| is_fixed(option)).collect()
    }

    /// Bans that stand, and failures that count, stay.
    fn reconfigure(&self, _: &str, config: ReputationConfig, _: bool) -> Result<Option<Arc<Self>>> {
        self.clients.reconfigure(config.capacity, config.policy);
        let lists = Arc::new(config.lists.clone());
        self.ipv6_prefix.store(config.ipv6_prefix, Ordering::Relaxed);
        self.config.store(Arc::new(config));
        self.change_ranges(|ranges| Ranges { lists, ..ranges });
        Ok(None)
    }

    fn reset(&self) {
        self.clients.clear();
        let lists = Arc::new(self.config.load().lists.clone());
        self.change_ranges(|_| Ranges { lists, bans: Arc::default() });
        self.counters.reset();
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        // A thread may keep the closed reputation for a while; it need not keep its clients.
        self.clients.clear();
    }

    /// Threads hold nothing of it.
    fn thread_ended(&self, _: ThreadId, _: u64) {}

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back);
    }
}

impl fmt::Debug for Reputation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reputation").field("name", &self.name).finish_non_exhaustive()
    }
}
