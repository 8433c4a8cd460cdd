//! Options that all threads of a guard share.
//!
//! JavaScript gives a guard's own options to the parts that they are for, and passes on here what the threads have to
//! agree on, complete: defaults are filled in before.

use crate::rate_limiter::MAX_SAFE_INTEGER;
use crate::runtime::instances::OptionList;
use crate::runtime::options::{Accepts, OptionValue, Source, options};
use crate::{Error, Result};

options! {
    /// What all threads of a guard agree on.
    pub struct GuardOptions of "guard" {
        /// Whether requests are limited. The limiter compares its options itself.
        rate_limit: GuardPart = "rateLimit", Accepts::OneOf(&GuardPart::TEXTS), required as rate_limit;
        /// Whether connections are counted. The tracker compares its options itself.
        connections: GuardPart = "connections", Accepts::OneOf(&GuardPart::WITHOUT_REQUEST), required as connections;
        /// How many requests may be in progress. The semaphores compare it themselves.
        concurrency: ConcurrencyCaps = "concurrency", Accepts::Other;
        /// The reputation's name.
        reputation: PartName = "reputation", Accepts::Other, required as reputation;
        /// The monitor's name.
        monitor: PartName = "monitor", Accepts::Other, required as monitor;
        /// What is recorded of answers, by ascending status.
        record: Vec<RecordOptions> = "record", Accepts::Other, required as record;
        /// Ranges of proxies that are trusted to name the client.
        trusted_proxies: Vec<String> = "trustedProxies", Accepts::Texts;
        /// How the client's address is found.
        client_address: AddressSource = "clientAddress", Accepts::Other, required as client_address;
        /// Whether load is shed. The shedder compares its options itself.
        overload: GuardPart = "overload", Accepts::OneOf(&GuardPart::WITHOUT_REQUEST);
        /// Whether refusals are only counted.
        dry_run: bool = "dryRun", Accepts::Boolean, default false;
    }
}

options! {
    /// What is recorded of answers with one status.
    pub struct RecordOptions of "guard record" {
        /// The status.
        status: u64 = "status", Accepts::Integer { least: 100, most: 599 }, required as status;
        /// The event that the monitor records; the reason that the reputation gets.
        event: String = "event", Accepts::Other, required as event;
        /// How many failures it is.
        weight: u64 = "weight", Accepts::Integer { least: 0, most: MAX_SAFE_INTEGER }, default 1;
        /// Which answers are recorded: those to requests with credentials, or all.
        when: String = "when", Accepts::OneOf(&["credentials", "always"]), default "always".to_owned();
    }
}

/// How the options of a guard give one of its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GuardPart {
    /// Not at all: the guard does not have it.
    #[default]
    Off,
    /// By options.
    Options,
    /// By options with a limit that is a function of the request.
    ByRequest,
}

/// The name of a part that may be shared with others; `None` for a guard that does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartName(pub Option<String>);

/// How many requests may be in progress at once; without any number, the guard does not count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConcurrencyCaps {
    /// In all.
    pub max: Option<u64>,
    /// Of one client.
    pub max_per_client: Option<u64>,
}

/// How a guard finds the client's address behind a trusted proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// In this header.
    Header(String),
    /// By a function, of which each thread has its own.
    Function,
}

/// Valid options.
#[derive(Clone, Debug, PartialEq)]
pub struct GuardConfig {
    options: GuardOptions,
}

impl TryFrom<GuardOptions> for GuardConfig {
    type Error = Error;

    /// Proxies are sorted: the order in which they are given has no meaning.
    fn try_from(mut options: GuardOptions) -> Result<Self> {
        options.check_ranges()?;
        options.trusted_proxies.sort();
        Ok(Self { options })
    }
}

impl GuardConfig {
    /// The options; the proxies are sorted.
    #[must_use]
    pub fn options(&self) -> &GuardOptions {
        &self.options
    }

    /// Whether one of the options that may change differs.
    #[must_use]
    pub fn differs_from(&self, known: &Self) -> bool {
        let changeable = |options: &GuardOptions| {
            let GuardOptions { record, trusted_proxies, client_address, .. } = options.clone();
            (record, trusted_proxies, client_address)
        };
        changeable(&self.options) != changeable(&known.options)
    }

    /// The options as the user would read them.
    pub(super) fn list(&self) -> OptionList {
        self.options.list()
    }

    /// Which parts the guard has, whether it refuses, and whether a header or a function names the client: a function
    /// belongs to its thread, so it cannot replace a header for all.
    pub(super) fn list_fixed(&self) -> OptionList {
        const FIXED: [&str; 6] = ["rateLimit", "connections", "reputation", "monitor", "overload", "dryRun"];
        let mut fixed = self.list();
        fixed.retain(|(option, _)| FIXED.contains(option));
        let kind = match self.options.client_address {
            AddressSource::Header(_) => "a header",
            AddressSource::Function => "a function",
        };
        fixed.push(("clientAddress", kind.to_owned()));
        fixed.push(("concurrency", self.options.concurrency.kind().to_owned()));
        fixed
    }
}

impl GuardPart {
    const WITHOUT_REQUEST: [&str; 2] = [Self::Off.text(), Self::Options.text()];
    const TEXTS: [&str; 3] = [Self::Off.text(), Self::Options.text(), Self::ByRequest.text()];

    /// The text that stands for it in JavaScript.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Options => "options",
            Self::ByRequest => "byRequest",
        }
    }
}

impl OptionValue for GuardPart {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        let text = source.text(name)?;
        [Self::Off, Self::Options, Self::ByRequest].into_iter().find(|part| part.text() == text)
    }

    fn check(&self, option: &str, accepts: &Accepts) -> Result<()> {
        self.text().to_owned().check(option, accepts)
    }

    fn print(&self, _: &Accepts) -> String {
        let text = match self {
            Self::Off => "false",
            Self::Options => "options",
            Self::ByRequest => "by request",
        };
        text.to_owned()
    }
}

impl OptionValue for PartName {
    /// A name, or false.
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        match (source.text(name), source.boolean(name)) {
            (Some(part), _) => Some(Self(Some(part))),
            (None, Some(false)) => Some(Self(None)),
            _ => None,
        }
    }

    fn check(&self, _: &str, _: &Accepts) -> Result<()> {
        Ok(())
    }

    fn print(&self, _: &Accepts) -> String {
        self.0.as_ref().map_or_else(|| "false".to_owned(), |name| format!("{name:?}"))
    }
}

impl ConcurrencyCaps {
    /// Which of the two there are.
    const fn kind(self) -> &'static str {
        match (self.max.is_some(), self.max_per_client.is_some()) {
            (false, false) => "false",
            (true, false) => "{ max }",
            (false, true) => "{ maxPerClient }",
            (true, true) => "{ max, maxPerClient }",
        }
    }
}

impl OptionValue for ConcurrencyCaps {
    /// `{ max?, maxPerClient? }`, or false.
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        if source.boolean(name) == Some(false) {
            return Some(Self::default());
        }
        let source = source.nested(name)?;
        Some(Self {
            max: OptionValue::read(&*source, "max"),
            max_per_client: OptionValue::read(&*source, "maxPerClient"),
        })
    }

    fn check(&self, _: &str, _: &Accepts) -> Result<()> {
        Ok(())
    }

    fn print(&self, _: &Accepts) -> String {
        let named = [("max", self.max), ("maxPerClient", self.max_per_client)];
        let given: Vec<_> =
            named.iter().filter_map(|(name, cap)| Some(format!("{name}: {}", (*cap)?))).collect();
        if given.is_empty() { "false".to_owned() } else { format!("{{ {} }}", given.join(", ")) }
    }
}

impl OptionValue for AddressSource {
    /// `{ header }`, or `{}` for a function.
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        let source = source.nested(name)?;
        Some(source.text("header").map_or(Self::Function, Self::Header))
    }

    fn check(&self, _: &str, _: &Accepts) -> Result<()> {
        Ok(())
    }

    fn print(&self, _: &Accepts) -> String {
        match self {
            Self::Header(name) => format!("{name:?}"),
            Self::Function => "a function".to_owned(),
        }
    }
}

impl OptionValue for Vec<RecordOptions> {
    /// One invalid entry makes the list invalid.
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        let entries = source.list(name)?;
        entries.iter().map(|entry| RecordOptions::read(&**entry).ok()).collect()
    }

    fn check(&self, option: &str, _: &Accepts) -> Result<()> {
        self.iter().try_for_each(|entry| entry.check_ranges_of(&format!("{option}[{}]", entry.status)))
    }

    /// As the user gives it, with what was left out filled in.
    fn print(&self, _: &Accepts) -> String {
        let print = |RecordOptions { status, event, weight, when }: &RecordOptions| {
            format!("\"{status}\":{{\"event\":{event:?},\"weight\":{weight},\"when\":{when:?}}}")
        };
        format!("{{{}}}", self.iter().map(print).collect::<Vec<_>>().join(","))
    }
}
