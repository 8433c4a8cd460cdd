//! What is done to a semaphore as a whole: other options, statistics, the end of a thread, resets.

use super::calls::{ACQUIRED, REFUSED, Semaphore, TAKEN_BACK};
use super::events::{Notices, SemaphoreEvent};
use super::key_state::Served;
use super::options::{SemaphoreConfig, SemaphoreOptions};
use super::stats::SemaphoreStats;
use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock;
use crate::runtime::sync::Ordering;

impl Semaphore {
    /// Takes other options. Fewer permits wait for releases; calls that ask for more than there are now are given up.
    ///
    /// # Errors
    ///
    /// Those of `change`, [`Error::InvalidOption`], and [`Error::Closed`] after the semaphore was destroyed.
    pub fn reconfigure(&self, change: impl FnOnce(&mut SemaphoreOptions) -> Result<()>) -> Result<()> {
        self.check_open()?;
        let mut options = self.options.lock().clone();
        change(&mut options)?;
        self.adopt(options.try_into()?);
        Ok(())
    }

    /// Sums over all threads. Costs one pass over the keys.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the semaphore was destroyed.
    pub fn stats(&self) -> Result<SemaphoreStats> {
        self.check_open()?;
        let mut stats = SemaphoreStats {
            permits: self.permits.load(Ordering::Relaxed),
            acquired: self.counters.sum(ACQUIRED),
            refused: self.counters.sum(REFUSED),
            taken_back: self.counters.sum(TAKEN_BACK),
            ..SemaphoreStats::default()
        };
        self.keys.read_all(|state| {
            stats.keys += 1;
            stats.held += state.held();
            stats.waiting += state.waiting() as u64;
            for (thread, held) in state.holders() {
                *stats.per_thread.entry(*thread).or_default() += held;
            }
        });
        Ok(stats)
    }

    /// Returns the permits of a thread that ended, removes its calls, and serves the lines.
    pub fn thread_ended(&self, thread: ThreadId) {
        let (mut served, mut left) = (Served::default(), 0);
        self.keys.change_all(|state| {
            left += state.thread_ended(thread);
            state.serve(self.most(), None, clock::real(), &mut served);
        });
        self.end_waits(left);
        self.settle(&mut served);
    }

    pub(super) fn adopt(&self, config: SemaphoreConfig) {
        let SemaphoreOptions { permits, max_waiting } = config.options;
        {
            let mut options = self.options.lock();
            *options = config.options;
            // Relaxed: a call that races with this may still be decided by the options of before.
            self.permits.store(permits, Ordering::Relaxed);
            self.max_waiting.store(max_waiting, Ordering::Relaxed);
        }
        let (mut served, mut unmet) = (Served::default(), Vec::new());
        self.keys.change_all(|state| {
            unmet.extend(state.remove_unmet(permits));
            state.serve(permits, None, clock::real(), &mut served);
        });
        self.end_waits(unmet.len() as u64);
        let unmet = unmet.into_iter().map(|waiter| (waiter.caller, waiter.id)).collect();
        served.notices.settle(unmet, |waits| SemaphoreEvent::Unmet { waits, permits });
        self.settle(&mut served);
    }

    /// Forgets everything that is held, and notifies the calls that wait.
    pub(super) fn empty(&self, is_reset: bool) {
        let (mut waits, mut in_line) = (Vec::new(), 0);
        self.keys.clear(|state| {
            in_line += state.waiting() as u64;
            waits.extend(state.waiters().map(|waiter| (waiter.caller.clone(), waiter.id)));
        });
        self.end_waits(in_line);
        let mut notices = Notices::default();
        notices.settle(waits, |waits| SemaphoreEvent::Closed { waits, is_reset });
        notices.send();
    }
}
