//! Options of a limiter, as they are given.

use std::fmt;

use super::quota::Quota;
use super::scope::Scope;
use crate::key_table::{MAX_WORDS, Overflow};
use crate::runtime::options::{Accepts, Field, OptionValue, Source, choice, options};
use crate::{Error, Result};

/// Most limits of one limiter.
pub const MAX_LIMITS: usize = MAX_WORDS;

/// How a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AlgorithmKind {
    /// A bucket that refills evenly.
    #[default]
    Gcra,
    /// A count per window, which starts with the key's first call.
    FixedWindow,
    /// The counts of two aligned windows, weighted by time.
    SlidingWindow,
}

choice! {
    AlgorithmKind { Gcra = "gcra", FixedWindow = "fixed-window", SlidingWindow = "sliding-window" }
}

options! {
    /// Options of a limiter.
    #[derive(Eq)]
    pub struct RateLimiterOptions of "RateLimiter" {
        /// The limits. A call is charged to all of them or to none.
        limits: Vec<LimitOptions> = "limits", Accepts::Other, required as limits;
        /// Keys that the table is sized for.
        max_keys: u64 = "maxKeys", Accepts::up_to(1 << 32), default 1_000_000;
        /// What a new key gets when the table is full.
        overflow: Overflow = "overflow", Accepts::OneOf(Overflow::TEXTS);
        /// Decides, charges and counts as usual, but admits every call.
        dry_run: bool = "dryRun", Accepts::Boolean, default false;
        /// Most calls that wait at once, over all keys.
        max_waiting: u64 = "maxWaiting", Accepts::up_to(1_000_000), default 10_000;
        /// Which threads share the limiter.
        scope: Scope = "scope", Accepts::Other;
    }
}

impl RateLimiterOptions {
    /// A single limit by GCRA, and everything else by default.
    #[must_use]
    pub fn single(limit: u64, window_ms: u64) -> Self {
        Self::by(AlgorithmKind::Gcra, limit, window_ms)
    }

    /// As [`single`](Self::single), by any algorithm.
    #[must_use]
    pub fn by(algorithm: AlgorithmKind, limit: u64, window_ms: u64) -> Self {
        let single = LimitOptions::new(Quota::new(limit, window_ms));
        Self::new(vec![LimitOptions { algorithm, ..single }])
    }

    /// These options with those in `given` in their place: `limits`, or the options of a single limit.
    pub(super) fn with(&self, given: &dyn Source) -> Result<Self> {
        let mut options = self.clone();
        options.update(given)?;
        if given.list("limits").is_none() {
            match &mut options.limits[..] {
                [single] => single.update(given)?,
                _ => refuse_options_of_a_limit(given)?,
            }
        }
        Ok(options)
    }
}

/// One limit of a limiter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitOptions {
    /// What decisions call it.
    pub name: String,
    /// How much in how long.
    pub quota: Quota,
    /// How it counts.
    pub algorithm: AlgorithmKind,
}

/// An option without a default: the burst of a quota.
const OPTIONAL: Field = Quota::FIELDS[2];

impl LimitOptions {
    /// The options by their names in JavaScript, where those of the quota are not nested.
    pub const FIELDS: &'static [Field] = &[
        Field { name: "name", accepts: Accepts::Other, ..OPTIONAL },
        Quota::FIELDS[0],
        Quota::FIELDS[1],
        Quota::FIELDS[2],
        Field { name: "algorithm", accepts: Accepts::OneOf(AlgorithmKind::TEXTS), ..OPTIONAL },
    ];

    /// A limit by GCRA.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        Self { name: "limit".to_owned(), quota, algorithm: AlgorithmKind::default() }
    }

    fn read(source: &dyn Source) -> Result<Self> {
        let mut limit = Self::new(Quota::read(source)?);
        limit.update(source)?;
        Ok(limit)
    }

    fn update(&mut self, source: &dyn Source) -> Result<()> {
        self.name.update(source, "name")?;
        self.quota.update(source)?;
        self.algorithm.update(source, "algorithm").map_err(|error| error.of_owner("RateLimiter"))
    }
}

impl fmt::Display for LimitOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} by {}", self.name, self.quota, self.algorithm)
    }
}

impl OptionValue for Vec<LimitOptions> {
    fn read(source: &dyn Source, name: &str) -> Option<Self> {
        read_limits(source, name)?.ok()
    }

    fn update(&mut self, source: &dyn Source, name: &str) -> Result<()> {
        if let Some(limits) = read_limits(source, name) {
            *self = limits?;
        }
        Ok(())
    }

    fn check(&self, option: &str, _: &Accepts) -> Result<()> {
        if (1..=MAX_LIMITS).contains(&self.len()) {
            return Ok(());
        }
        let given = format!("{} limits", self.len());
        Err(Error::invalid_option(option, given, format!("1 to {MAX_LIMITS} limits")))
    }

    fn print(&self, _: &Accepts) -> String {
        self.iter().map(LimitOptions::to_string).collect::<Vec<_>>().join("; ")
    }
}

fn read_limits(source: &dyn Source, name: &str) -> Option<Result<Vec<LimitOptions>>> {
    let limits = source.list(name)?;
    Some(limits.iter().map(|limit| LimitOptions::read(&**limit)).collect())
}

/// Several limits are reconfigured by `limits` only.
fn refuse_options_of_a_limit(given: &dyn Source) -> Result<()> {
    for Field { name, .. } in LimitOptions::FIELDS {
        let number = given.number(name).map(|number| number.to_string());
        if let Some(value) = number.or_else(|| given.text(name).map(|text| format!("{text:?}"))) {
            let accepted = "nothing: this limiter has several limits, which change by limits";
            return Err(Error::invalid_option(&format!("reconfigure {name}"), value, accepted));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
