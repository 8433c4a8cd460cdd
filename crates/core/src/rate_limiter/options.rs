//! Options of a limiter, and what of them is valid.

use std::sync::Arc;
use std::{fmt, io};

use super::algorithm::Algorithm;
use super::cell::Several;
use super::quota::{Quota, check_range};
use super::table::{SLOT_BYTES, slots_for};
use crate::runtime::instances::OptionList;
use crate::runtime::memory;
use crate::{Error, Result};

/// Most limits that one limiter decides as one.
pub const MAX_LIMITS: usize = 6;

/// What a new client gets when the table is full and holds nobody whose state has expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The place of the client closest to a full quota. Blocked clients are never evicted.
    #[default]
    Evict,
    /// A refusal.
    Deny,
    /// Passage, uncounted.
    Allow,
}

/// The rule by which a limit is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlgorithmKind {
    /// A bucket that refills evenly.
    #[default]
    Gcra,
    /// A count per window that starts at the client's first hit.
    FixedWindow,
    /// Two aligned windows, weighted by time.
    SlidingWindow,
}

/// One of the limits of a limiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitOptions {
    /// What decisions call it.
    pub name: String,
    /// How much per how long.
    pub quota: Quota,
    /// By which rule.
    pub algorithm: AlgorithmKind,
}

/// Options as a user gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimiterOptions {
    /// The limits, decided as one: all are charged or none.
    pub limits: Vec<LimitOptions>,
    /// Most clients held at once.
    pub max_keys: u64,
    /// What happens beyond.
    pub overflow: Overflow,
    /// Decide and charge, but refuse nobody.
    pub dry_run: bool,
}

impl RateLimiterOptions {
    /// One limit of `limit` per `window_ms` by GCRA, everything else by default.
    #[must_use]
    pub fn new(limit: u64, window_ms: u64) -> Self {
        Self::by(AlgorithmKind::Gcra, limit, window_ms)
    }

    /// As [`new`](Self::new), by another rule.
    #[must_use]
    pub fn by(algorithm: AlgorithmKind, limit: u64, window_ms: u64) -> Self {
        let quota = Quota { limit, window_ms, burst: None };
        Self {
            limits: vec![LimitOptions { name: "limit".to_owned(), quota, algorithm }],
            max_keys: 1_000_000,
            overflow: Overflow::default(),
            dry_run: false,
        }
    }
}

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
    /// At least one, and [`MAX_LIMITS`] at most.
    pub(crate) rules: Box<[Rule]>,
    /// How often the limiter was reconfigured before these came into force.
    pub(crate) generation: u64,
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

    /// How often the limiter was reconfigured before these came into force.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Options to come into force after these, for the same table and the same words in it.
    pub(crate) fn replaced_by(&self, options: RateLimiterOptions) -> Result<Self> {
        for (option, fixed, given) in [
            ("maxKeys", self.options.max_keys.to_string(), options.max_keys.to_string()),
            ("overflow", self.options.overflow.to_string(), options.overflow.to_string()),
            ("limits", shape(&self.options), shape(&options)),
        ] {
            if fixed != given {
                let accepted = format!("{fixed}: it is fixed at creation");
                return Err(Error::invalid_option(&format!("reconfigure {option}"), given, accepted));
            }
        }
        Self::build(options, Some(self))
    }

    /// These options with another limit, for one call.
    pub(crate) fn with_limit(&self, limit: u64) -> Result<Self> {
        let mut options = self.options.clone();
        let [single] = &mut options.limits[..] else {
            let given = format!("{} limits", self.rules.len());
            return Err(Error::invalid_option("a limit for one call", given, "a limiter of one limit"));
        };
        single.quota = Quota { limit, burst: None, ..single.quota };
        let config = Self::build(options, Some(self))?;
        Ok(Self { generation: self.generation, ..config })
    }

    /// These options, as a call was judged by them whose limit may have been its own.
    pub(crate) fn judging_by(self: &Arc<Self>, limit: u64) -> Arc<Self> {
        match &self.rules[..] {
            // A limit that is not valid with these options was one of others, which are no more.
            [rule] if rule.limit != limit => {
                self.with_limit(limit).map_or_else(|_| Arc::clone(self), Arc::new)
            }
            _ => Arc::clone(self),
        }
    }

    /// The error where the system cannot map the table.
    pub(crate) fn too_large(&self, cause: &io::Error) -> Error {
        let bytes = bytes_of_a_key(self.rules.len());
        memory::refused("RateLimiter maxKeys", self.options.max_keys, bytes, cause)
    }

    fn build(options: RateLimiterOptions, existing: Option<&Self>) -> Result<Self> {
        check_range("RateLimiter", "maxKeys", options.max_keys, 1 << 32)?;
        memory::check("RateLimiter maxKeys", options.max_keys, bytes_of_a_key(options.limits.len()))?;
        if options.limits.is_empty() || options.limits.len() > MAX_LIMITS {
            let given = format!("{} limits", options.limits.len());
            return Err(Error::invalid_option(
                "RateLimiter limits",
                given,
                format!("1 to {MAX_LIMITS} limits"),
            ));
        }
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
        let rules = rules.collect::<Result<_>>()?;
        let generation = existing.map_or(0, |existing| existing.generation + 1);
        Ok(Self { options, rules, generation })
    }

    /// As the user would read them.
    pub(crate) fn list(&self) -> OptionList {
        let RateLimiterOptions { limits, max_keys, overflow, dry_run } = &self.options;
        let (single, several) = match &limits[..] {
            [limit] => (Some(limit), "none".to_owned()),
            limits => (None, limits.iter().map(LimitOptions::to_string).collect::<Vec<_>>().join("; ")),
        };
        let of_single = |text: fn(&LimitOptions) -> String| single.map_or_else(|| "none".to_owned(), text);
        vec![
            ("limits", several),
            ("limits[0].name", of_single(|limit| limit.name.clone())),
            ("limit", of_single(|limit| limit.quota.limit.to_string())),
            ("window", of_single(|limit| format!("{} ms", limit.quota.window_ms))),
            ("burst", of_single(|limit| limit.quota.burst.unwrap_or(limit.quota.limit).to_string())),
            ("algorithm", of_single(|limit| limit.algorithm.to_string())),
            ("maxKeys", max_keys.to_string()),
            ("overflow", overflow.to_string()),
            ("dryRun", dry_run.to_string()),
        ]
    }
}

/// Most bytes that a client takes in a full table.
fn bytes_of_a_key(limits: usize) -> u64 {
    const MANY: u64 = 1 << 20;
    let of_cell = if limits > 1 { Several::bytes_each(limits) } else { 0 };
    (slots_for(MANY) * (SLOT_BYTES + of_cell) as u64).div_ceil(MANY)
}

impl RateLimiterConfig {
    /// What is fixed at creation.
    pub(crate) fn list_fixed(&self) -> OptionList {
        vec![
            ("limits", shape(&self.options)),
            ("window", sliding_windows(&self.options)),
            ("maxKeys", self.options.max_keys.to_string()),
            ("overflow", self.options.overflow.to_string()),
        ]
    }
}

/// Lengths of the sliding windows, which the numbers of windows in clients' words depend on.
fn sliding_windows(options: &RateLimiterOptions) -> String {
    let sliding = options.limits.iter().filter(|limit| limit.algorithm == AlgorithmKind::SlidingWindow);
    let lengths = sliding.map(|limit| format!("{} ms", limit.quota.window_ms));
    lengths.collect::<Vec<_>>().join(", ")
}

/// What of the limits cannot change: how many, which, by which rules.
fn shape(options: &RateLimiterOptions) -> String {
    let limits = options.limits.iter().map(|limit| format!("{} by {}", limit.name, limit.algorithm));
    limits.collect::<Vec<_>>().join(", ")
}

impl fmt::Display for LimitOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} by {}", self.name, self.quota, self.algorithm)
    }
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evict => "\"evict\"",
            Self::Deny => "\"deny\"",
            Self::Allow => "\"allow\"",
        })
    }
}

impl fmt::Display for AlgorithmKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gcra => "\"gcra\"",
            Self::FixedWindow => "\"fixed-window\"",
            Self::SlidingWindow => "\"sliding-window\"",
        })
    }
}
