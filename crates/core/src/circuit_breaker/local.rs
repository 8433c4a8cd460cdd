//! A thread's own handle to a breaker that it calls often.

mod recent;
#[cfg(all(test, not(sluice_loom)))]
mod tests;

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, Cache};

use super::answer::{Answer, Request};
use super::breaker::{CircuitBreaker, Report};
use super::options::CircuitBreakerConfig;
use super::ticket::Ticket;
use crate::Result;
use crate::runtime::key_hash::KeyHash;
use recent::Recent;

/// One thread's handle to a breaker: the options in force, and the circuits that the thread called last. Calls do what
/// those of the breaker do, and take no lock to find a circuit.
pub struct LocalBreaker {
    breaker: Arc<CircuitBreaker>,
    config: Cache<Arc<ArcSwap<CircuitBreakerConfig>>, Arc<CircuitBreakerConfig>>,
    recent: Recent,
}

impl LocalBreaker {
    /// A handle for the calling thread.
    #[must_use]
    pub fn new(breaker: Arc<CircuitBreaker>) -> Self {
        let config = Cache::new(Arc::clone(&breaker.config));
        let recent = Recent::of_capacity(breaker.targets.capacity());
        Self { breaker, config, recent }
    }

    /// The breaker, for calls that are not made for every request.
    #[must_use]
    pub fn breaker(&self) -> &Arc<CircuitBreaker> {
        &self.breaker
    }

    /// As [`CircuitBreaker::try_acquire_known`].
    ///
    /// # Errors
    ///
    /// As of [`CircuitBreaker::try_acquire_known`].
    #[inline]
    pub fn try_acquire_known(&mut self, key: KeyHash, request: Request, now: u64) -> Result<Option<Answer>> {
        self.breaker.check_open()?;
        // An evicted circuit gives no answer. Its target may have another one.
        let answer = self.recent.of_target(key).and_then(|circuit| {
            circuit.prefetch_window();
            circuit.try_pass(now)
        });
        match answer {
            Some(answer) => {
                self.breaker.count_answer(&answer);
                Ok(Some(answer))
            }
            None => Ok(self.look_up(key, request, now)),
        }
    }

    /// As [`CircuitBreaker::report`].
    #[inline]
    pub fn report(&mut self, ticket: Ticket, failed: bool, took: Option<u64>, now: u64) -> bool {
        // Serials wrap around: another circuit may have that of an evicted one.
        let circuit = self.recent.of_serial(ticket.serial()).filter(|circuit| circuit.state().is_some());
        match circuit {
            Some(circuit) => {
                let report = Report { ticket, failed, took, now };
                self.breaker.report_to(Some(circuit), report, self.config.load())
            }
            None => self.breaker.report(ticket, failed, took, now),
        }
    }

    #[inline(never)]
    fn look_up(&mut self, key: KeyHash, request: Request, now: u64) -> Option<Answer> {
        let circuit = self.breaker.targets.get(key)?;
        let answer = self.breaker.answer_of(&circuit, request, now);
        self.recent.add(circuit);
        answer
    }
}

impl fmt::Debug for LocalBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalBreaker").field("breaker", &self.breaker).finish_non_exhaustive()
    }
}
