//! The word that every call reads: the state of a circuit and the number of its last change.

use crate::runtime::sync::{AtomicU64, Ordering};

/// How a circuit treats calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitState {
    /// Calls pass and are counted.
    Closed,
    /// Calls are refused for some time.
    Open,
    /// A few trial calls pass.
    HalfOpen,
    /// Calls are refused until the circuit is reset or disabled.
    Isolated,
    /// Calls pass and are not counted.
    Disabled,
}

/// State and number in one word.
///
/// The number is that of the change that led to the state, unique in a circuit. It distinguishes tickets that were
/// given in an earlier state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateWord(u64);

const STATE_BITS: u32 = 3;
const STATE: u64 = (1 << STATE_BITS) - 1;

/// The code of a circuit that was evicted.
const RETIRED: u64 = 7;

impl StateWord {
    pub(super) const fn new(state: CircuitState, number: u64) -> Self {
        let code = match state {
            CircuitState::Closed => 0,
            CircuitState::Open => 1,
            CircuitState::HalfOpen => 2,
            CircuitState::Isolated => 3,
            CircuitState::Disabled => 4,
        };
        Self(number << STATE_BITS | code)
    }

    /// The word of a circuit that was evicted.
    pub(super) const fn retired() -> Self {
        Self(RETIRED)
    }

    /// `None` when retired.
    pub(super) const fn state(self) -> Option<CircuitState> {
        match self.0 & STATE {
            0 => Some(CircuitState::Closed),
            1 => Some(CircuitState::Open),
            2 => Some(CircuitState::HalfOpen),
            3 => Some(CircuitState::Isolated),
            4 => Some(CircuitState::Disabled),
            _ => None,
        }
    }

    pub(super) const fn number(self) -> u64 {
        self.0 >> STATE_BITS
    }
}

/// The state of one circuit. Changed under the circuit's lock, read without it.
#[derive(Debug)]
pub(super) struct StateCell {
    word: AtomicU64,
    open_until: AtomicU64,
}

impl StateCell {
    pub(super) fn new(word: StateWord) -> Self {
        Self { word: AtomicU64::new(word.0), open_until: AtomicU64::new(0) }
    }

    pub(super) fn load(&self) -> StateWord {
        // Acquire: pairs with `store`. A reader of a state sees the window and the time that belong to it.
        StateWord(self.word.load(Ordering::Acquire))
    }

    pub(super) fn store(&self, word: StateWord) {
        self.word.store(word.0, Ordering::Release);
    }

    /// Opens until a time. A reader that sees the open state sees that time.
    pub(super) fn open(&self, number: u64, until: u64) {
        self.set_open_until(until);
        self.store(StateWord::new(CircuitState::Open, number));
    }

    /// The end of the opening that `load` returned, or of a later one.
    pub(super) fn open_until(&self) -> u64 {
        // Relaxed: the acquire of `load` comes first and pairs with the release after `set_open_until`.
        self.open_until.load(Ordering::Relaxed)
    }

    pub(super) fn set_open_until(&self, until: u64) {
        // Relaxed: published by the store of the word. Where a test sets the clock back, a late view does no harm.
        self.open_until.store(until, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_its_state_and_number() {
        use CircuitState::{Closed, Disabled, HalfOpen, Isolated, Open};
        for state in [Closed, Open, HalfOpen, Isolated, Disabled] {
            let word = StateWord::new(state, 123);
            assert_eq!((word.state(), word.number()), (Some(state), 123));
        }
        assert_eq!(StateWord::retired().state(), None);
    }
}

/// Tried once: with the word stored before the time, the model fails.
#[cfg(all(test, sluice_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[test]
    fn a_reader_that_sees_the_open_state_sees_its_end() {
        loom::model(|| {
            let cell = Arc::new(StateCell::new(StateWord::new(CircuitState::Closed, 1)));
            let opening = {
                let cell = Arc::clone(&cell);
                thread::spawn(move || cell.open(2, 500))
            };
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    let cell = Arc::clone(&cell);
                    thread::spawn(move || match cell.load().state() {
                        Some(CircuitState::Open) => assert_eq!(cell.open_until(), 500),
                        state => assert_eq!(state, Some(CircuitState::Closed)),
                    })
                })
                .collect();
            opening.join().expect("no panic");
            for reader in readers {
                reader.join().expect("it sees the end");
            }
        });
    }
}
