//! Valid options of a limiter, ready to decide by.

use crate::key_table::bytes_of_a_key;
use std::io;

use super::algorithm::Algorithm;
use super::options::{AlgorithmKind, LimitOptions, RateLimiterOptions};
use super::quick::Ordinary;
use super::quota::Quota;
use super::scope::Scope;
use crate::runtime::instances::OptionList;
use crate::runtime::memory;
use crate::runtime::options::{Accepts, OptionValue};
use crate::{Error, Result};

/// A limit, ready to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) limit: u64,
    pub(crate) algorithm: Algorithm,
}

/// Valid options: nothing in it can overflow or divide by zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimiterConfig {
    pub(crate) options: RateLimiterOptions,
    /// At least one, and [`MAX_LIMITS`](super::MAX_LIMITS) at most.
    pub(crate) rules: Box<[Rule]>,
    /// How often the limiter was reconfigured before these options came into force.
    pub(crate) generation: u64,
    pub(super) ordinary: Ordinary,
}

impl TryFrom<RateLimiterOptions> for RateLimiterConfig {
    type Error = Error;

    fn try_from(options: RateLimiterOptions) -> Result<Self> {
        Self::build(options, None)
    }
}

impl RateLimiterConfig {
    /// The options as they were given.
    #[must_use]
    pub fn options(&self) -> &RateLimiterOptions {
        &self.options
    }

    /// How often the limiter was reconfigured before these options came into force.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Most units that can be available at once.
    pub(super) fn capacity(&self) -> u64 {
        self.rules.iter().map(|rule| rule.algorithm.capacity()).min().unwrap_or(0)
    }

    /// The config that replaces this one, for the same table and the words that are in it.
    pub(super) fn replaced_by(&self, options: RateLimiterOptions) -> Result<Self> {
        for (option, fixed, given) in [
            ("maxKeys", self.options.max_keys.to_string(), options.max_keys.to_string()),
            ("overflow", self.options.overflow.to_string(), options.overflow.to_string()),
            ("scope", print(&self.options.scope), print(&options.scope)),
            ("limits", shape(&self.options), shape(&options)),
        ] {
            if fixed != given {
                let accepted = format!("{fixed}: it is fixed at creation");
                return Err(Error::invalid_option(&format!("reconfigure {option}"), given, accepted));
            }
        }
        Self::build(options, Some(self))
    }

    /// This config with another limit, for one call.
    pub(super) fn with_limit(&self, limit: u64) -> Result<Self> {
        let mut options = self.options.clone();
        let [single] = &mut options.limits[..] else {
            let given = format!("{} limits", self.rules.len());
            return Err(Error::invalid_option("a limit for one call", given, "a limiter of one limit"));
        };
        single.quota = Quota { limit, burst: None, ..single.quota };
        let config = Self::build(options, Some(self))?;
        Ok(Self { generation: self.generation, ..config })
    }

    /// This config, after its rules were changed.
    pub(super) fn with_ordinary(mut self) -> Self {
        self.ordinary = Ordinary::of(&self.rules, self.options.dry_run);
        self
    }

    /// The config that decided a call by a limit of its own; `None`: this one did.
    pub(super) fn of_limit(&self, limit: u64) -> Option<Self> {
        match &self.rules[..] {
            // A limit that these options do not accept belonged to options that were replaced.
            [rule] if rule.limit != limit => self.with_limit(limit).ok(),
            _ => None,
        }
    }

    /// The error where the system cannot map the table.
    pub(super) fn too_large(&self, cause: &io::Error) -> Error {
        let bytes = bytes_of_a_key(self.rules.len());
        memory::refused("RateLimiter maxKeys", self.options.max_keys, bytes, cause)
    }

    /// `existing` is the config that is replaced, whose words the new one must be able to read.
    fn build(options: RateLimiterOptions, existing: Option<&Self>) -> Result<Self> {
        options.check_ranges()?;
        memory::check("RateLimiter maxKeys", options.max_keys, bytes_of_a_key(options.limits.len()))?;
        let owner = |index| match options.limits.len() {
            1 => "RateLimiter".to_owned(),
            _ => format!("RateLimiter limits[{index}]"),
        };
        let rules = options.limits.iter().enumerate().map(|(index, limit)| {
            let existing = existing.map(|existing| &existing.rules[index].algorithm);
            let algorithm = limit.quota.to_algorithm(&owner(index), limit.algorithm, existing)?;
            if options.limits[..index].iter().any(|earlier| earlier.name == limit.name) {
                let option = format!("{} name", owner(index));
                return Err(Error::invalid_option(&option, format!("{:?}", limit.name), "a name of its own"));
            }
            Ok(Rule { name: limit.name.clone(), limit: limit.quota.limit, algorithm })
        });
        let rules: Box<[Rule]> = rules.collect::<Result<_>>()?;
        let generation = existing.map_or(0, |existing| existing.generation + 1);
        let ordinary = Ordinary::of(&rules, options.dry_run);
        Ok(Self { options, rules, generation, ordinary })
    }

    /// The options as the user would read them: a single limit by its own options, several as `limits`.
    pub(super) fn list(&self) -> OptionList {
        let single = match &self.options.limits[..] {
            [limit] => Some(limit),
            _ => None,
        };
        let of_single = |text: fn(&LimitOptions) -> String| single.map_or_else(|| "none".to_owned(), text);
        let mut list = vec![
            ("limits[0].name", of_single(|limit| limit.name.clone())),
            ("limit", of_single(|limit| limit.quota.limit.to_string())),
            ("window", of_single(|limit| format!("{} ms", limit.quota.window_ms))),
            ("burst", of_single(|limit| limit.quota.burst.unwrap_or(limit.quota.limit).to_string())),
            ("algorithm", of_single(|limit| limit.algorithm.to_string())),
        ];
        for (option, value) in self.options.list() {
            match option {
                "limits" if single.is_some() => list.insert(0, (option, "none".to_owned())),
                "limits" => list.insert(0, (option, value)),
                _ => list.push((option, value)),
            }
        }
        list
    }

    /// What is fixed at creation.
    pub(super) fn list_fixed(&self) -> OptionList {
        vec![
            ("limits", shape(&self.options)),
            ("window", sliding_windows(&self.options)),
            ("maxKeys", self.options.max_keys.to_string()),
            ("overflow", self.options.overflow.to_string()),
            ("scope", print(&self.options.scope)),
        ]
    }
}

/// The lengths of the sliding windows: the words of keys hold numbers of windows.
fn sliding_windows(options: &RateLimiterOptions) -> String {
    let sliding = options.limits.iter().filter(|limit| limit.algorithm == AlgorithmKind::SlidingWindow);
    let lengths = sliding.map(|limit| format!("{} ms", limit.quota.window_ms));
    lengths.collect::<Vec<_>>().join(", ")
}

fn print(scope: &Scope) -> String {
    scope.print(&Accepts::Other)
}

/// What of the limits is fixed: their number, names and algorithms.
fn shape(options: &RateLimiterOptions) -> String {
    let limits = options.limits.iter().map(|limit| format!("{} by {}", limit.name, limit.algorithm));
    limits.collect::<Vec<_>>().join(", ")
}
