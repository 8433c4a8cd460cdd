//! What operators look at: the last hour second by second, the clients with most requests and refusals, and what happened.
//!
//! It is off until the first dashboard, inspection or collector of the process starts it. Off, a call of a limiter costs one
//! look at a flag. On, calls still write nothing shared: the history reads counters that exist anyway, once a second, and
//! the rankings are given samples of the calls.

mod history;
mod journal;
mod latencies;
mod ranking;
mod sampler;
mod series;
mod threads;

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

pub use history::{
    GUARD_SERIES, GuardTotals, History, LIMITER_SERIES, LimiterTotals, MAX_GUARDS, MAX_LIMITERS, Recent,
};
pub use journal::{Journal, MAX_ENTRIES, Note};
pub use latencies::{Latencies, Measured};
pub use ranking::{CAPACITY, MAX_KEY_BYTES, MINUTES, Observed, Ranked, Ranking, Reason};
pub use sampler::{BURST, LARGEST_STRIDE, LEAST_GAP, Sampler};
pub use threads::{ThreadLoad, ThreadLoads};

use crate::runtime::clock::SetBack;
use crate::runtime::{Component, ThreadId};

/// What the process observes, for all threads.
#[derive(Debug)]
pub struct Observation {
    is_on: AtomicBool,
    /// Requests and calls per second.
    pub history: Mutex<History>,
    /// The clients that were refused most.
    pub offenders: Mutex<Ranking>,
    /// The clients with most requests, admitted and refused.
    pub clients: Mutex<Ranking>,
    /// What happened: alerts, changes of circuits, actions of operators.
    pub journal: Mutex<Journal>,
    /// How busy each thread is.
    pub threads: Mutex<ThreadLoads>,
    /// How long decisions of limiters took.
    pub latencies: Latencies,
}

impl Observation {
    /// Observes nothing yet, and allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            is_on: AtomicBool::new(false),
            history: Mutex::new(History::new()),
            offenders: Mutex::new(Ranking::new()),
            clients: Mutex::new(Ranking::new()),
            journal: Mutex::new(Journal::new()),
            threads: Mutex::new(ThreadLoads::new()),
            latencies: Latencies::new(),
        }
    }

    /// Whether it was started.
    #[inline(always)]
    #[must_use]
    pub fn is_on(&self) -> bool {
        // Relaxed: a call that sees it late is not sampled; nothing else depends on it.
        self.is_on.load(Ordering::Relaxed)
    }

    /// Starts it; true for the call that did.
    pub fn start(&self) -> bool {
        !self.is_on.swap(true, Ordering::AcqRel)
    }

    /// Adds a call that stands for `weight` calls.
    pub fn observe(&self, observed: &Observed<'_>, weight: u32, now: u64) {
        if observed.reason != Reason::Admitted {
            self.offenders.lock().add(observed, weight, now);
        }
        self.clients.lock().add_of_client(observed, weight, now);
    }
}

impl Default for Observation {
    fn default() -> Self {
        Self::new()
    }
}

impl Component for Observation {
    fn thread_ended(&self, thread: ThreadId, _: u64) {
        self.threads.lock().remove(thread);
    }

    /// Times after the new one would never grow old.
    fn clock_was_set_back(&self, _: SetBack) {
        self.history.lock().clear();
        self.offenders.lock().clear();
        self.clients.lock().clear();
    }

    /// It goes on observing.
    fn reset(&self) {
        self.history.lock().clear();
        self.offenders.lock().clear();
        self.clients.lock().clear();
        self.journal.lock().clear();
        self.latencies.reset();
    }

    fn names(&self) -> Option<(&'static str, Vec<String>)> {
        None
    }
}

#[cfg(test)]
mod tests;
