//! Every interleaving of small cases, in tables of two, four or six slots, or of ten with a near part.
//!
//! All calls run in spawned threads and the main thread only joins them: the model checker misses bugs where the main
//! thread takes part.

mod blocks;
mod bounds;
mod charges;
mod claims;
mod evictions;
mod near;
mod quick;
mod records;

use loom::sync::Arc;
use loom::thread;

use super::small::*;
use super::vacancy::Arrival;
use super::*;
use crate::key_table::cell::{Several, Single};
use crate::key_table::records::{OwnedRecords, StackedRecords};
use crate::rate_limiter::algorithm::Algorithm;

type Key = (u64, u64);

/// In a table of two pairs, the first of each of these keys is the second of the other. In smaller tables they have
/// different homes, too.
const A: Key = (0x1000, 0);
const B: Key = (0x2000, (1 << 53) - 1);

/// Its home is that of A.
const C: Key = (0x4000, 0);

/// Blocked where a model wants one slot of two to be out of reach. Its home is that of B, so A is in its own: the quick path
/// looks nowhere else.
const BLOCKED: Key = (0x3000, (1 << 53) - 6);

/// The end of a block that no model reaches. Ends are kept to 1/64 ms.
const FAR: u64 = 1_000_000_000;

/// Of a new key, in models that call the steps of its insert.
const ARRIVAL: Arrival = Arrival { now: NOW, fresh: T };

type Call<S, R = bool> = Box<dyn FnOnce(&S) -> R + Send>;

impl Small<Single> {
    fn of(path: Path, pairs: usize, burst: u64, overflow: Overflow) -> Self {
        Self { table: small_table(pairs, Bound::of(None), overflow, |_| Ok(Single)), burst, path }
    }

    /// One pair of lines, of which `most` slots may be taken.
    fn bounded(path: Path, most: u64, burst: u64) -> Self {
        let bound = Bound::of(Some(most));
        Self { table: small_table(1, bound, Overflow::Evict, |_| Ok(Single)), burst, path }
    }

    /// One pair of lines, of which one slot is out of reach.
    fn of_one_slot(path: Path, burst: u64) -> Self {
        let small = Self::of(path, 1, burst, Overflow::Evict);
        assert!(small.block(BLOCKED, FAR));
        small
    }
}

impl<C: OfTwoLimits> Small<C> {
    fn of_two_limits(burst: u64) -> Self {
        let table = small_table(1, Bound::of(None), Overflow::Evict, C::of_two_limits);
        Self { table, burst, path: Path::Full }
    }
}

impl<C: Books> Small<C> {
    /// Charges every limit, or none.
    fn consume(&self, key: Key, now: u64) -> bool {
        if let Some(admitted) = self.charge_at_once(key, now, 1) {
            return admitted;
        }
        let decide = |client: &Client<C::Words>, now| {
            let mut words = client.words;
            if client.blocked_until > now {
                return Step::Keep(false);
            }
            for word in words.as_mut().iter_mut().take(2) {
                match self.rate().decide(*word, now, 1) {
                    Ok(next) => *word = next,
                    Err(_) => return Step::Keep(false),
                }
            }
            Step::Write(words, true)
        };
        // A full table admits a key that gets no slot, as the overflow rule `evict` does.
        self.table.update(hash(key), now, Self::lifetime, decide).unwrap_or(true)
    }

    fn change(&self, key: Key, now: u64, change: impl Fn(&Algorithm, u64) -> u64) {
        let changed = self.table.update(hash(key), now, Self::lifetime, |client, _| {
            let mut words = client.words;
            words.as_mut().iter_mut().take(1).for_each(|word| *word = change(&self.rate(), *word));
            Step::Write(words, ())
        });
        changed.expect("room");
    }

    fn block(&self, key: Key, until: u64) -> bool {
        self.table.block(hash(key), until, NOW, Self::lifetime).is_ok()
    }

    fn remaining(&self, key: Key, now: u64) -> u64 {
        let client = self.table.get(hash(key)).unwrap_or_default();
        self.rate().remaining(client.words.as_ref()[0], now)
    }

    /// Inserts the key uncharged, as a thread does that finishes the claim of another.
    fn insert_uncharged(&self, key: Key, now: u64) {
        let key = self.table.slots.candidates(hash(key));
        if let Ok(Some(claim)) = self.table.claim(&key, Arrival { now, ..ARRIVAL }, &Self::lifetime) {
            self.table.finish(&claim, &key);
        }
    }
}

fn call<S, R>(call: impl FnOnce(&S) -> R + Send + 'static) -> Call<S, R> {
    Box::new(call)
}

fn consume<C: Books>(key: Key, now: u64) -> Call<Small<C>> {
    call(move |small: &Small<C>| small.consume(key, now))
}

/// Runs each call in a thread of its own, all at once; what they answered, in order.
fn at_once<S: Send + Sync + 'static, R: Send + 'static>(
    shared: &Arc<S>,
    calls: impl IntoIterator<Item = Call<S, R>>,
) -> Vec<R> {
    let spawn = |call: Call<S, R>| {
        let shared = Arc::clone(shared);
        thread::spawn(move || call(&shared))
    };
    let threads: Vec<_> = calls.into_iter().map(spawn).collect();
    threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
}

fn admitted(answers: &[bool]) -> usize {
    answers.iter().filter(|admitted| **admitted).count()
}

/// Checks the model with calls by each path.
fn on_both_paths(preemptions: usize, model: impl Fn(Path) + Copy + Send + Sync + 'static) {
    for path in [Path::Full, Path::Quick] {
        bounded(preemptions, move || model(path));
    }
}

/// As [`on_both_paths`], for three threads that insert: the quick path has one look more, and one preemption less here.
fn three_on_both_paths(model: impl Fn(Path) + Copy + Send + Sync + 'static) {
    bounded(2, move || model(Path::Full));
    bounded(1, move || model(Path::Quick));
}

/// Checks the model, interleavings with up to `preemptions` preemptions.
fn bounded(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}
