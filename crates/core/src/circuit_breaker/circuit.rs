//! One peer's circuit: when it opens, who tries it, when it closes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::answer::{Answer, Refused, Request};
use super::change::CircuitChange;
use super::opening::chance;
use super::options::{CircuitBreakerConfig, WindowOptions};
use super::rates::{Counts, Outcome};
use super::state::{CircuitState, StateCell, StateWord};
use super::stats::CircuitStats;
use super::ticket::Ticket;
use super::trials::{Lease, Trials};
use super::window::{Tag, Window};
use crate::runtime::ThreadId;

/// What a report did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reported {
    /// It was counted.
    Counted,
    /// It was counted, and the window it made is too bad. The circuit is still to be opened.
    TooBad(Counts),
    /// It belongs to an earlier state, or to a trial that is no more.
    Ignored,
    /// It is to be judged under the circuit's lock.
    OfTrial,
}

/// Told of each change, under the circuit's lock.
pub(super) type Tell<'a> = &'a dyn Fn(CircuitChange);

/// The circuit of one peer.
///
/// A call through a closed circuit reads its state, and its report counts in a window: neither takes a lock. A
/// call that an open one refuses reads its state and a time. Trials and changes of state take the lock.
#[derive(Debug)]
pub(super) struct Circuit {
    pub(super) serial: u32,
    peer: Arc<str>,
    state: StateCell,
    window: Window,
    used: AtomicBool,
    course: Mutex<Course>,
}

/// What only changes of state and trials need.
#[derive(Debug)]
struct Course {
    /// The last number given to a state or a trial.
    last_number: u64,
    /// Openings in a row before the present one.
    reopened: u32,
    trials: Trials,
}

impl Course {
    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

impl Circuit {
    /// Bytes of a circuit with this window, at least.
    pub(super) fn least_bytes(window: WindowOptions) -> u64 {
        size_of::<Self>() as u64 + Window::bytes(window)
    }

    pub(super) fn new(serial: u32, peer: Arc<str>, config: &CircuitBreakerConfig) -> Self {
        let number = 1;
        Self {
            serial,
            peer,
            state: StateCell::new(StateWord::new(CircuitState::Closed, number)),
            window: Window::new(config.options.window, Tag::of(number)),
            used: AtomicBool::new(true),
            course: Mutex::new(Course { last_number: number, reopened: 0, trials: Trials::default() }),
        }
    }

    /// `None` when it gave up its place.
    pub(super) fn state(&self) -> Option<CircuitState> {
        self.state.load().state()
    }

    /// Whether a call may pass, where that can be said without the lock. `None` when it cannot, or when the
    /// circuit gave up its place.
    pub(super) fn try_pass(&self, now: u64) -> Option<Answer> {
        // Relaxed: a hint for whoever looks for an idle circuit.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        let word = self.state.load();
        match word.state()? {
            CircuitState::Closed | CircuitState::Disabled => {
                Some(Ok(Ticket::new(self.serial, word.number())))
            }
            CircuitState::Isolated => Some(Err(Refused { state: CircuitState::Isolated, retry_after: None })),
            CircuitState::Open => {
                let rest = self.state.open_until().checked_sub(now).filter(|rest| *rest > 0);
                rest.map(|rest| Err(Refused { state: CircuitState::Open, retry_after: Some(rest) }))
            }
            CircuitState::HalfOpen => None,
        }
    }

    /// As [`try_pass`](Self::try_pass), with the lock: an open circuit whose time is over becomes half-open,
    /// and a half-open one gives its places away. `None` when it gave up its place.
    pub(super) fn pass(
        &self,
        request: Request,
        config: &CircuitBreakerConfig,
        now: u64,
        tell: Tell<'_>,
    ) -> Option<Answer> {
        let mut course = self.course.lock();
        if let Some(answer) = self.try_pass(now) {
            return Some(answer);
        }
        if self.state()? == CircuitState::Open {
            self.half_open(&mut course, tell);
        }
        if course.trials.taken() == config.options.half_open_calls {
            course.trials.expire(now);
            self.conclude_if_all_reported(&mut course, config, now, tell);
        }
        if let Some(answer) = self.try_pass(now) {
            // The last trial had run out of time: it is open again.
            return Some(answer);
        }
        if course.trials.taken() == config.options.half_open_calls {
            let retry_after = course.trials.earliest_end().map(|end| end.saturating_sub(now));
            return Some(Err(Refused { state: CircuitState::HalfOpen, retry_after }));
        }
        let number = course.next_number();
        let (thread, ends_call) = (request.thread, request.has_deadline);
        course.trials.lease(Lease { number, thread, until: now + config.lease, ends_call });
        Some(Ok(Ticket::new(self.serial, number)))
    }

    /// Counts a call of a closed circuit, without the lock.
    pub(super) fn report(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        config: &CircuitBreakerConfig,
        now: u64,
    ) -> Reported {
        let word = self.state.load();
        match word.state() {
            Some(CircuitState::Closed) if ticket.is_of(word.number()) => {
                match self.window.record(Tag::of(word.number()), outcome, now) {
                    Some(counts) if config.thresholds.are_reached(counts) => Reported::TooBad(counts),
                    Some(_) => Reported::Counted,
                    None => Reported::Ignored,
                }
            }
            Some(CircuitState::HalfOpen) => Reported::OfTrial,
            _ => Reported::Ignored,
        }
    }

    /// Opens it, unless it has another state since the ticket was given.
    pub(super) fn open_if_still(
        &self,
        ticket: Ticket,
        counts: Counts,
        config: &CircuitBreakerConfig,
        now: u64,
        tell: Tell<'_>,
    ) {
        let mut course = self.course.lock();
        let word = self.state.load();
        if word.state() == Some(CircuitState::Closed) && ticket.is_of(word.number()) {
            course.reopened = 0;
            self.open(&mut course, counts, config, now, tell);
        }
    }

    /// Counts a trial, and judges when it was the last one; false when the ticket has no lease any more.
    pub(super) fn report_trial(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        config: &CircuitBreakerConfig,
        now: u64,
        tell: Tell<'_>,
    ) -> bool {
        let mut course = self.course.lock();
        if self.state() != Some(CircuitState::HalfOpen) {
            return false;
        }
        let reported = course.trials.report(|number| ticket.is_of(number), outcome);
        self.conclude_if_all_reported(&mut course, config, now, tell);
        reported
    }

    /// Frees the place of a trial that will not report.
    pub(super) fn release(&self, ticket: Ticket) {
        if self.state() == Some(CircuitState::HalfOpen) {
            self.course.lock().trials.release(|number| ticket.is_of(number));
        }
    }

    /// Frees the places of a thread that ended.
    pub(super) fn thread_ended(&self, thread: ThreadId) {
        if self.state() == Some(CircuitState::HalfOpen) {
            self.course.lock().trials.thread_ended(thread);
        }
    }

    /// Gives it a state by hand: closed, isolated or disabled. False when it gave up its place.
    pub(super) fn set(&self, to: CircuitState, tell: Tell<'_>) -> bool {
        let mut course = self.course.lock();
        let Some(from) = self.state() else { return false };
        course.reopened = 0;
        if to == CircuitState::Closed {
            self.close(&mut course, Counts::default(), tell);
        } else if from != to {
            let number = course.next_number();
            self.state.store(StateWord::new(to, number));
            tell(self.change(from, to, Counts::default(), None));
        }
        true
    }

    /// Gives up its place, if it is closed: true for the one caller that made it.
    pub(super) fn retire(&self) -> bool {
        let _course = self.course.lock();
        let is_closed = self.state() == Some(CircuitState::Closed);
        if is_closed {
            self.state.store(StateWord::retired());
        }
        is_closed
    }

    /// Whether it was asked since the last look.
    pub(super) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// The clock was set back: nothing lasts longer than if it began now.
    pub(super) fn clock_was_set_back(&self, config: &CircuitBreakerConfig, now: u64) {
        let mut course = self.course.lock();
        course.trials.shorten(now + config.lease);
        let longest = config.opening.duration(course.reopened, 0.0);
        self.state.set_open_until(self.state.open_until().min(now + longest));
        if let (Window::Time(window), Some(CircuitState::Closed)) = (&self.window, self.state()) {
            window.reset(Tag::of(self.state.load().number()));
        }
    }

    /// `None` when it gave up its place.
    pub(super) fn stats(&self, now: u64) -> Option<CircuitStats> {
        let course = self.course.lock();
        let word = self.state.load();
        let state = word.state()?;
        let counts = match state {
            CircuitState::Closed => self.window.counts(Tag::of(word.number()), now),
            CircuitState::HalfOpen => course.trials.counts(),
            _ => Counts::default(),
        };
        let retry_after = (state == CircuitState::Open).then(|| self.state.open_until().saturating_sub(now));
        let openings = match state {
            CircuitState::Open | CircuitState::HalfOpen => course.reopened + 1,
            _ => 0,
        };
        Some(CircuitStats { peer: Arc::clone(&self.peer), state, counts, retry_after, openings })
    }

    fn half_open(&self, course: &mut MutexGuard<'_, Course>, tell: Tell<'_>) {
        course.trials = Trials::default();
        let number = course.next_number();
        self.state.store(StateWord::new(CircuitState::HalfOpen, number));
        tell(self.change(CircuitState::Open, CircuitState::HalfOpen, Counts::default(), None));
    }

    fn conclude_if_all_reported(
        &self,
        course: &mut MutexGuard<'_, Course>,
        config: &CircuitBreakerConfig,
        now: u64,
        tell: Tell<'_>,
    ) {
        let counts = course.trials.counts();
        if counts.calls < config.options.half_open_calls {
            return;
        }
        if config.thresholds.are_reached_by_share(counts) {
            course.reopened = course.reopened.saturating_add(1);
            self.open(course, counts, config, now, tell);
        } else {
            course.reopened = 0;
            self.close(course, counts, tell);
        }
    }

    fn open(
        &self,
        course: &mut MutexGuard<'_, Course>,
        counts: Counts,
        config: &CircuitBreakerConfig,
        now: u64,
        tell: Tell<'_>,
    ) {
        let from = self.state().unwrap_or(CircuitState::Closed);
        let open_for = config.opening.duration(course.reopened, chance());
        self.state.open(course.next_number(), now + open_for);
        tell(self.change(from, CircuitState::Open, counts, Some(open_for)));
    }

    /// Closes it with an empty window. What is told is a change only where it was not closed.
    fn close(&self, course: &mut MutexGuard<'_, Course>, counts: Counts, tell: Tell<'_>) {
        let from = self.state().unwrap_or(CircuitState::Closed);
        let number = course.next_number();
        self.window.reset(Tag::of(number));
        self.state.store(StateWord::new(CircuitState::Closed, number));
        if from != CircuitState::Closed {
            tell(self.change(from, CircuitState::Closed, counts, None));
        }
    }

    fn change(
        &self,
        from: CircuitState,
        to: CircuitState,
        counts: Counts,
        open_for: Option<u64>,
    ) -> CircuitChange {
        CircuitChange { peer: Arc::clone(&self.peer), from, to, counts, open_for }
    }
}
