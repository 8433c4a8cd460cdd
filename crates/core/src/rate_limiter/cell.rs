//! One client's state, and the one place where it changes.

use parking_lot::Mutex;

use super::options::MAX_LIMITS;
use crate::sync::{AtomicU64, Ordering};

/// The words of one client, one per limit of its limiter; those beyond stay 0.
pub(crate) type Words = [u64; MAX_LIMITS];

/// What a decision does to the state it was made for.
pub(crate) enum Step<R> {
    /// Leaves it: a refusal writes nothing.
    Keep(R),
    /// Replaces it, if nobody else did meanwhile; otherwise the decision is made anew.
    Write(Words, R),
}

/// The state of one client.
///
/// A single limit is one word; every change is one compare-and-swap of the value that was judged.
/// Several limits are judged and charged under a lock of this client alone. Either way calls of any number
/// of threads have the same result as the same calls one after the other.
///
/// `blocked_until` stands beside it: a block neither pays what is owed nor adds to it. A call that read
/// it before a block began counts as made before the block.
#[derive(Debug)]
pub(crate) struct Cell {
    state: State,
    blocked_until: AtomicU64,
}

#[derive(Debug)]
enum State {
    Single(AtomicU64),
    Several(Mutex<Box<Words>>),
}

impl Cell {
    /// A client never seen: all zero.
    pub(crate) fn new(limits: usize) -> Self {
        let state = match limits {
            1 => State::Single(AtomicU64::new(0)),
            _ => State::Several(Mutex::default()),
        };
        Self { state, blocked_until: AtomicU64::new(0) }
    }

    pub(crate) fn words(&self) -> Words {
        match &self.state {
            // Relaxed: the word carries its whole meaning; no other memory is published through it.
            State::Single(word) => single(word.load(Ordering::Relaxed)),
            State::Several(words) => **words.lock(),
        }
    }

    pub(crate) fn blocked_until(&self) -> u64 {
        // Relaxed: as above.
        self.blocked_until.load(Ordering::Relaxed)
    }

    /// Lock-free for a single limit: it repeats only when another thread's change came between.
    pub(crate) fn update<R>(&self, decide: impl Fn(&Words) -> Step<R>) -> R {
        match &self.state {
            State::Single(word) => update_single(word, decide),
            State::Several(words) => {
                let mut words = words.lock();
                match decide(&words) {
                    Step::Keep(result) => result,
                    Step::Write(next, result) => {
                        **words = next;
                        result
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
        match &self.state {
            State::Single(word) => word.store(0, Ordering::Relaxed),
            State::Several(words) => **words.lock() = Words::default(),
        }
    }
}

fn update_single<R>(word: &AtomicU64, decide: impl Fn(&Words) -> Step<R>) -> R {
    let mut judged = word.load(Ordering::Relaxed);
    loop {
        match decide(&single(judged)) {
            Step::Keep(result) => return result,
            Step::Write(next, result) => {
                // Relaxed: the total order of one word is all that exactness needs.
                match word.compare_exchange_weak(judged, next[0], Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return result,
                    Err(current) => judged = current,
                }
            }
        }
    }
}

fn single(word: u64) -> Words {
    let mut words = Words::default();
    words[0] = word;
    words
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
        cell.update(|words| match TWO.decide(words[0], now, 1) {
            Ok(next) => Step::Write(single(next), true),
            Err(_) => Step::Keep(false),
        })
    }

    #[test]
    fn admits_the_burst_and_no_more() {
        loom::model(|| {
            let cell = Arc::new(Cell::new(1));
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
    fn charge_and_penalty_both_count() {
        loom::model(|| {
            let cell = Arc::new(Cell::new(1));
            let charge = {
                let cell = Arc::clone(&cell);
                thread::spawn(move || consume(&cell, 1_000))
            };
            let penalty = {
                let cell = Arc::clone(&cell);
                let penalize = |words: &Words| Step::Write(single(TWO.penalize(words[0], 1_000, 1)), ());
                thread::spawn(move || cell.update(penalize))
            };
            assert!(charge.join().expect("no panic"));
            penalty.join().expect("no panic");
            assert_eq!(TWO.remaining(cell.words()[0], 1_000), 0);
        });
    }

    #[test]
    fn the_later_block_wins() {
        loom::model(|| {
            let cell = Arc::new(Cell::new(1));
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
