//! What is counted of calls, and told of all of them.

use super::config::RateLimiterConfig;
use super::options::Overflow;
use crate::runtime::sharded_counters::Count;

/// Counts over all threads since creation, and the state of the table now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimiterStats {
    /// Calls admitted.
    pub allowed: u64,
    /// Calls refused.
    pub refused: u64,
    /// Calls that passed under `dryRun` and would have been refused.
    pub dry_refused: u64,
    /// Calls that found no place in the table: passed uncounted, refused, or a block that was not kept.
    pub untracked: u64,
    /// Clients forgotten while their state still mattered.
    pub live_evictions: u64,
    /// Clients blocked now.
    pub blocked: u64,
    /// Clients not as if never seen now.
    pub size: u64,
    /// Most clients held at once.
    pub capacity: u64,
}

pub(super) const ALLOWED: usize = 0;
pub(super) const REFUSED: usize = 1;
pub(super) const DRY_REFUSED: usize = 2;
pub(super) const UNTRACKED: usize = 3;
pub(super) const COUNTERS: usize = 4;

/// The table is full, and the call is counted for it; whether it is refused.
pub(super) fn overflow_refuses(config: &RateLimiterConfig, counts: &impl Count) -> bool {
    counts.count(UNTRACKED);
    config.options.overflow == Overflow::Deny
}

/// Counts the call; true when it may pass.
#[inline]
pub(super) fn count(refused: bool, config: &RateLimiterConfig, counts: &impl Count) -> bool {
    let counter = match (refused, config.options.dry_run) {
        (false, _) => ALLOWED,
        (true, false) => REFUSED,
        (true, true) => DRY_REFUSED,
    };
    counts.count(counter);
    counter != REFUSED
}
