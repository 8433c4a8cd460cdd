//! The state of a lifecycle: one word that only grows.

use crate::runtime::sync::{AtomicU64, Ordering};

/// The states, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LifecycleState {
    /// Not ready for requests yet.
    Starting,
    /// Ready.
    Running,
    /// A shutdown has begun.
    Draining,
    /// The shutdown has ended.
    Stopped,
}

/// What a lifecycle sends to threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// The lifecycle has another state. For subscribers.
    Changed(LifecycleState),
    /// Something changed that a member acts on. For members.
    Moved,
}

/// By their numbers.
const STATES: [LifecycleState; 4] =
    [LifecycleState::Starting, LifecycleState::Running, LifecycleState::Draining, LifecycleState::Stopped];

/// The number after those of all states.
const DESTROYED: u64 = STATES.len() as u64;

/// The state, or that the lifecycle was destroyed.
#[derive(Debug)]
pub(super) struct StateCell(AtomicU64);

impl StateCell {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(LifecycleState::Starting as u64))
    }

    /// The state; none once the lifecycle was destroyed.
    pub(super) fn get(&self) -> Option<LifecycleState> {
        // Acquire: a thread that sees a state sees everything done before it was reached.
        let state = self.0.load(Ordering::Acquire);
        STATES.get(state as usize).copied()
    }

    /// Moves to a later state. True for the one call that does; false where the state was reached or passed.
    pub(super) fn advance(&self, to: LifecycleState) -> bool {
        self.raise(to as u64)
    }

    /// Ends all states.
    pub(super) fn destroy(&self) {
        self.raise(DESTROYED);
    }

    /// Moves back to the first state, for tests. A destroyed lifecycle stays destroyed.
    pub(super) fn reset(&self) {
        let to_start = |state| (state < DESTROYED).then_some(LifecycleState::Starting as u64);
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, to_start);
    }

    fn raise(&self, to: u64) -> bool {
        // Release: pairs with the load in `get`.
        self.0.fetch_max(to, Ordering::AcqRel) < to
    }
}

/// Planted bug, tried once: with load, compare, store in `raise`, both models fail.
#[cfg(all(test, sluice_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    fn advance_all(states: [LifecycleState; 3]) -> (Vec<bool>, Option<LifecycleState>) {
        let cell = Arc::new(StateCell::new());
        let threads: Vec<_> = states
            .into_iter()
            .map(|state| {
                let cell = Arc::clone(&cell);
                thread::spawn(move || cell.advance(state))
            })
            .collect();
        let moved = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
        (moved, cell.get())
    }

    #[test]
    fn one_of_several_threads_begins_the_shutdown() {
        loom::model(|| {
            let (moved, state) = advance_all([LifecycleState::Draining; 3]);
            assert_eq!(moved.iter().filter(|moved| **moved).count(), 1);
            assert_eq!(state, Some(LifecycleState::Draining));
        });
    }

    #[test]
    fn becoming_ready_does_not_undo_a_shutdown() {
        loom::model(|| {
            let states = [LifecycleState::Running, LifecycleState::Draining, LifecycleState::Running];
            let (moved, state) = advance_all(states);
            assert!(moved[1]);
            assert!(!(moved[0] && moved[2]));
            assert_eq!(state, Some(LifecycleState::Draining));
        });
    }
}
