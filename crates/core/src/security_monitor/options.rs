//! Options of a monitor, and which of them are valid.

use std::fmt;

use super::clients::Clients;
use super::history::History;
use super::rule::{Action, Rule};
use crate::runtime::clock::MS;
use crate::runtime::instances::OptionList;
use crate::runtime::memory;
use crate::runtime::options::{Accepts, OptionValue, Source, options};
use crate::{Error, Result};

/// Most rules of one monitor.
const MAX_RULES: usize = 64;

/// The largest count of a rule. A client's window then takes up to 80 kB.
const MAX_COUNT: u64 = 10_000;

/// The largest count of a rule that counts different details, which are searched one by one.
const DISTINCT_COUNTS: Accepts = Accepts::up_to(1_000);

options! {
    /// A rule as a user gives it. JavaScript names a rule without a name.
    pub struct RuleOptions of "SecurityMonitor rules" {
        /// Its name in alerts.
        name: String = "name", Accepts::Other, required as name;
        /// The event that it counts.
        event: String = "event", Accepts::Other, required as event;
        /// How many events of one client raise an alert.
        count: u64 = "count", Accepts::up_to(MAX_COUNT), required as count;
        /// The length of its window.
        window_ms: u64 = "window", Accepts::duration(), required as window_ms;
        /// Whether it counts different details rather than events.
        distinct: bool = "distinct", Accepts::Boolean, default false;
        /// For how long it is muted for a client after an alert. `None`: for its window.
        mute_ms: Option<u64> = "mute", Accepts::Duration { least: 0 };
        /// What it does beside raising an alert.
        action: Action = "action", Accepts::OneOf(&Action::TEXTS), required as action;
    }
}

options! {
    /// Options as a user gives them.
    pub struct SecurityMonitorOptions of "SecurityMonitor" {
        /// Events kept, of all clients.
        history: u64 = "history", Accepts::up_to(1_000_000), default 10_000;
        /// When to raise an alert.
        rules: Vec<RuleOptions> = "rules", Accepts::Other, required as rules;
        /// The reputation in which rules ban.
        reputation: Option<String> = "reputation", Accepts::Other;
        /// Clients tracked at once.
        max_clients: u64 = "maxClients", Accepts::up_to(10_000_000), default 100_000;
    }
}

/// Valid options.
#[derive(Clone, Debug, PartialEq)]
pub struct SecurityMonitorConfig {
    pub(super) options: SecurityMonitorOptions,
    pub(super) rules: Box<[Rule]>,
}

impl TryFrom<SecurityMonitorOptions> for SecurityMonitorConfig {
    type Error = Error;

    fn try_from(options: SecurityMonitorOptions) -> Result<Self> {
        options.check_ranges()?;
        memory::check("SecurityMonitor history", options.history, History::BYTES_EACH)?;
        memory::check("SecurityMonitor maxClients", options.max_clients, Clients::BYTES_EACH)?;
        for (index, rule) in options.rules.iter().enumerate() {
            let owner = format!("SecurityMonitor rules[{index}]");
            check_relations(&owner, rule, &options.rules[..index])?;
            check_ban(&owner, rule, options.reputation.as_deref())?;
        }
        Ok(Self { rules: options.rules.iter().map(Rule::from).collect(), options })
    }
}

impl SecurityMonitorConfig {
    /// Assigns ids: a rule that counts as one of `before` gets its id, the others get ids from `next` on. Returns the next
    /// free id.
    pub(super) fn number_rules(&mut self, before: &[Rule], mut next: u32) -> u32 {
        for rule in &mut self.rules {
            rule.id = before.iter().find(|other| other.counts_as(rule)).map_or(next, |other| other.id);
            next += u32::from(rule.id == next);
        }
        next
    }

    /// The options as the user would read them.
    pub(super) fn list(&self) -> OptionList {
        self.options.list()
    }
}

/// What depends on more than one option of a rule, or on the rules before it.
fn check_relations(owner: &str, rule: &RuleOptions, earlier: &[RuleOptions]) -> Result<()> {
    if rule.distinct {
        rule.count.check(&format!("{owner} count"), &DISTINCT_COUNTS)?;
    }
    if earlier.iter().any(|other| other.name == rule.name) {
        let given = format!("{:?}", rule.name);
        return Err(Error::invalid_option(&format!("{owner} name"), given, "a name of its own"));
    }
    Ok(())
}

fn check_ban(owner: &str, rule: &RuleOptions, reputation: Option<&str>) -> Result<()> {
    if rule.action != Action::Ban || reputation.is_some() {
        return Ok(());
    }
    let accepted = "\"alert\", or \"ban\" together with the option reputation";
    Err(Error::invalid_option(&format!("{owner} action"), rule.action, accepted))
}

impl OptionValue for Vec<RuleOptions> {
    /// One invalid rule makes the list invalid.
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        let rules = source.list(name)?;
        rules.iter().map(|rule| RuleOptions::read(&**rule).ok()).collect()
    }

    fn check(&self, option: &str, _: &Accepts) -> Result<()> {
        if self.len() > MAX_RULES {
            let given = format!("{} rules", self.len());
            return Err(Error::invalid_option(option, given, format!("at most {MAX_RULES} rules")));
        }
        self.iter()
            .enumerate()
            .try_for_each(|(index, rule)| rule.check_ranges_of(&format!("{option}[{index}]")))
    }

    fn print(&self, _: &Accepts) -> String {
        let rules: Vec<_> = self.iter().map(RuleOptions::to_string).collect();
        format!("[{}]", rules.join("; "))
    }
}

impl OptionValue for Action {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        let text = source.text(name)?;
        [Self::Alert, Self::Ban].into_iter().find(|action| action.text() == text)
    }

    fn check(&self, _: &str, _: &Accepts) -> Result<()> {
        Ok(())
    }

    fn print(&self, _: &Accepts) -> String {
        self.to_string()
    }
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
        write!(f, "{:?}", self.text())
    }
}
