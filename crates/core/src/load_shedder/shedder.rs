//! What the threads of a shedder share: the target, and what they count.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::options::{LoadShedderConfig, LoadShedderOptions};
use super::priority::{CLASSES, PRIORITIES, Priority};
use crate::runtime::clock::MS;
use crate::runtime::instances::OptionList;
use crate::runtime::options::Source;
use crate::runtime::sharded_counters::ShardedCounters;
use crate::{Error, Result};

/// How long a thread's last report says something about it. One that is asked nothing reports nothing.
const FRESH: u64 = 1_000 * MS;

/// Counters: what was admitted of each priority, what was shed of each, laps, and their length.
const SHED: usize = PRIORITIES;
const LAPS: usize = SHED + CLASSES;
const LAP_TIME: usize = LAPS + 1;
const COUNTERS: usize = LAP_TIME + 1;

/// A shedder: one target for all threads, each of which decides by its own laps.
#[derive(Debug)]
pub struct LoadShedder {
    name: String,
    pub(super) created_with: OptionList,
    options: Mutex<LoadShedderOptions>,
    /// In nanoseconds.
    target: AtomicU64,
    /// Raised when handles are to begin anew; [`CLOSED`] once the shedder is destroyed.
    epoch: AtomicU64,
    counters: ShardedCounters<COUNTERS>,
    longest: AtomicU64,
    /// Of each thread that has a handle.
    reports: Mutex<Vec<Weak<Report>>>,
}

const CLOSED: u64 = u64::MAX;

/// What one thread's handle last saw.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Whether the thread has asked the shedder anything.
    has_asked: AtomicBool,
    delay: AtomicU64,
    is_behind: AtomicBool,
    at: AtomicU64,
}

impl Report {
    pub(super) fn set_asked(&self, has_asked: bool) {
        self.has_asked.store(has_asked, Ordering::Relaxed);
    }

    /// Relaxed throughout: a report is for people, and may be of two moments.
    pub(super) fn write(&self, delay: u64, is_behind: bool, now: u64) {
        self.delay.store(delay, Ordering::Relaxed);
        self.is_behind.store(is_behind, Ordering::Relaxed);
        self.at.store(now, Ordering::Relaxed);
    }
}

/// Sums over all threads since creation, and the state now. Times are nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LoadShedderStats {
    /// Requests admitted, by priority: high, normal, low, exempt.
    pub admitted: [u64; PRIORITIES],
    /// Requests shed, by priority: high, normal, low.
    pub shed: [u64; CLASSES],
    /// Laps in which something was asked.
    pub laps: u64,
    /// Their length in all.
    pub lap_time: u64,
    /// The longest of them.
    pub longest: u64,
    /// Threads that have asked it something.
    pub threads: u64,
    /// Those of them that are behind.
    pub behind: u64,
    /// The longest of the last laps of all threads that were asked within a second.
    pub delay: u64,
}

impl LoadShedder {
    pub(super) fn new(name: &str, config: LoadShedderConfig) -> Self {
        Self {
            name: name.to_owned(),
            created_with: config.list(),
            target: AtomicU64::new(config.options.target_delay_ms * MS),
            options: Mutex::new(config.options),
            epoch: AtomicU64::new(0),
            counters: ShardedCounters::new(),
            longest: AtomicU64::new(0),
            reports: Mutex::default(),
        }
    }

    /// Replaces the options in `given`. What is left out stays in force.
    ///
    /// # Errors
    ///
    /// A target that is not accepted; the shedder is destroyed.
    pub fn reconfigure_with(&self, given: &dyn Source) -> Result<()> {
        self.epoch()?;
        // Read without the lock: reading options may run code of the other side.
        let mut options = self.options.lock().clone();
        options.update(given)?;
        self.replace(LoadShedderConfig::try_from(options)?);
        Ok(())
    }

    /// Fails once the shedder is destroyed; observes nothing else.
    ///
    /// # Errors
    ///
    /// The shedder is destroyed.
    pub fn check_open(&self) -> Result<()> {
        self.epoch().map(drop)
    }

    /// Sums and the state at `now`.
    ///
    /// # Errors
    ///
    /// The shedder is destroyed.
    pub fn stats(&self, now: u64) -> Result<LoadShedderStats> {
        self.epoch()?;
        let reports: Vec<_> = self.reports.lock().iter().filter_map(Weak::upgrade).collect();
        let is_fresh = |report: &&Arc<Report>| now.saturating_sub(report.at.load(Ordering::Relaxed)) < FRESH;
        let fresh = || reports.iter().filter(is_fresh);
        let is_behind = |report: &&Arc<Report>| report.is_behind.load(Ordering::Relaxed);
        Ok(LoadShedderStats {
            admitted: std::array::from_fn(|priority| self.counters.sum(priority)),
            shed: std::array::from_fn(|class| self.counters.sum(SHED + class)),
            laps: self.counters.sum(LAPS),
            lap_time: self.counters.sum(LAP_TIME),
            longest: self.longest.load(Ordering::Relaxed),
            threads: reports.iter().filter(|report| report.has_asked.load(Ordering::Relaxed)).count() as u64,
            behind: fresh().filter(is_behind).count() as u64,
            delay: fresh().map(|report| report.delay.load(Ordering::Relaxed)).max().unwrap_or(0),
        })
    }

    /// In nanoseconds.
    #[inline]
    pub(super) fn target(&self) -> u64 {
        // Relaxed: publishes nothing else.
        self.target.load(Ordering::Relaxed)
    }

    /// Which epoch handles are to be of.
    #[inline]
    pub(super) fn epoch(&self) -> Result<u64> {
        // Relaxed: a handle that sees it late decides once more by what it knew.
        match self.epoch.load(Ordering::Relaxed) {
            CLOSED => Err(Error::Closed { name: self.name.clone() }),
            epoch => Ok(epoch),
        }
    }

    pub(super) fn replace(&self, config: LoadShedderConfig) {
        self.target.store(config.options.target_delay_ms * MS, Ordering::Relaxed);
        *self.options.lock() = config.options;
    }

    /// A report for the handle of a thread, which lives as long as the handle.
    pub(super) fn open_report(&self) -> Arc<Report> {
        let report = Arc::new(Report::default());
        let mut reports = self.reports.lock();
        reports.retain(|known| known.strong_count() > 0);
        reports.push(Arc::downgrade(&report));
        report
    }

    #[inline]
    pub(super) fn count(&self, priority: Priority, is_shed: bool) {
        let counter = priority as usize + if is_shed { SHED } else { 0 };
        self.counters.add(counter, 1);
    }

    pub(super) fn count_lap(&self, length: u64) {
        self.counters.add(LAPS, 1);
        self.counters.add(LAP_TIME, length);
        if length > self.longest.load(Ordering::Relaxed) {
            self.longest.fetch_max(length, Ordering::Relaxed);
        }
    }

    pub(super) fn close(&self) {
        self.epoch.store(CLOSED, Ordering::Relaxed);
    }

    /// Handles begin anew.
    pub(super) fn begin_anew(&self) {
        let raised = |epoch: u64| (epoch != CLOSED).then_some(epoch.wrapping_add(1));
        let _ = self.epoch.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raised);
    }

    pub(super) fn forget_counts(&self) {
        self.counters.reset();
        self.longest.store(0, Ordering::Relaxed);
        for report in self.reports.lock().iter().filter_map(Weak::upgrade) {
            report.write(0, false, 0);
            report.set_asked(false);
        }
    }
}
