//! A known number of calls of one kind through a thread's handle, for counting instructions:
//!
//! ```text
//! cargo build --release --package sluice-core --bench calls
//! valgrind --tool=callgrind target/release/deps/calls-* admitted gcra 10000 20
//! ```
//!
//! Arguments: the kind of call (`admitted`, `refused`, `consume`, `consume-refused`, `many`, `many-refused`), the
//! algorithm, how many clients call in turn, and how many rounds. The difference between two numbers of rounds is what
//! the calls cost. Prints nanoseconds per call of the fastest round.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use sluice_core::runtime::key_hash::{KeyHash, hash_str};
use sluice_core::{AlgorithmKind, Decision, LocalHandle, RateLimiter, RateLimiterOptions};

const DAY_MS: u64 = 86_400_000;
/// Any time of the clock.
const START: u64 = 1_800_000_000_000_000_000;
/// The keys of one call of `try_consume_many`.
const BATCH: usize = 100;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [kind, algorithm, clients, rounds] = &arguments[..] else {
        // `cargo bench` runs every bench without arguments.
        return;
    };
    let (clients, rounds): (u64, u64) = (clients.parse().expect("clients"), rounds.parse().expect("rounds"));
    let mut handle = handle(algorithm, kind.ends_with("refused"));
    // Far apart, in an order that defeats the prefetcher.
    let keys: Vec<_> =
        (0..clients).map(|i| hash_str(&format!("203.0.{}.{}", i * 7919 % clients, i))).collect();
    let mut now = START;
    for key in &keys {
        handle.try_consume(*key, 1, now).expect("open");
    }
    let mut round = round_of(kind);
    let mut fastest = f64::INFINITY;
    for _ in 0..rounds {
        let started_at = Instant::now();
        round(&mut handle, &keys, &mut now);
        fastest = fastest.min(started_at.elapsed().as_nanos() as f64 / clients as f64);
    }
    eprintln!("{kind} {algorithm}: {fastest:.1} ns");
}

fn handle(algorithm: &str, used_up: bool) -> LocalHandle {
    let (algorithm, most) = match algorithm {
        "gcra" => (AlgorithmKind::Gcra, 1_000_000_000),
        "fixed-window" => (AlgorithmKind::FixedWindow, 1_000_000_000),
        "sliding-window" => (AlgorithmKind::SlidingWindow, (1 << 23) - 1),
        other => panic!("{other} is no algorithm: gcra, fixed-window or sliding-window"),
    };
    let options = RateLimiterOptions::by(algorithm, if used_up { 1 } else { most }, DAY_MS);
    LocalHandle::new(Arc::new(RateLimiter::new("bench", options.try_into().expect("valid"))))
}

type Round = Box<dyn FnMut(&mut LocalHandle, &[KeyHash], &mut u64)>;

fn round_of(kind: &str) -> Round {
    match kind.trim_end_matches("-refused") {
        "admitted" | "refused" => Box::new(|handle, keys, now| {
            for key in keys {
                *now += 1;
                black_box(handle.try_consume(*key, 1, *now).expect("open"));
            }
        }),
        "consume" => Box::new(|handle, keys, now| {
            for key in keys {
                *now += 1;
                black_box(told(&handle.consume(*key, 1, *now).expect("open")));
            }
        }),
        "many" => Box::new(|handle, keys, now| {
            let mut admitted = 0_u64;
            for keys in keys.chunks(BATCH) {
                *now += 1;
                handle
                    .try_consume_many(keys, 1, *now, |allowed| admitted += u64::from(allowed))
                    .expect("open");
            }
            black_box(admitted);
        }),
        other => panic!("{other} is no kind of call"),
    }
}

/// What a caller of `consume` reads.
fn told(decision: &Decision) -> (bool, u64, u64, u64, Option<u64>) {
    let Decision { allowed, limit, remaining, reset_after, retry_after, .. } = *decision;
    (allowed, limit, remaining, reset_after, retry_after)
}
