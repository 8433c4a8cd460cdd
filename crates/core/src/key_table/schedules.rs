//! Random schedules of cases that are too large to run every interleaving: more threads, keys and calls.
//!
//! Half of the runs pick the next thread at random, half by PCT (Burckhardt et al., "A Randomized Scheduler with
//! Probabilistic Guarantees of Finding Bugs", 2010), which finds bugs that need few preemptions, at the right steps.

use shuttle::rand::{Rng, thread_rng};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Arc;
use shuttle::{Config, Runner, thread};

use super::small::*;
use super::*;
use crate::key_table::cell::{Several, Single};
use crate::key_table::records::{OwnedRecords, StackedRecords};

const THREADS: usize = 5;
const CALLS: u64 = 12;
const RUNS: usize = 3_000;
/// Fixed: the schedules are the same each time.
const SEED: u64 = 1;
const BURST: u64 = 3;

const KEYS: [(u64, u64); 4] = [(0x1000, 0), (0x2000, (1 << 53) - 1), (0x3000, 5 << 40), (0x4000, 1 << 52)];

/// What a thread did to a key.
#[derive(Clone, Copy, Default)]
struct Done {
    admitted: u64,
    given_back: u64,
    resets: u64,
}

/// What the threads call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Calls {
    /// Charges and penalties only.
    Charges,
    /// Refunds, blocks, resets and reconfigurations as well.
    All,
}

fn run_calls<C: Books + 'static>(small: &Small<C>, calls: Calls) -> [Done; KEYS.len()] {
    let mut random = thread_rng();
    let mut done = [Done::default(); KEYS.len()];
    for call in 0..CALLS {
        let index = random.gen_range(0..KEYS.len());
        let (key, done) = (KEYS[index], &mut done[index]);
        // The clocks of threads differ, and time passes: some keys expire.
        let now = NOW + (call + random.gen_range(0..4)) * T / 2;
        match random.gen_range(0..if calls == Calls::All { 12 } else { 8 }) {
            0 => small.penalize(key, now),
            1..8 => done.admitted += small.try_charge(key, now, random.gen_range(1..=2)),
            8 => done.given_back += small.refund(key, now),
            9 => drop(small.table.block(hash(key), now + 4 * T, now, Small::<C>::lifetime)),
            10 => done.resets += u64::from(small.table.reset(hash(key)).is_some()),
            _ => small.table.adapt(u64::MAX, |words| *words),
        }
    }
    done
}

impl<C: Books> Small<C> {
    /// How many units were admitted; none where the key gets no slot.
    fn try_charge(&self, key: (u64, u64), now: u64, cost: u64) -> u64 {
        if let Some(admitted) = self.charge_at_once(key, now, cost) {
            return if admitted { cost } else { 0 };
        }
        let charged = self.table.update(hash(key), now, Self::lifetime, |client, now| {
            let mut words = client.words;
            for word in words.as_mut().iter_mut().take(2) {
                match self.rate().decide(*word, now, cost) {
                    Ok(next) if client.blocked_until <= now => *word = next,
                    _ => return Step::Keep(0),
                }
            }
            Step::Write(words, cost)
        });
        charged.unwrap_or(0)
    }

    fn penalize(&self, key: (u64, u64), now: u64) {
        let _ = self.table.update(hash(key), now, Self::lifetime, |client, now| {
            let mut words = client.words;
            words.as_mut().iter_mut().take(2).for_each(|word| *word = self.rate().penalize(*word, now, 1));
            Step::Write(words, ())
        });
    }

    fn refund(&self, key: (u64, u64), now: u64) -> u64 {
        let refunded = self.table.update_existing(hash(key), |client| {
            let mut words = client.words;
            words.as_mut().iter_mut().take(2).for_each(|word| *word = self.rate().refund(*word, now, 1));
            Step::Write(words, 1)
        });
        refunded.unwrap_or(0)
    }
}

/// Runs the threads, and checks of every key how many units were admitted and that it has at most one slot.
fn crowd<C: Books + 'static>(small: Small<C>, calls: Calls) {
    let small = Arc::new(small);
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let small = Arc::clone(&small);
            thread::spawn(move || run_calls(&small, calls))
        })
        .collect();
    let done: Vec<_> = threads.into_iter().map(|thread| thread.join().expect("no panic")).collect();
    let refilled = (CALLS + 4) / 2;
    for (index, key) in KEYS.into_iter().enumerate() {
        let sum = |of: fn(&Done) -> u64| done.iter().map(|done| of(&done[index])).sum::<u64>();
        let lost = small.table.live_evictions() + sum(|done| done.resets);
        // A key that was evicted or reset begins anew, by the clock of the thread that inserts it.
        let most = (1 + lost) * (BURST + refilled) + sum(|done| done.given_back);
        let admitted = sum(|done| done.admitted);
        assert!(admitted <= most, "{admitted} of {most}");
        assert!(small.slots_of(key) <= 1, "a key has one slot");
    }
}

fn at_random(model: impl Fn() + Send + Sync + Clone + 'static) {
    Runner::new(RandomScheduler::new_from_seed(SEED, RUNS), Config::default()).run(model.clone());
    Runner::new(PctScheduler::new_from_seed(SEED, 4, RUNS), Config::default()).run(model);
}

fn table<C: Cell>(
    bound: Option<u64>,
    overflow: Overflow,
    cell: impl FnOnce(usize) -> std::io::Result<C>,
) -> Table<C> {
    small_table(2, Bound::of(bound), overflow, cell)
}

fn small(path: Path, bound: Option<u64>, overflow: Overflow) -> Small<Single> {
    Small { table: table(bound, overflow, |_| Ok(Single)), burst: BURST, path }
}

fn on_both_paths(model: impl Fn(Path) + Send + Sync + Copy + 'static) {
    for path in [Path::Full, Path::Quick] {
        at_random(move || model(path));
    }
}

#[test]
fn a_table_with_room_for_all_keys_admits_what_each_may_use() {
    on_both_paths(|path| crowd(small(path, Some(4), Overflow::Deny), Calls::Charges));
}

#[test]
fn a_full_table_that_denies_evicts_no_key() {
    on_both_paths(|path| crowd(small(path, Some(2), Overflow::Deny), Calls::Charges));
}

#[test]
fn a_full_table_that_evicts_counts_its_evictions() {
    on_both_paths(|path| crowd(small(path, Some(2), Overflow::Evict), Calls::All));
}

#[test]
fn refunds_blocks_and_resets_lose_nothing_else() {
    on_both_paths(|path| crowd(small(path, None, Overflow::Evict), Calls::All));
}

fn lose_no_record<C: OfTwoLimits>() {
    at_random(|| {
        let table = table(Some(3), Overflow::Evict, C::of_two_limits);
        crowd(Small { table, burst: BURST, path: Path::Full }, Calls::All);
    });
}

#[test]
fn keys_of_several_limits_lose_no_record() {
    lose_no_record::<Several<StackedRecords>>();
}

#[test]
fn keys_of_several_limits_lose_no_record_that_processes_share() {
    lose_no_record::<Several<OwnedRecords>>();
}
