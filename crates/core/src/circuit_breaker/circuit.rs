//! The circuit of one target: what every call reads and writes. [`transitions`] has what needs the lock.

mod transitions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::answer::{Answer, Refused};
use super::change::CircuitChange;
use super::options::{CircuitBreakerConfig, WindowOptions};
use super::rates::{Counts, Outcome};
use super::state::{CircuitState, StateCell, StateWord};
use super::stats::CircuitStats;
use super::ticket::Ticket;
use super::window::{Tag, Window};
use crate::runtime::change_number::next_change;
use crate::runtime::key_hash::KeyHash;
use transitions::Transitions;

/// The result of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reported {
    /// It was counted.
    Counted,
    /// It was counted, and the window reached a threshold. The circuit still has to be opened.
    Tripped(Counts),
    /// It belongs to an earlier state, or to a trial that has ended.
    Ignored,
    /// It belongs to a trial, which is reported under the circuit's lock.
    Trial,
}

/// What one call to a circuit needs of its breaker.
pub(super) struct Context<'a> {
    /// The options in force.
    pub(super) config: &'a CircuitBreakerConfig,
    /// The time, in nanoseconds.
    pub(super) now: u64,
    /// Called with each change, under the circuit's lock.
    pub(super) notify: &'a dyn Fn(CircuitChange),
}

/// The circuit of one target.
///
/// A call through a closed circuit reads the state, and its report counts in a window: neither takes a lock. A call
/// that an open circuit refuses reads the state and a time. Trials and changes of state take the lock.
///
/// What every call reads lies together, in this order.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Circuit {
    /// The hash of the target.
    pub(super) key: KeyHash,
    pub(super) serial: u32,
    used: AtomicBool,
    state: StateCell,
    window: Window,
    target: Arc<str>,
    transitions: Mutex<Transitions>,
}

impl Circuit {
    /// Bytes of a circuit with this window, at least.
    pub(super) fn least_bytes(window: WindowOptions) -> u64 {
        size_of::<Self>() as u64 + Window::bytes(window)
    }

    pub(super) fn new(serial: u32, key: KeyHash, target: Arc<str>, config: &CircuitBreakerConfig) -> Self {
        let number = 1;
        Self {
            serial,
            key,
            target,
            state: StateCell::new(StateWord::new(CircuitState::Closed, number)),
            window: Window::new(config.options.window, Tag::of(number)),
            used: AtomicBool::new(true),
            transitions: Mutex::new(Transitions::after(number)),
        }
    }

    /// `None` when the circuit was evicted.
    #[inline]
    pub(super) fn state(&self) -> Option<CircuitState> {
        self.state.load().state()
    }

    /// Whether a call may pass, decided without the lock. `None` where that takes the lock, or when the circuit was
    /// evicted.
    #[inline]
    pub(super) fn try_pass(&self, now: u64) -> Option<Answer> {
        // Relaxed: a hint for the search for an idle circuit.
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

    /// Prefetches what the report of a call reads, which comes soon where the call is a short one.
    #[inline]
    pub(super) fn prefetch_window(&self) {
        self.window.prefetch();
    }

    /// Counts a call of a closed circuit, without the lock.
    #[inline]
    pub(super) fn report(&self, ticket: Ticket, outcome: Outcome, context: &Context<'_>) -> Reported {
        let word = self.state.load();
        match word.state() {
            Some(CircuitState::Closed) if ticket.is_of(word.number()) => {
                match self.window.record(Tag::of(word.number()), outcome, context.now) {
                    Some(counts) if context.config.thresholds.are_reached(counts) => {
                        Reported::Tripped(counts)
                    }
                    Some(_) => Reported::Counted,
                    None => Reported::Ignored,
                }
            }
            Some(CircuitState::HalfOpen) => Reported::Trial,
            _ => Reported::Ignored,
        }
    }

    /// Whether a call asked since the last look.
    pub(super) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    /// `None` when the circuit was evicted.
    pub(super) fn stats(&self, now: u64) -> Option<CircuitStats> {
        let transitions = self.transitions.lock();
        let word = self.state.load();
        let state = word.state()?;
        let counts = match state {
            CircuitState::Closed => self.window.counts(Tag::of(word.number()), now),
            CircuitState::HalfOpen => transitions.trials.counts(),
            _ => Counts::default(),
        };
        let retry_after = (state == CircuitState::Open).then(|| self.state.open_until().saturating_sub(now));
        let openings = match state {
            CircuitState::Open | CircuitState::HalfOpen => transitions.reopened + 1,
            _ => 0,
        };
        Some(CircuitStats { peer: Arc::clone(&self.target), state, counts, retry_after, openings })
    }

    fn change(
        &self,
        from: CircuitState,
        to: CircuitState,
        counts: Counts,
        open_for: Option<u64>,
    ) -> CircuitChange {
        CircuitChange { number: next_change(), peer: Arc::clone(&self.target), from, to, counts, open_for }
    }
}
