//! Options of a monitor, and what of them is valid.

use std::fmt;

use super::clients::Clients;
use super::history::History;
use super::rule::{Action, Rule};
use crate::rate_limiter::check_range;
use crate::runtime::clock::MS;
use crate::runtime::instances::{OptionList, or_none};
use crate::runtime::memory;
use crate::runtime::options::MAX_DURATION_MS;
use crate::{Error, Result};

/// Most rules of one monitor.
const MAX_RULES: usize = 64;

/// The largest count of a rule: so many times of 8 bytes may be kept of a client.
const MAX_COUNT: u64 = 10_000;

/// The largest count of different details, which are looked through one by one.
const MAX_DISTINCT: u64 = 1_000;

const MAX_HISTORY: u64 = 1_000_000;
const MAX_CLIENTS: u64 = 10_000_000;

/// A rule as a user gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOptions {
    /// What alerts call it.
    pub name: String,
    /// The event it counts.
    pub event: String,
    /// How many of them meet it.
    pub count: u64,
    /// Within how long, in milliseconds.
    pub window_ms: u64,
    /// Whether different details are counted rather than events.
    pub distinct: bool,
    /// For how long it is silent for a client after an alert; for its window where it is left out.
    pub mute_ms: Option<u64>,
    /// What follows.
    pub action: Action,
}

/// Options as a user gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityMonitorOptions {
    /// Events remembered, of all clients.
    pub history: u64,
    /// When to raise an alert.
    pub rules: Vec<RuleOptions>,
    /// Where clients are banned.
    pub reputation: Option<String>,
    /// Clients known at once.
    pub max_clients: u64,
}

impl SecurityMonitorOptions {
    /// These rules, everything else by default.
    #[must_use]
    pub fn new(rules: Vec<RuleOptions>) -> Self {
        Self { history: 10_000, rules, reputation: None, max_clients: 100_000 }
    }
}

/// Valid options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecurityMonitorConfig {
    pub(super) options: SecurityMonitorOptions,
    pub(super) rules: Box<[Rule]>,
}

impl TryFrom<SecurityMonitorOptions> for SecurityMonitorConfig {
    type Error = Error;

    fn try_from(options: SecurityMonitorOptions) -> Result<Self> {
        check_range("SecurityMonitor", "history", options.history, MAX_HISTORY)?;
        check_range("SecurityMonitor", "maxClients", options.max_clients, MAX_CLIENTS)?;
        memory::check("SecurityMonitor history", options.history, History::BYTES_EACH)?;
        memory::check("SecurityMonitor maxClients", options.max_clients, Clients::BYTES_EACH)?;
        if options.rules.len() > MAX_RULES {
            let given = format!("{} rules", options.rules.len());
            let accepted = format!("at most {MAX_RULES} rules");
            return Err(Error::invalid_option("SecurityMonitor rules", given, accepted));
        }
        for (index, rule) in options.rules.iter().enumerate() {
            check_rule(&format!("SecurityMonitor rules[{index}]"), rule, &options.rules[..index])?;
            if rule.action == Action::Ban && options.reputation.is_none() {
                let option = format!("SecurityMonitor rules[{index}] action");
                let accepted = "\"alert\", or \"ban\" where the option reputation names who bans";
                return Err(Error::invalid_option(&option, rule.action, accepted));
            }
        }
        Ok(Self { rules: options.rules.iter().map(Rule::from).collect(), options })
    }
}

impl SecurityMonitorConfig {
    /// Numbers the rules: one that counts as a rule of `before` has its number, others have numbers from `next` on.
    /// The next number then.
    pub(super) fn number_rules(&mut self, before: &[Rule], mut next: u32) -> u32 {
        for rule in &mut self.rules {
            rule.id = before.iter().find(|other| other.counts_as(rule)).map_or(next, |other| other.id);
            next += u32::from(rule.id == next);
        }
        next
    }

    /// As the user would read them.
    pub(super) fn list(&self) -> OptionList {
        let SecurityMonitorOptions { history, rules, reputation, max_clients } = &self.options;
        let rules: Vec<_> = rules.iter().map(RuleOptions::to_string).collect();
        vec![
            ("history", history.to_string()),
            ("rules", format!("[{}]", rules.join("; "))),
            ("reputation", or_none(reputation.as_ref().map(|name| format!("{name:?}")))),
            ("maxClients", max_clients.to_string()),
        ]
    }
}

fn check_rule(owner: &str, rule: &RuleOptions, earlier: &[RuleOptions]) -> Result<()> {
    check_range(owner, "count", rule.count, if rule.distinct { MAX_DISTINCT } else { MAX_COUNT })?;
    check_range(owner, "window", rule.window_ms, MAX_DURATION_MS)?;
    if rule.mute_ms.is_some_and(|mute| mute > MAX_DURATION_MS) {
        let accepted = format!("milliseconds from 0 to {MAX_DURATION_MS}");
        return Err(Error::invalid_option(&format!("{owner} mute"), or_none(rule.mute_ms), accepted));
    }
    if earlier.iter().any(|other| other.name == rule.name) {
        let given = format!("{:?}", rule.name);
        return Err(Error::invalid_option(&format!("{owner} name"), given, "a name of its own"));
    }
    Ok(())
}

impl RuleOptions {
    fn mute_ms(&self) -> u64 {
        self.mute_ms.unwrap_or(self.window_ms)
    }
}

impl From<&RuleOptions> for Rule {
    fn from(rule: &RuleOptions) -> Self {
        Self {
            id: 0,
            name: rule.name.as_str().into(),
            event: rule.event.as_str().into(),
            // Validated to at most `MAX_COUNT`.
            count: rule.count as usize,
            window: rule.window_ms * MS,
            distinct: rule.distinct,
            mute: rule.mute_ms() * MS,
            action: rule.action,
        }
    }
}

impl fmt::Display for RuleOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, event, count, window_ms, distinct, action, .. } = self;
        let distinct = if *distinct { "distinct " } else { "" };
        let mute_ms = self.mute_ms();
        write!(
            f,
            "{name:?}: {count} {distinct}of {event:?} within {window_ms} ms, mute {mute_ms} ms, action {action}"
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alert => "\"alert\"",
            Self::Ban => "\"ban\"",
        })
    }
}
