//! The reputation: lists, banned ranges and clients combined.

mod changes;
mod instance;
mod machine;
mod ranges;
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
use super::ban_watch::Target;
use super::client::Client;
use super::clients::Clients;
use super::history::History;
use super::machine::{MachineDate, PublishedRanges};
use super::options::ReputationConfig;
use super::ranges::{Listed, Ranges};
use super::shared_ranges::{Loaded, SharedRanges};
use super::store::Store;
use super::verdict::{Record, Verdict};
use crate::client_key::cidr::parse_range;
use crate::client_key::{AddressText, unmap};
use crate::machine::Host;
use crate::rate_limiter::config_epoch::AtomicConfigEpoch;
use crate::rate_limiter::shared_config::SharedConfig;
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
    /// Where processes share the reputation.
    machine: Option<OfMachine>,
    clients: Store,
    chance: Box<dyn Fn() -> f64 + Send + Sync>,
    counters: ShardedCounters<5>,
    /// What counts failures of several processes, where something does.
    shared_failures: ArcSwapOption<SharedFailures>,
    closed: AtomicBool,
}

/// What a reputation that processes share has beside its clients.
struct OfMachine {
    epoch: AtomicConfigEpoch,
    config: SharedConfig<ReputationConfig>,
    ranges: PublishedRanges,
    host: Arc<dyn Host>,
    date: Arc<MachineDate>,
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
            machine: None,
            clients: Store::OfProcess(Clients::new(config.capacity, config.policy)),
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
        // Looked at once: a reputation of one process does no more than it has to.
        match &self.machine {
            None => self.check_open_here()?,
            Some(machine) => {
                self.check_open()?;
                self.follow_ranges(machine);
            }
        }
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

    fn is_decided_by_range(&self, address: IpAddr, now: u64) -> bool {
        let Some(ranges) = self.any_ranges() else { return false };
        ranges.lists.decide(address).is_some() || ranges.bans.around(address, now).is_some()
    }

    fn record(&self, history: &History, now: u64) -> Record {
        let term = history.ban_in_force(now).cloned();
        let led_to_it = term.as_ref().map_or(0, |term| term.failures);
        let failures = led_to_it.saturating_add(history.failures(&self.config().policy, now));
        Record { failures, bans: history.bans(now), term }
    }

    fn judge(&self, address: IpAddr, record: Record, now: u64) -> Verdict {
        match self.any_ranges() {
            None => Verdict::of(record, None, None),
            Some(ranges) => {
                Verdict::of(record, ranges.lists.decide(address), ranges.bans.around(address, now))
            }
        }
    }

    /// Lists and banned ranges; `None` while there are none.
    #[inline]
    fn any_ranges(&self) -> Option<Loaded> {
        if let Some(machine) = &self.machine {
            self.follow_ranges(machine);
        }
        self.ranges.load_any()
    }

    /// Lists and banned ranges now.
    fn ranges_now(&self) -> Loaded {
        let _ = self.any_ranges();
        self.ranges.load()
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
        if self.is_closed_everywhere() {
            return Err(self.error_closed());
        }
        self.check_open_here()
    }

    fn check_open_here(&self) -> Result<()> {
        // Relaxed: a call concurrent with `destroy` may still succeed.
        if self.closed.load(Ordering::Relaxed) { Err(self.error_closed()) } else { Ok(()) }
    }

    fn error_closed(&self) -> Error {
        Error::Closed { name: self.name.clone() }
    }
}

/// Reads an address; IPv4 inside IPv6 becomes that IPv4.
fn address_of<'a>(text: impl Into<AddressText<'a>>) -> Result<IpAddr> {
    text.into().read().map(unmap)
}
