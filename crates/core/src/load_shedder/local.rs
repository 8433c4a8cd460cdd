//! A thread's own handle to a shedder.

use std::fmt;
use std::sync::Arc;

use super::laps::{EventLoop, Laps};
use super::priority::Priority;
use super::rule::Rule;
use super::shedder::{LoadShedder, Report};
use crate::Result;

/// One thread's handle to a shedder: the state of the rule, and the laps of the thread's event loop.
///
/// All methods fail once the shedder is destroyed.
pub struct LocalShedder {
    shedder: Arc<LoadShedder>,
    rule: Rule<true, true>,
    laps: Laps,
    epoch: u64,
    report: Arc<Report>,
}

impl LocalShedder {
    /// A handle for the calling thread.
    #[must_use]
    pub fn new(shedder: Arc<LoadShedder>) -> Self {
        Self::seeded(shedder, fastrand::u64(..))
    }

    /// A handle whose chances are those of the seed.
    #[must_use]
    pub fn seeded(shedder: Arc<LoadShedder>, seed: u64) -> Self {
        let report = shedder.open_report();
        let epoch = shedder.epoch().unwrap_or_default();
        Self { shedder, rule: Rule::new(seed), laps: Laps::default(), epoch, report }
    }

    /// The shedder.
    #[must_use]
    pub fn shedder(&self) -> &Arc<LoadShedder> {
        &self.shedder
    }

    /// Whether a request is admitted that is asked for at `now`.
    ///
    /// # Errors
    ///
    /// The shedder is destroyed.
    #[inline]
    pub fn admit(&mut self, priority: Priority, at: &impl EventLoop, now: u64) -> Result<bool> {
        let target = self.follow(at, now)?;
        let is_shed = self.rule.sheds(priority, self.laps.lap(now), target, now);
        self.shedder.count(priority, is_shed);
        Ok(!is_shed)
    }

    /// Whether the thread is behind: each lap takes longer than the target, for 100 ms or more.
    ///
    /// # Errors
    ///
    /// The shedder is destroyed.
    pub fn is_behind(&mut self, at: &impl EventLoop, now: u64) -> Result<bool> {
        self.follow(at, now)?;
        Ok(self.laps.is_behind(now))
    }

    /// How long a request that comes now waits for the event loop, as far as is known: the length of the last lap, or the
    /// age of the running one where that is longer.
    ///
    /// # Errors
    ///
    /// The shedder is destroyed.
    pub fn delay(&mut self, at: &impl EventLoop, now: u64) -> Result<u64> {
        self.follow(at, now)?;
        Ok(self.laps.delay(now))
    }

    /// The running lap ends: for runtimes that do not tell of the turns of their loop.
    pub fn end_lap(&mut self, now: u64) {
        if let Some(length) = self.laps.end(self.shedder.target(), now) {
            self.tell(length, now);
        }
    }

    /// Follows the event loop to the lap that runs. Returns the target.
    #[inline]
    fn follow(&mut self, at: &impl EventLoop, now: u64) -> Result<u64> {
        let epoch = self.shedder.epoch()?;
        if epoch != self.epoch {
            self.begin_anew(epoch);
        }
        let target = self.shedder.target();
        if let Some(began) = self.laps.follow(at, target, now) {
            self.report.set_asked(true);
            if began.is_after_pause {
                self.rule.forget();
            }
            if let Some(length) = began.ended {
                self.tell(length, now);
            }
        }
        Ok(target)
    }

    #[cold]
    fn begin_anew(&mut self, epoch: u64) {
        self.epoch = epoch;
        self.laps = Laps::default();
        self.rule.forget();
    }

    fn tell(&self, length: u64, now: u64) {
        self.shedder.count_lap(length);
        self.report.write(length, self.laps.is_behind(now), now);
    }
}

impl fmt::Debug for LocalShedder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalShedder").field("shedder", &self.shedder).finish_non_exhaustive()
    }
}
