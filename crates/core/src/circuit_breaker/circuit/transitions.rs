//! Changes of a circuit's state, and trials: everything under the circuit's lock.

use parking_lot::MutexGuard;

use super::super::answer::{Answer, Refused, Request};
use super::super::change::CircuitChange;
use super::super::opening::chance;
use super::super::options::CircuitBreakerConfig;
use super::super::rates::{Counts, Outcome};
use super::super::state::{CircuitState, StateWord};
use super::super::ticket::Ticket;
use super::super::trials::{Lease, Trials};
use super::super::window::{Tag, Window};
use super::{Circuit, Context};
use crate::runtime::ThreadId;

/// The part of a circuit that only transitions and trials need.
#[derive(Debug)]
pub(super) struct Transitions {
    /// The last number given to a state or a trial.
    last_number: u64,
    /// Consecutive openings before the present one.
    pub(super) reopened: u32,
    pub(super) trials: Trials,
}

impl Transitions {
    pub(super) fn after(last_number: u64) -> Self {
        Self { last_number, reopened: 0, trials: Trials::default() }
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

type Locked<'a> = MutexGuard<'a, Transitions>;

impl Circuit {
    /// As [`try_pass`](Self::try_pass), with the lock: an open circuit whose time is over becomes half-open, and a
    /// half-open circuit leases its trials. `None` when the circuit was evicted.
    pub(in crate::circuit_breaker) fn pass(&self, request: Request, context: &Context<'_>) -> Option<Answer> {
        let Context { config, now, .. } = *context;
        let mut transitions = self.transitions.lock();
        if let Some(answer) = self.try_pass(now) {
            return Some(answer);
        }
        if self.state()? == CircuitState::Open {
            self.half_open(&mut transitions, context);
        }
        if transitions.trials.taken() == config.options.half_open_calls {
            transitions.trials.expire(now);
            self.conclude_if_all_reported(&mut transitions, context);
        }
        if let Some(answer) = self.try_pass(now) {
            // The last trial has expired, and the circuit is open again.
            return Some(answer);
        }
        if transitions.trials.taken() == config.options.half_open_calls {
            let retry_after = transitions.trials.earliest_end().map(|end| end.saturating_sub(now));
            return Some(Err(Refused { state: CircuitState::HalfOpen, retry_after }));
        }
        let number = transitions.next_number();
        let (thread, ends_call) = (request.thread, request.has_deadline);
        transitions.trials.lease(Lease { number, thread, until: now + config.lease, ends_call });
        Some(Ok(Ticket::new(self.serial, number)))
    }

    /// Opens the circuit, unless its state has changed since the ticket was given.
    pub(in crate::circuit_breaker) fn open_if_still(
        &self,
        ticket: Ticket,
        counts: Counts,
        context: &Context<'_>,
    ) {
        let mut transitions = self.transitions.lock();
        let word = self.state.load();
        if word.state() == Some(CircuitState::Closed) && ticket.is_of(word.number()) {
            transitions.reopened = 0;
            self.open(&mut transitions, counts, context);
        }
    }

    /// Counts a trial, and closes or opens the circuit after the last one. False when the ticket has no lease any more.
    pub(in crate::circuit_breaker) fn report_trial(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        context: &Context<'_>,
    ) -> bool {
        let mut transitions = self.transitions.lock();
        if self.state() != Some(CircuitState::HalfOpen) {
            return false;
        }
        let reported = transitions.trials.report(|number| ticket.is_of(number), outcome);
        self.conclude_if_all_reported(&mut transitions, context);
        reported
    }

    /// Frees the place of a trial that will not report.
    pub(in crate::circuit_breaker) fn release(&self, ticket: Ticket) {
        if self.state() == Some(CircuitState::HalfOpen) {
            self.transitions.lock().trials.release(|number| ticket.is_of(number));
        }
    }

    /// Frees the trials of a thread that ended.
    pub(in crate::circuit_breaker) fn thread_ended(&self, thread: ThreadId) {
        if self.state() == Some(CircuitState::HalfOpen) {
            self.transitions.lock().trials.thread_ended(thread);
        }
    }

    /// Sets the state by hand: closed, isolated or disabled. False when the circuit was evicted.
    pub(in crate::circuit_breaker) fn set(&self, to: CircuitState, notify: &dyn Fn(CircuitChange)) -> bool {
        let mut transitions = self.transitions.lock();
        let Some(from) = self.state() else { return false };
        transitions.reopened = 0;
        if to == CircuitState::Closed {
            self.close(&mut transitions, Counts::default(), notify);
        } else if from != to {
            let number = transitions.next_number();
            self.state.store(StateWord::new(to, number));
            notify(self.change(from, to, Counts::default(), None));
        }
        true
    }

    /// Marks a closed circuit as evicted. True for the one caller that did.
    pub(in crate::circuit_breaker) fn retire(&self) -> bool {
        let _transitions = self.transitions.lock();
        let is_closed = self.state() == Some(CircuitState::Closed);
        if is_closed {
            self.state.store(StateWord::retired());
        }
        is_closed
    }

    /// A test set the clock back. Nothing lasts longer than if it began now.
    pub(in crate::circuit_breaker) fn clock_was_set_back(&self, config: &CircuitBreakerConfig, now: u64) {
        let mut transitions = self.transitions.lock();
        transitions.trials.shorten(now + config.lease);
        let longest = config.opening.duration(transitions.reopened, 0.0);
        self.state.set_open_until(self.state.open_until().min(now + longest));
        if let (Window::Time(window), Some(CircuitState::Closed)) = (&self.window, self.state()) {
            window.reset(Tag::of(self.state.load().number()));
        }
    }

    /// Marks a circuit as evicted, whatever its state: threads that keep it find it so.
    pub(in crate::circuit_breaker) fn discard(&self) {
        let _transitions = self.transitions.lock();
        self.state.store(StateWord::retired());
    }

    fn half_open(&self, transitions: &mut Locked<'_>, context: &Context<'_>) {
        transitions.trials = Trials::default();
        let number = transitions.next_number();
        self.state.store(StateWord::new(CircuitState::HalfOpen, number));
        (context.notify)(self.change(CircuitState::Open, CircuitState::HalfOpen, Counts::default(), None));
    }

    fn conclude_if_all_reported(&self, transitions: &mut Locked<'_>, context: &Context<'_>) {
        let counts = transitions.trials.counts();
        if counts.calls < context.config.options.half_open_calls {
            return;
        }
        if context.config.thresholds.are_reached_by_share(counts) {
            transitions.reopened = transitions.reopened.saturating_add(1);
            self.open(transitions, counts, context);
        } else {
            transitions.reopened = 0;
            self.close(transitions, counts, context.notify);
        }
    }

    fn open(&self, transitions: &mut Locked<'_>, counts: Counts, context: &Context<'_>) {
        let from = self.state().unwrap_or(CircuitState::Closed);
        let open_for = context.config.opening.duration(transitions.reopened, chance());
        self.state.open(transitions.next_number(), context.now + open_for);
        (context.notify)(self.change(from, CircuitState::Open, counts, Some(open_for)));
    }

    /// Closes the circuit with an empty window. Notifies of a change unless it was closed.
    fn close(&self, transitions: &mut Locked<'_>, counts: Counts, notify: &dyn Fn(CircuitChange)) {
        let from = self.state().unwrap_or(CircuitState::Closed);
        let number = transitions.next_number();
        self.window.reset(Tag::of(number));
        self.state.store(StateWord::new(CircuitState::Closed, number));
        if from != CircuitState::Closed {
            notify(self.change(from, CircuitState::Closed, counts, None));
        }
    }
}
