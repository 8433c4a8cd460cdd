//! The counters of calls that something beside the limiter's table decides.

use std::fmt;
use std::sync::Arc;

use super::config_epoch::ConfigEpoch;
use super::counts::{ALLOWED, DRY_REFUSED, LocalCounts, REFUSED};
use super::limiter::RateLimiter;
use crate::runtime::sharded_counters::Count;

/// One thread's counters of a limiter, for calls that its table does not decide.
pub struct CallCounter {
    limiter: Arc<RateLimiter>,
    epoch: ConfigEpoch,
    counts: LocalCounts,
    is_dry: bool,
}

impl CallCounter {
    /// Counters for the calling thread.
    #[must_use]
    pub fn new(limiter: Arc<RateLimiter>) -> Self {
        // The epoch first: the next call notices options that come later.
        let epoch = limiter.in_force.epoch();
        let (counts, is_dry) = (limiter.counts_of_handles.register(), limiter.config().options.dry_run);
        Self { limiter, epoch, counts, is_dry }
    }

    /// Whether the limiter exists and has the options that it had when this was made.
    #[inline]
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.limiter.in_force.epoch() == self.epoch && !self.epoch.is_closed()
    }

    /// Counts a call that was admitted.
    #[inline]
    pub fn count_admitted(&self) {
        self.counts.count(ALLOWED);
    }

    /// Counts a call that was refused; true where a dry run admits it all the same.
    #[inline]
    pub fn count_refused(&self) -> bool {
        self.counts.count(if self.is_dry { DRY_REFUSED } else { REFUSED });
        self.is_dry
    }
}

impl Drop for CallCounter {
    fn drop(&mut self) {
        self.limiter.counts_of_handles.unregister(&self.counts);
    }
}

impl fmt::Debug for CallCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallCounter").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}
