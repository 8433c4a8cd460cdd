//! Options of a reputation, and which of them are valid.

use super::clients::Clients;
use super::policy::{MOST_MOMENTS, Policy};
use super::ranges::Lists;
use crate::client_key::{DEFAULT_IPV6_PREFIX, IPV6_PREFIXES};
use crate::rate_limiter::Scope;
use crate::runtime::clock::MS;
use crate::runtime::instances::OptionList;
use crate::runtime::memory;
use crate::runtime::options::{Accepts, MAX_DURATION_MS, OptionValue, Source, options};
use crate::{Error, Result};

/// What messages call the owner of the options.
const OWNER: &str = "Reputation";

/// How much longer each further ban is.
const BAN_FACTORS: Accepts =
    Accepts::Number { least: 1.0, most: f64::MAX, is_above: false, words: "a finite number from 1" };

options! {
    /// Options as a user gives them.
    pub struct ReputationOptions of "Reputation" {
        /// How many failures ban a client.
        max_failures: u64 = "maxFailures", Accepts::up_to(1_000_000), required as max_failures;
        /// The window in which failures count.
        find_time_ms: u64 = "findTime", Accepts::duration(), required as find_time_ms;
        /// The length of the first ban.
        ban_time_ms: u64 = "banTime", Accepts::duration(), required as ban_time_ms;
        /// The factor by which each further ban is longer.
        ban_factor: f64 = "banFactor", BAN_FACTORS, default 2.0;
        /// The longest ban.
        max_ban_time_ms: u64 = "maxBanTime", Accepts::duration(), required as max_ban_time_ms;
        /// The share of a ban by which it may be shorter, at random.
        jitter: f64 = "jitter", Accepts::share(), default 0.0;
        /// Leading bits of an IPv6 address that stand for one client.
        ipv6_prefix: u8 = "ipv6Prefix", IPV6_PREFIXES, default DEFAULT_IPV6_PREFIX;
        /// Ranges that are never banned automatically.
        allow: Vec<String> = "allow", Accepts::Texts;
        /// Ranges that are always banned.
        deny: Vec<String> = "deny", Accepts::Texts;
        /// Most clients tracked at once.
        max_clients: u64 = "maxClients", Accepts::up_to(1 << 32), default 100_000;
        /// Which processes share its bans.
        scope: Scope = "scope", Accepts::Other;
        /// The file that keeps it, and how often it is written.
        persist: Option<PersistOptions> = "persist", Accepts::Other;
    }
}

options! {
    /// The file that keeps a reputation.
    pub struct PersistOptions of "Reputation persist" {
        /// Its path.
        path: String = "path", Accepts::Other, required as path;
        /// The time between two writes.
        every_ms: u64 = "every", Accepts::duration(), default 30_000;
    }
}

impl OptionValue for PersistOptions {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        source.nested(name).and_then(|nested| Self::read(&*nested).ok())
    }

    fn check(&self, option: &str, _: &Accepts) -> Result<()> {
        self.check_ranges_of(option)
    }

    fn print(&self, _: &Accepts) -> String {
        format!("{{\"path\":{:?},\"every\":\"{}ms\"}}", self.path, self.every_ms)
    }
}

/// Valid options.
#[derive(Clone, Debug)]
pub struct ReputationConfig {
    pub(super) policy: Policy,
    pub(super) lists: Lists,
    pub(super) ipv6_prefix: u8,
    pub(super) capacity: usize,
    /// How often the options were replaced before, where processes share the reputation.
    pub(super) generation: u64,
    options: ReputationOptions,
}

impl TryFrom<ReputationOptions> for ReputationConfig {
    type Error = Error;

    fn try_from(options: ReputationOptions) -> Result<Self> {
        options.check_ranges()?;
        check_max_ban_time(&options)?;
        memory::check("Reputation maxClients", options.max_clients, Clients::BYTES_EACH)?;
        Ok(Self {
            policy: Policy {
                max_failures: options.max_failures,
                find_time: options.find_time_ms * MS,
                ban_time_ms: options.ban_time_ms,
                ban_factor: options.ban_factor,
                max_ban_time_ms: options.max_ban_time_ms,
                jitter: options.jitter,
                most_moments: MOST_MOMENTS,
            },
            lists: Lists::parse(OWNER, &options.allow, &options.deny)?,
            ipv6_prefix: options.ipv6_prefix,
            capacity: usize::try_from(options.max_clients).unwrap_or(usize::MAX),
            generation: 0,
            options,
        })
    }
}

impl ReputationConfig {
    pub(super) fn options(&self) -> &ReputationOptions {
        &self.options
    }

    /// With room for so many moments of each client.
    pub(super) fn with_moments(mut self, most: u64) -> Self {
        self.policy.most_moments = most;
        self
    }

    /// Whether a file keeps the reputation.
    #[must_use]
    pub fn is_persisted(&self) -> bool {
        self.options.persist.is_some()
    }

    pub(super) fn persist(&self) -> Option<&PersistOptions> {
        self.options.persist.as_ref()
    }

    /// How clients are identified, how many are tracked, and which processes share the bans.
    pub(super) fn list_fixed(&self) -> OptionList {
        let is_fixed = |option: &str| ["ipv6Prefix", "maxClients", "scope"].contains(&option);
        self.list().into_iter().filter(|(option, _)| is_fixed(option)).collect()
    }

    /// The options as the user would read them. Lists are printed in one order and notation, however they were given.
    pub(super) fn list(&self) -> OptionList {
        let [allow, deny] = self.lists.describe();
        let print = |(option, value)| match option {
            "allow" => (option, allow.clone()),
            "deny" => (option, deny.clone()),
            _ => (option, value),
        };
        self.options.list().into_iter().map(print).collect()
    }
}

fn check_max_ban_time(options: &ReputationOptions) -> Result<()> {
    let (least, given) = (options.ban_time_ms, options.max_ban_time_ms);
    if given >= least {
        return Ok(());
    }
    let accepted = format!("from banTime, {least} ms, to {MAX_DURATION_MS} ms");
    Err(Error::invalid_option(&format!("{OWNER} maxBanTime"), format!("{given} ms"), accepted))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change = fn(&mut ReputationOptions);

    #[test]
    fn refuses_what_makes_no_sense_and_names_it() {
        let cases: [(&str, Change); 13] = [
            ("maxFailures is 0", |o| o.max_failures = 0),
            ("maxFailures is 1000001", |o| o.max_failures = 1_000_001),
            ("findTime is 0", |o| o.find_time_ms = 0),
            ("banTime is 0", |o| o.ban_time_ms = 0),
            ("maxBanTime is 999 ms; accepted: from banTime, 1000 ms", |o| o.max_ban_time_ms = 999),
            ("maxBanTime", |o| o.max_ban_time_ms = MAX_DURATION_MS + 1),
            ("banFactor is 0.99", |o| o.ban_factor = 0.99),
            ("banFactor is NaN", |o| o.ban_factor = f64::NAN),
            ("banFactor is inf", |o| o.ban_factor = f64::INFINITY),
            ("jitter is -0.1", |o| o.jitter = -0.1),
            ("jitter is 1.1", |o| o.jitter = 1.1),
            ("ipv6Prefix is 0", |o| o.ipv6_prefix = 0),
            ("maxClients is 0", |o| o.max_clients = 0),
        ];
        for (message, change) in cases {
            let mut options = ReputationOptions::new(5, 60_000, 1_000, 10_000);
            change(&mut options);
            let error = ReputationConfig::try_from(options).expect_err(message);
            assert_eq!(error.code(), "INVALID_OPTION", "{message}");
            assert!(error.to_string().starts_with(&format!("Reputation {message}")), "{error}");
        }
    }

    #[test]
    fn takes_the_edges() {
        let options =
            ReputationOptions { ban_factor: 1.0, jitter: 1.0, ..ReputationOptions::new(1, 1, 1, 1) };
        assert!(ReputationConfig::try_from(options).is_ok());
    }
}
