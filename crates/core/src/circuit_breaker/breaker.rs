//! The breaker: options, circuits, counters and subscribers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::answer::{Answer, Request};
use super::change::CircuitChange;
use super::circuit::{Circuit, Context, Reported};
use super::options::CircuitBreakerConfig;
use super::rates::Outcome;
use super::state::CircuitState;
use super::targets::Targets;
use super::ticket::Ticket;
use crate::runtime::instances::OptionList;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::mailbox::{Sink, SubscriptionId};
use crate::runtime::sharded_counters::ShardedCounters;
use crate::runtime::subscribers::Subscribers;
use crate::{Error, Result, ThreadId};

/// The end of a call.
#[derive(Clone, Copy)]
pub(super) struct Report {
    pub(super) ticket: Ticket,
    pub(super) failed: bool,
    /// How long the call took, where that is known.
    pub(super) took: Option<u64>,
    pub(super) now: u64,
}

/// One circuit for each target, shared by all threads.
///
/// A call through a closed circuit, and one that an open circuit refuses, takes no lock but the shared one of a shard
/// of the look-up. By a [`LocalBreaker`](super::LocalBreaker) it takes none.
pub struct CircuitBreaker {
    name: String,
    pub(super) created_with: OptionList,
    /// Handles of threads watch it.
    pub(super) config: Arc<ArcSwap<CircuitBreakerConfig>>,
    /// The timeout in `config`, which every call reads; 0: no limit.
    pub(super) timeout_ms: AtomicU64,
    pub(super) targets: Targets,
    pub(super) subscribers: Subscribers<CircuitChange>,
    pub(super) counters: ShardedCounters<7>,
    pub(super) closed: AtomicBool,
}

pub(super) const SUCCEEDED: usize = 0;
pub(super) const FAILED: usize = 1;
pub(super) const SLOW: usize = 2;
pub(super) const REFUSED: usize = 3;
pub(super) const IGNORED: usize = 4;
pub(super) const OPENED: usize = 5;
pub(super) const UNTRACKED: usize = 6;

impl CircuitBreaker {
    /// A breaker without circuits: all targets may be called.
    #[must_use]
    pub fn new(name: &str, config: CircuitBreakerConfig) -> Self {
        Self {
            name: name.to_owned(),
            created_with: config.options.list(),
            timeout_ms: AtomicU64::new(config.options.timeout_ms.unwrap_or(0)),
            targets: Targets::new(config.capacity()),
            config: Arc::new(ArcSwap::from_pointee(config)),
            subscribers: Subscribers::default(),
            counters: ShardedCounters::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Milliseconds that a call may take; 0: no limit.
    #[must_use]
    pub fn timeout_ms(&self) -> u64 {
        // Relaxed: no other data depends on it.
        self.timeout_ms.load(Ordering::Relaxed)
    }

    /// Whether a call to a tracked target may pass; `None` for a target that is not tracked.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the breaker was destroyed.
    pub fn try_acquire_known(&self, key: KeyHash, request: Request, now: u64) -> Result<Option<Answer>> {
        self.check_open()?;
        Ok(self.targets.get(key).and_then(|circuit| self.answer_of(&circuit, request, now)))
    }

    /// Whether a call to a target may pass. `key` is the hash of `target`.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the breaker was destroyed.
    pub fn try_acquire(&self, key: KeyHash, target: &str, request: Request, now: u64) -> Result<Answer> {
        loop {
            if let Some(answer) = self.try_acquire_known(key, request, now)? {
                return Ok(answer);
            }
            if self.circuit(key, target, false).is_none() {
                self.counters.add(UNTRACKED, 1);
                return Ok(Ok(Ticket::UNTRACKED));
            }
        }
    }

    /// Counts a call that took `took` nanoseconds, where that is known. A ticket counts once, and only in the state in
    /// which it was given; else false.
    pub fn report(&self, ticket: Ticket, failed: bool, took: Option<u64>, now: u64) -> bool {
        let circuit = self.targets.get_serial(ticket.serial());
        self.report_to(circuit.as_deref(), Report { ticket, failed, took, now }, &self.config.load())
    }

    /// As [`report`](Self::report), to the circuit of the ticket: `None` where it was evicted.
    #[inline]
    pub(super) fn report_to(
        &self,
        circuit: Option<&Circuit>,
        report: Report,
        config: &CircuitBreakerConfig,
    ) -> bool {
        let Report { ticket, failed, took, now } = report;
        let slow = took.zip(config.slow_after).is_some_and(|(took, most)| took > most);
        let outcome = Outcome { failed, slow };
        let notify = |change| self.notify(&change);
        let context = Context { config, now, notify: &notify };
        let counted = circuit.is_some_and(|circuit| match circuit.report(ticket, outcome, &context) {
            Reported::Counted => true,
            Reported::Ignored => false,
            Reported::Tripped(counts) => {
                circuit.open_if_still(ticket, counts, &context);
                true
            }
            Reported::Trial => circuit.report_trial(ticket, outcome, &context),
        });
        self.count(outcome, counted);
        counted
    }

    /// Gives a ticket back without a report. The place of a trial is free at once, not only when its lease ends.
    pub fn release(&self, ticket: Ticket) {
        if let Some(circuit) = self.targets.get_serial(ticket.serial()) {
            circuit.release(ticket);
        }
    }

    /// The state of a target's circuit. An open circuit stays open until a call tries it.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the breaker was destroyed.
    pub fn state(&self, key: KeyHash) -> Result<CircuitState> {
        self.check_open()?;
        let state = self.targets.get(key).and_then(|circuit| circuit.state());
        Ok(state.unwrap_or(CircuitState::Closed))
    }

    /// Refuses all calls to a target until it is reset or disabled.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the breaker was destroyed.
    pub fn isolate(&self, key: KeyHash, target: &str) -> Result<()> {
        self.set(key, target, CircuitState::Isolated)
    }

    /// Lets all calls to a target pass, and counts none, until it is reset or isolated.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the breaker was destroyed.
    pub fn disable(&self, key: KeyHash, target: &str) -> Result<()> {
        self.set(key, target, CircuitState::Disabled)
    }

    /// Closes a target's circuit, whatever its state, and empties its window.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the breaker was destroyed.
    pub fn reset(&self, key: KeyHash) -> Result<()> {
        self.check_open()?;
        if let Some(circuit) = self.targets.get(key) {
            // A circuit that was evicted is as good as reset.
            circuit.set(CircuitState::Closed, &|change| self.notify(&change));
        }
        Ok(())
    }

    /// Notifies a thread of every later change.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] after the breaker was destroyed.
    pub fn subscribe(&self, sink: Sink<CircuitChange>, subscription: SubscriptionId) -> Result<()> {
        self.check_open()?;
        let thread = sink.thread();
        self.subscribers.add(sink, subscription);
        // Checked again: a subscription added after the end would never be notified of it.
        self.check_open().inspect_err(|_| self.subscribers.remove(thread, subscription))
    }

    /// Ends one subscription of a thread.
    pub fn unsubscribe(&self, thread: ThreadId, subscription: SubscriptionId) {
        self.subscribers.remove(thread, subscription);
    }

    /// Ends the subscriptions of a thread that ended, and frees the places of its trials.
    pub fn thread_ended(&self, thread: ThreadId) {
        self.subscribers.thread_ended(thread);
        for circuit in self.targets.all() {
            circuit.thread_ended(thread);
        }
    }

    /// A test set the clock back. Nothing lasts longer than if it began now.
    pub fn clock_was_set_back(&self, now: u64) {
        for circuit in self.targets.all() {
            circuit.clock_was_set_back(&self.config.load(), now);
        }
    }

    /// The answer of a circuit, counted; `None` when it was evicted.
    pub(super) fn answer_of(&self, circuit: &Circuit, request: Request, now: u64) -> Option<Answer> {
        let answer = circuit.try_pass(now).or_else(|| {
            let notify = |change| self.notify(&change);
            circuit.pass(request, &Context { config: &self.config.load(), now, notify: &notify })
        })?;
        self.count_answer(&answer);
        Some(answer)
    }

    pub(super) fn count_answer(&self, answer: &Answer) {
        if answer.is_err() {
            self.counters.add(REFUSED, 1);
        }
    }

    fn set(&self, key: KeyHash, target: &str, to: CircuitState) -> Result<()> {
        self.check_open()?;
        // Again where the circuit was evicted in between.
        while self
            .circuit(key, target, true)
            .is_some_and(|circuit| !circuit.set(to, &|change| self.notify(&change)))
        {}
        Ok(())
    }

    fn circuit(&self, key: KeyHash, target: &str, is_forced: bool) -> Option<Arc<Circuit>> {
        self.targets.get_or_insert(key, is_forced, |serial| {
            Circuit::new(serial, key, Arc::from(target), &self.config.load())
        })
    }

    /// Under the circuit's lock.
    fn notify(&self, change: &CircuitChange) {
        if change.to == CircuitState::Open {
            self.counters.add(OPENED, 1);
        }
        self.subscribers.notify(change);
    }

    fn count(&self, outcome: Outcome, counted: bool) {
        let counter = match (counted, outcome.failed) {
            (false, _) => IGNORED,
            (true, false) => SUCCEEDED,
            (true, true) => FAILED,
        };
        self.counters.add(counter, 1);
        if counted && outcome.slow {
            self.counters.add(SLOW, 1);
        }
    }

    pub(super) fn check_open(&self) -> Result<()> {
        // Relaxed: a call that races with `destroy` may still be answered.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker").field("name", &self.name).finish_non_exhaustive()
    }
}
