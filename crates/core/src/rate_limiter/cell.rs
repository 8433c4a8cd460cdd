//! One client's state: two words, and the one loop that changes them.

use crate::sync::{AtomicU64, Ordering};

/// What a decision does to the state it was made for.
pub(crate) enum Step<R> {
    /// Leaves it: a refusal writes nothing.
    Keep(R),
    /// Replaces it, if nobody else did meanwhile; otherwise the decision is made anew.
    Write(u64, R),
}

/// The state of one client.
///
/// `state` belongs to the algorithm; every change is one compare-and-swap of the value that was judged,
/// so calls of any number of threads have the same result as the same calls one after the other.
/// `blocked_until` stands beside it: a block neither pays what is owed nor adds to it. A call that read
/// it before a block began counts as made before the block.
#[derive(Debug)]
pub(crate) struct Cell {
    state: AtomicU64,
    blocked_until: AtomicU64,
}

impl Cell {
    /// A client never seen: all zero.
    pub(crate) fn new() -> Self {
        Self { state: AtomicU64::new(0), blocked_until: AtomicU64::new(0) }
    }

    pub(crate) fn state(&self) -> u64 {
        // Relaxed: the word carries its whole meaning; no other memory is published through it.
        self.state.load(Ordering::Relaxed)
    }

    pub(crate) fn blocked_until(&self) -> u64 {
        // Relaxed: as above.
        self.blocked_until.load(Ordering::Relaxed)
    }

    /// Lock-free: it repeats only when another thread's change came between.
    pub(crate) fn update<R>(&self, decide: impl Fn(u64) -> Step<R>) -> R {
        let mut state = self.state();
        loop {
            match decide(state) {
                Step::Keep(result) => return result,
                Step::Write(next, result) => {
                    // Relaxed: total order of one word is all that exactness needs.
                    match self.state.compare_exchange_weak(state, next, Ordering::Relaxed, Ordering::Relaxed)
                    {
                        Ok(_) => return result,
                        Err(current) => state = current,
                    }
                }
            }
        }
    }

    /// Blocks until the later of `until` and the block that stands.
    pub(crate) fn block(&self, until: u64) {
        self.blocked_until.fetch_max(until, Ordering::Relaxed);
    }

    /// Forgets charges and block.
    pub(crate) fn reset(&self) {
        self.blocked_until.store(0, Ordering::Relaxed);
        self.state.store(0, Ordering::Relaxed);
    }
}

/// Every interleaving of small cases. Planted bug, tried once: with load, compare, store in place of the
/// compare-and-swap, `admits_the_burst_and_no_more` fails.
#[cfg(all(test, sluice_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::rate_limiter::gcra::Gcra;

    const TWO: Gcra = Gcra { emission_interval: 100, burst: 2 };

    fn consume(cell: &Cell, now: u64) -> bool {
        cell.update(|tat| match TWO.decide(tat, now, 1) {
            Ok(next) => Step::Write(next, true),
            Err(_) => Step::Keep(false),
        })
    }

    #[test]
    fn admits_the_burst_and_no_more() {
        loom::model(|| {
            let cell = Arc::new(Cell::new());
            let calls: Vec<_> = (0..3)
                .map(|_| {
                    let cell = Arc::clone(&cell);
                    thread::spawn(move || consume(&cell, 1_000))
                })
                .collect();
            let admitted = calls.into_iter().map(|call| call.join().expect("no panic"));
            assert_eq!(admitted.filter(|admitted| *admitted).count(), 2);
        });
    }

    #[test]
    fn charge_refund_and_penalty_all_count() {
        loom::model(|| {
            let cell = Arc::new(Cell::new());
            let charge = {
                let cell = Arc::clone(&cell);
                thread::spawn(move || consume(&cell, 1_000))
            };
            let penalty = {
                let cell = Arc::clone(&cell);
                thread::spawn(move || cell.update(|tat| Step::Write(TWO.penalize(tat, 1_000, 1), ())))
            };
            assert!(charge.join().expect("no panic"));
            penalty.join().expect("no panic");
            assert_eq!(TWO.remaining(cell.state(), 1_000), 0);
        });
    }

    #[test]
    fn the_later_block_wins() {
        loom::model(|| {
            let cell = Arc::new(Cell::new());
            let blocks: Vec<_> = [2_000, 3_000]
                .into_iter()
                .map(|until| {
                    let cell = Arc::clone(&cell);
                    thread::spawn(move || cell.block(until))
                })
                .collect();
            for block in blocks {
                block.join().expect("no panic");
            }
            assert_eq!(cell.blocked_until(), 3_000);
        });
    }
}
