//! Options of a reputation, and what of them is valid.

use super::clients::Clients;
use super::policy::Policy;
use super::ranges::Lists;
use crate::runtime::clock::MS;
use crate::runtime::instances::OptionList;
use crate::runtime::memory;
use crate::runtime::options::MAX_DURATION_MS;
use crate::{Error, Result};

const OWNER: &str = "Reputation";

/// Most failures that a ban may take.
const MAX_FAILURES: u64 = 1_000_000;

/// Options as a user gives them.
#[derive(Clone, Debug, PartialEq)]
pub struct ReputationOptions {
    /// Failures that ban.
    pub max_failures: u64,
    /// Over how long they are counted.
    pub find_time_ms: u64,
    /// How long the first ban lasts.
    pub ban_time_ms: u64,
    /// By how much each further ban is longer.
    pub ban_factor: f64,
    /// How long a ban lasts at most.
    pub max_ban_time_ms: u64,
    /// By which share a ban may be shorter, at random.
    pub jitter: f64,
    /// Leading bits of an IPv6 address that name one client.
    pub ipv6_prefix: u8,
    /// Ranges that are never banned.
    pub allow: Vec<String>,
    /// Ranges that are always banned.
    pub deny: Vec<String>,
    /// Most clients remembered at once.
    pub max_clients: u64,
}

impl ReputationOptions {
    /// What has no default; everything else by default.
    #[must_use]
    pub fn new(max_failures: u64, find_time_ms: u64, ban_time_ms: u64, max_ban_time_ms: u64) -> Self {
        Self {
            max_failures,
            find_time_ms,
            ban_time_ms,
            ban_factor: 2.0,
            max_ban_time_ms,
            jitter: 0.0,
            ipv6_prefix: crate::client_key::DEFAULT_IPV6_PREFIX,
            allow: Vec::new(),
            deny: Vec::new(),
            max_clients: 100_000,
        }
    }
}

/// Valid options.
#[derive(Clone, Debug)]
pub struct ReputationConfig {
    pub(super) policy: Policy,
    pub(super) lists: Lists,
    pub(super) ipv6_prefix: u8,
    pub(super) capacity: usize,
    options: ReputationOptions,
}

impl TryFrom<ReputationOptions> for ReputationConfig {
    type Error = Error;

    fn try_from(options: ReputationOptions) -> Result<Self> {
        check_range("maxFailures", options.max_failures, 1, MAX_FAILURES)?;
        check_range("findTime", options.find_time_ms, 1, MAX_DURATION_MS)?;
        check_range("banTime", options.ban_time_ms, 1, MAX_DURATION_MS)?;
        check_max_ban_time(&options)?;
        check_share("banFactor", options.ban_factor, 1.0, f64::MAX, "a finite number from 1")?;
        check_share("jitter", options.jitter, 0.0, 1.0, "a number from 0 to 1")?;
        check_range("ipv6Prefix", options.ipv6_prefix.into(), 1, 128)?;
        check_range("maxClients", options.max_clients, 1, 1 << 32)?;
        memory::check("Reputation maxClients", options.max_clients, Clients::BYTES_EACH)?;
        Ok(Self {
            policy: Policy {
                max_failures: options.max_failures,
                find_time: options.find_time_ms * MS,
                ban_time_ms: options.ban_time_ms,
                ban_factor: options.ban_factor,
                max_ban_time_ms: options.max_ban_time_ms,
                jitter: options.jitter,
            },
            lists: Lists::parse(OWNER, &options.allow, &options.deny)?,
            ipv6_prefix: options.ipv6_prefix,
            capacity: usize::try_from(options.max_clients).unwrap_or(usize::MAX),
            options,
        })
    }
}

impl ReputationConfig {
    /// As the user would read them.
    pub(super) fn list(&self) -> OptionList {
        let options = &self.options;
        let [allow, deny] = self.lists.describe();
        vec![
            ("maxFailures", options.max_failures.to_string()),
            ("findTime", format!("{} ms", options.find_time_ms)),
            ("banTime", format!("{} ms", options.ban_time_ms)),
            ("banFactor", options.ban_factor.to_string()),
            ("maxBanTime", format!("{} ms", options.max_ban_time_ms)),
            ("jitter", options.jitter.to_string()),
            ("ipv6Prefix", options.ipv6_prefix.to_string()),
            ("allow", allow),
            ("deny", deny),
            ("maxClients", options.max_clients.to_string()),
        ]
    }
}

fn check_range(option: &str, given: u64, least: u64, most: u64) -> Result<()> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    let accepted = format!("an integer from {least} to {most}");
    Err(Error::invalid_option(&format!("{OWNER} {option}"), given, accepted))
}

fn check_max_ban_time(options: &ReputationOptions) -> Result<()> {
    let (least, given) = (options.ban_time_ms, options.max_ban_time_ms);
    if (least..=MAX_DURATION_MS).contains(&given) {
        return Ok(());
    }
    let accepted = format!("from banTime, {least} ms, to {MAX_DURATION_MS} ms");
    Err(Error::invalid_option(&format!("{OWNER} maxBanTime"), format!("{given} ms"), accepted))
}

fn check_share(option: &str, given: f64, least: f64, most: f64, accepted: &str) -> Result<()> {
    if (least..=most).contains(&given) {
        return Ok(());
    }
    Err(Error::invalid_option(&format!("{OWNER} {option}"), given, accepted))
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
