//! What the threads of a guard share beside its limiters, tracker, reputation and monitor: options and counts.

mod options;

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

pub use options::{
    AddressSource, ConcurrencyCaps, GuardConfig, GuardOptions, GuardPart, PartName, RecordOptions,
};

use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::runtime::latency_histogram::LatencyHistogram;
use crate::runtime::sharded_counters::ShardedCounters;

/// What a guard counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuardCounter {
    /// Requests that passed.
    Allowed,
    /// Requests that a limiter refused.
    RefusedByQuota,
    /// Requests whose connection exceeded a cap.
    RefusedByConnections,
    /// Requests of banned clients.
    RefusedByBan,
    /// Requests that passed only because of `dryRun`.
    DryRefused,
    /// Requests that were not charged, by `skip`.
    Skipped,
    /// Charges that were taken back.
    Refunded,
    /// Requests that the reputation or the monitor recorded.
    Recorded,
    /// Internal errors, each of which let its request pass.
    Faults,
    /// Sockets that were refused at accept.
    RefusedAtAccept,
    /// Requests for which too many were in progress.
    RefusedByConcurrency,
    /// Requests that the thread could not take on.
    RefusedByOverload,
}

const COUNTERS: usize = GuardCounter::RefusedByOverload as usize + 1;

/// The shared part of a guard. It decides nothing: its limiters, tracker and reputation do. It lives as long as the
/// process.
#[derive(Debug)]
pub struct Guard {
    name: String,
    config: ArcSwap<GuardConfig>,
    created_with: OptionList,
    counters: ShardedCounters<COUNTERS>,
    /// How long its decisions took, where that is measured.
    pub decisions: LatencyHistogram,
    /// Names of the limiters that its rules use, added as threads declare them.
    limiters: Mutex<BTreeSet<String>>,
}

impl Guard {
    /// Its name in the process.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a limiter to the names that [`limiters`](Self::limiters) returns. Idempotent.
    pub fn add_limiter(&self, name: String) {
        self.limiters.lock().insert(name);
    }

    /// Names of the limiters that all threads use for this guard, sorted.
    #[must_use]
    pub fn limiters(&self) -> Vec<String> {
        self.limiters.lock().iter().cloned().collect()
    }

    /// The options in force.
    #[must_use]
    pub fn config(&self) -> Arc<GuardConfig> {
        self.config.load_full()
    }

    /// Adds one to a counter.
    pub fn count(&self, counter: GuardCounter) {
        self.counters.add(counter as usize, 1);
    }

    /// The sum of a counter over all threads.
    #[must_use]
    pub fn sum(&self, counter: GuardCounter) -> u64 {
        self.counters.sum(counter as usize)
    }
}

impl Instance for Guard {
    const KIND: &'static str = "guard";
    type Config = GuardConfig;

    fn create(name: &str, config: GuardConfig) -> Self {
        Self {
            name: name.to_owned(),
            created_with: config.list(),
            config: ArcSwap::from_pointee(config),
            counters: ShardedCounters::new(),
            decisions: LatencyHistogram::new(),
            limiters: Mutex::default(),
        }
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &GuardConfig) -> OptionList {
        config.list()
    }

    fn list_fixed(config: &GuardConfig) -> OptionList {
        config.list_fixed()
    }

    fn reconfigure(&self, _: &str, config: GuardConfig, _: bool) -> Result<Option<Arc<Self>>> {
        self.config.store(Arc::new(config));
        Ok(None)
    }

    fn reset(&self) {
        self.counters.reset();
        self.decisions.reset();
    }

    /// A guard refuses nothing itself: its parts are closed by themselves.
    fn close(&self) {}

    /// Threads hold nothing of a guard.
    fn thread_ended(&self, _: ThreadId, _: u64) {}

    /// A guard keeps no times.
    fn clock_was_set_back(&self, _: SetBack) {}
}

#[cfg(test)]
mod tests;
