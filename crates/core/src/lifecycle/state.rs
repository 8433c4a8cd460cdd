//! Where a lifecycle stands: one word that only grows.

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
    /// It has another state. For subscribers.
    Changed(LifecycleState),
    /// Something changed that a member acts on. For members.
    Moved,
}

/// After all states.
const DESTROYED: u64 = 4;

/// The state, or that there is none any more.
#[derive(Debug)]
pub(super) struct StateCell(AtomicU64);

impl StateCell {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(LifecycleState::Starting as u64))
    }

    /// The state now; none once it was destroyed.
    pub(super) fn get(&self) -> Option<LifecycleState> {
        // Acquire: who sees a state sees what was done before it was reached.
        match self.0.load(Ordering::Acquire) {
            0 => Some(LifecycleState::Starting),
            1 => Some(LifecycleState::Running),
            2 => Some(LifecycleState::Draining),
            3 => Some(LifecycleState::Stopped),
            _ => None,
        }
    }

    /// Moves on to a later state; false where that was reached or passed. Of many threads one is told true.
    pub(super) fn advance(&self, to: LifecycleState) -> bool {
        self.raise(to as u64)
    }

    /// The end of all states.
    pub(super) fn destroy(&self) {
        self.raise(DESTROYED);
    }

    /// Back to the beginning, for tests; what was destroyed stays so.
    pub(super) fn reset(&self) {
        let to_start = |state| (state < DESTROYED).then_some(LifecycleState::Starting as u64);
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, to_start);
    }

    fn raise(&self, to: u64) -> bool {
        // Release: pairs with the load of who sees it.
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
