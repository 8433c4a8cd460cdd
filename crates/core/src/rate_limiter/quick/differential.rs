//! Every call by both paths: random limiters and random calls, once through a thread's handle and once in full. Every
//! answer and every word of both tables must be equal.

use std::sync::Arc;

use super::super::contents::with_table;
use super::super::options::{LimitOptions, RateLimiterOptions};
use super::super::quota::Quota;
use super::super::{AlgorithmKind, LocalHandle, RateLimiter, Receipt};
use super::*;
use crate::key_table::Overflow;
use crate::runtime::clock::MS;
use fastrand::Rng;

mod soak;

/// Calls of one pair of limiters.
const CALLS: u64 = 2_000;
/// Calls after which the tables are compared word by word. After each call the words of its key are.
const CALLS_PER_PASS: u64 = 50;

/// The latest time: a TAT has 62 bits, and a burst takes 2^60 ns at most.
const LATEST: u64 = 3_400_000_000_000_000_000;
const STARTS: [u64; 5] = [0, 1, 5_000_000_000, 1_800_000_000_000_000_000, LATEST - 40 * 86_400_000 * MS];
const WINDOWS_MS: [u64; 8] = [10, 100, 257, 1_000, 60_000, 3_600_000, 86_400_000, 30 * 86_400_000];

/// Two limiters of the same options.
struct Pair {
    handle: LocalHandle,
    full: RateLimiter,
    options: RateLimiterOptions,
    keys: Vec<KeyHash>,
    now: u64,
    last: Option<(KeyHash, u64, Receipt)>,
    /// Calls that the quick path could take.
    ordinary: u64,
    random: Rng,
}

/// Runs a pair with the calls of a seed; how many of them were ordinary.
fn compare(seed: u64) -> u64 {
    let mut pair = Pair::new(Rng::with_seed(seed));
    for call in 1..=CALLS {
        pair.pass_time();
        let key = pair.keys[pair.random.usize(..pair.keys.len())];
        pair.call(key);
        let words = |limiter: &RateLimiter| {
            with_table!(limiter.contents.enter().expect("open"), table => table.get(key).map(|client| {
                (client.words.as_ref().to_vec(), client.blocked_until)
            }))
        };
        assert_eq!(words(pair.handle.limiter()), words(&pair.full), "seed {seed}, call {call}");
        if call % CALLS_PER_PASS == 0 {
            pair.compare_tables(seed, call);
        }
    }
    pair.ordinary
}

impl Pair {
    fn new(mut random: Rng) -> Self {
        let (options, config) = std::iter::repeat_with(|| random_options(&mut random))
            .find_map(|options| Some((options.clone(), RateLimiterConfig::try_from(options).ok()?)))
            .expect("some options are valid");
        let full = RateLimiter::new("pair", config.clone());
        let handle = LocalHandle::new(Arc::new(RateLimiter::new("pair", config)));
        let keys = random.usize(1..24);
        let keys = (0..keys).map(|_| KeyHash::from_halves(random.u64(..), random.u64(..))).collect();
        let now = STARTS[random.usize(..STARTS.len())];
        Self { handle, full, options, keys, now, last: None, ordinary: 0, random }
    }

    /// By a part of an interval, by windows, or back.
    fn pass_time(&mut self) {
        let Quota { limit, window_ms, .. } = self.options.limits[0].quota;
        let (window, random) = (window_ms * MS, &mut self.random);
        self.now = match random.u8(..100) {
            0..30 => self.now,
            30..80 => self.now + random.u64(..=2 * (window / limit)),
            80..88 => self.now + random.u64(..=2 * window),
            88..98 => self.now.saturating_sub(random.u64(..=window)),
            _ => self.now.saturating_sub(random.u64(..=3_600_000 * MS)),
        };
        self.now = self.now.min(LATEST);
    }

    fn cost(&mut self) -> u64 {
        let rule = self.handle.limiter().config().rules[0].algorithm;
        match self.random.u8(..100) {
            0..60 => 1,
            60..95 => self.random.u64(1..=rule.capacity().min(20)),
            95..98 => self.random.u64(1..=rule.capacity()),
            98 => rule.capacity() + 1,
            _ => [0, u64::MAX, 1 << 53][self.random.usize(..3)],
        }
    }

    fn call(&mut self, key: KeyHash) {
        let (cost, now) = (self.cost(), self.now);
        let Self { handle, full, .. } = self;
        let quick = Arc::clone(handle.limiter());
        match self.random.u8(..100) {
            0..40 => {
                self.ordinary += u64::from(is_ordinary(&quick, key, cost));
                assert_eq!(handle.try_consume(key, cost, now), full.try_consume(key, cost, now));
            }
            40..80 => {
                self.ordinary += u64::from(is_ordinary(&quick, key, cost));
                let decision = full.consume(key, cost, now);
                assert_eq!(handle.consume(key, cost, now), decision);
                self.last =
                    decision.ok().filter(|decision| decision.allowed).map(|it| (key, cost, it.receipt));
            }
            80..83 => self.consume_many(cost),
            83..86 => assert_eq!(handle.peek(key, now), full.peek(key, now)),
            86..89 => assert_eq!(quick.refund(key, cost, now), full.refund(key, cost, now)),
            89..92 => assert_eq!(quick.penalize(key, cost, now), full.penalize(key, cost, now)),
            // Seldom: a key that was blocked is not ordinary until it is reset or evicted.
            92 if self.random.u8(..4) == 0 => {
                let duration = self.random.u64(..=self.options.limits[0].quota.window_ms * MS);
                assert_eq!(quick.block(key, duration, now), full.block(key, duration, now));
            }
            92..97 => assert_eq!(quick.reset(key, now), full.reset(key, now)),
            97 => {
                let limit = self.random.u64(1..40);
                let expected = full.consume_with_limit(key, cost, limit, now);
                assert_eq!(handle.consume_with_limit(key, cost, limit, now), expected);
            }
            98 => {
                if let Some((key, cost, receipt)) = self.last.take() {
                    assert_eq!(quick.undo(key, cost, &receipt, now), full.undo(key, cost, &receipt, now));
                }
            }
            _ => self.reconfigure(),
        }
    }

    fn consume_many(&mut self, cost: u64) {
        let (now, mut keys) = (self.now, self.keys.clone());
        self.random.shuffle(&mut keys);
        let mut answers = Vec::new();
        let quick = self.handle.try_consume_many(&keys, cost, now, |allowed| answers.push(Ok(allowed)));
        let full: Vec<_> = keys.iter().map(|key| self.full.try_consume(*key, cost, now)).collect();
        match quick {
            Ok(()) => assert_eq!(answers, full),
            Err(error) => assert_eq!((answers, full.first()), (vec![], Some(&Err(error)))),
        }
    }

    fn reconfigure(&mut self) {
        let mut options = self.options.clone();
        options.dry_run = self.random.u8(..8) == 0;
        options.limits[0].quota.limit = self.random.u64(1..40);
        let now = self.now;
        let result = self.handle.limiter().reconfigure(options.clone(), || now);
        assert_eq!(result, self.full.reconfigure(options.clone(), || now));
        if result.is_ok() {
            self.options = options;
        }
    }

    fn compare_tables(&self, seed: u64, call: u64) {
        let quick = self.handle.limiter();
        let all = |limiter: &RateLimiter| with_table!(limiter.contents.enter().expect("open"), table => table.all_words());
        assert_eq!(all(quick), all(&self.full), "seed {seed}, call {call}");
        assert_eq!(quick.stats(self.now), self.full.stats(self.now), "seed {seed}, call {call}");
    }
}

fn random_options(random: &mut Rng) -> RateLimiterOptions {
    let kinds = [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow];
    let algorithm = kinds[random.usize(..kinds.len())];
    let limit = if random.u8(..4) == 0 { random.u64(1..=10_000_000) } else { random.u64(1..=20) };
    let window_ms = WINDOWS_MS[random.usize(..WINDOWS_MS.len())];
    let most_burst = if random.bool() { 30 } else { 100_000_000 };
    let has_burst = algorithm == AlgorithmKind::Gcra && random.bool();
    let burst = has_burst.then(|| random.u64(1..=most_burst));
    let quota = Quota { limit, window_ms, burst };
    let limits = (0..if random.u8(..16) == 0 { 2 } else { 1 }).map(|index| LimitOptions {
        name: format!("limit {index}"),
        quota,
        algorithm,
    });
    RateLimiterOptions {
        dry_run: random.u8(..16) == 0,
        max_keys: random.u64(1..32),
        overflow: if random.bool() { Overflow::Evict } else { Overflow::Deny },
        ..RateLimiterOptions::new(limits.collect())
    }
}

/// Whether the quick path can take a call. It is refused here, so nothing is written.
fn is_ordinary(limiter: &RateLimiter, key: KeyHash, cost: u64) -> bool {
    let contents = limiter.contents.enter().expect("open");
    match &contents.table {
        KeyTable::Single(table) if limiter.config().ordinary.covers(cost) => {
            table.charge_at_once(key, |_| None).is_some()
        }
        _ => false,
    }
}

#[test]
fn quick_and_full_calls_agree_in_every_answer_and_every_word() {
    const PAIRS: u64 = 60;
    let ordinary: u64 = (0..PAIRS).map(compare).sum();
    assert!(ordinary > PAIRS * CALLS / 3, "{ordinary} calls were ordinary");
}
