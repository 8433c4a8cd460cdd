//! Costs of the engine without Node.js: `npm run bench:core`.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use sluice_core::runtime::key_hash::{KeyHash, hash_str, hash_utf16};
use sluice_core::{
    AlgorithmKind, ConnectionOptions, ConnectionTracker, ConnectionTrackerOptions, Opened, RateLimiter,
    RateLimiterOptions, Registry, ThreadId,
};

const CLIENTS: u64 = 10_000;
const DAY_MS: u64 = 86_400_000;
/// A limit that no client uses up during a measurement.
const PLENTY: u64 = 1_000_000_000;
/// The maximum limit of a sliding window.
const MOST_OF_SLIDING: u64 = (1 << 23) - 1;
/// Any time of the clock.
const START: u64 = 1_800_000_000_000_000_000;

fn limiter(options: RateLimiterOptions) -> RateLimiter {
    RateLimiter::new("bench", options.try_into().expect("valid"))
}

/// All clients, in an order that defeats the prefetcher.
fn clients() -> Vec<KeyHash> {
    (0..CLIENTS).map(|i| hash_str(&format!("203.0.{}.{}", i * 7919 % CLIENTS, i % 7))).collect()
}

/// One limiter with one client: the decision, its compare-and-swap, and a look-up from the cache.
fn algorithms(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("try_consume, one client");
    for (name, algorithm, limit) in [
        ("gcra", AlgorithmKind::Gcra, PLENTY),
        ("fixed-window", AlgorithmKind::FixedWindow, PLENTY),
        ("sliding-window", AlgorithmKind::SlidingWindow, MOST_OF_SLIDING),
    ] {
        let limiter = limiter(RateLimiterOptions::by(algorithm, limit, DAY_MS));
        let client = hash_str("203.0.113.7");
        let mut now = START;
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                now += 1;
                limiter.try_consume(black_box(client), 1, now)
            });
        });
    }
    group.finish();
}

fn clients_of_a_limiter(criterion: &mut Criterion) {
    let clients = clients();
    let mut group = criterion.benchmark_group("try_consume, 10 000 clients");
    for (name, limit) in [("known", PLENTY), ("refused", 1)] {
        let limiter = limiter(RateLimiterOptions::single(limit, DAY_MS));
        for client in &clients {
            limiter.try_consume(*client, 1, START).expect("open");
        }
        let mut calls = clients.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| limiter.try_consume(*calls.next().expect("cycles"), 1, START));
        });
    }
    group.throughput(Throughput::Elements(CLIENTS));
    group.bench_function("all new", |bencher| {
        bencher.iter_batched_ref(
            || limiter(RateLimiterOptions::single(PLENTY, DAY_MS)),
            |limiter| {
                for client in &clients {
                    limiter.try_consume(*client, 1, START).expect("open");
                }
            },
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

/// One thread alone, then the same thread while another makes the same calls.
fn one_hot_client(criterion: &mut Criterion) {
    let limiter = limiter(RateLimiterOptions::single(PLENTY, DAY_MS));
    let client = hash_str("203.0.113.7");
    let (now, stop) = (AtomicU64::new(START), AtomicBool::new(false));
    let call = || limiter.try_consume(black_box(client), 1, now.load(Ordering::Relaxed));
    let mut group = criterion.benchmark_group("try_consume, one hot client");
    group.bench_function("1 thread", |bencher| bencher.iter(call));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let _ = black_box(call());
            }
        });
        group.bench_function("each of 2 threads", |bencher| bencher.iter(call));
        stop.store(true, Ordering::Relaxed);
    });
    group.finish();
}

fn keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hash_utf16");
    for length in [12, 40, 400] {
        let units = vec![u16::from(b'a'); length];
        group.bench_function(format!("{length} code units"), |bencher| {
            bencher.iter(|| hash_utf16(black_box(&units)));
        });
    }
    group.finish();
}

fn registry(criterion: &mut Criterion) {
    let registry = Registry::new("bench");
    let keys: Vec<_> = (0..1_000).map(|i| format!("tenant-{i}")).collect();
    let entries = keys.iter().map(|key| (key.clone(), Box::from(key.as_bytes()))).collect();
    registry.replace_all(entries).expect("open");
    let mut reads = keys.iter().cycle();
    let mut group = criterion.benchmark_group("Registry");
    group.bench_function("get", |bencher| bencher.iter(|| registry.get(reads.next().expect("cycles"))));
    group.bench_function("version", |bencher| bencher.iter(|| registry.version()));
    group.finish();
}

fn connections(criterion: &mut Criterion) {
    let options = ConnectionTrackerOptions { max: Some(100), max_per_client: Some(10), ..Default::default() };
    let tracker = ConnectionTracker::new("bench", options.try_into().expect("valid"));
    criterion.bench_function("ConnectionTracker open and close", |bencher| {
        bencher.iter(|| {
            let session = ConnectionOptions::session(ThreadId(1));
            match tracker.open(Some("203.0.113.7"), session, (START, 0)).expect("a client") {
                Opened::Yes(connection) => tracker.close(&connection),
                Opened::No(_) => unreachable!("one of a hundred"),
            }
        });
    });
}

fn briefly() -> Criterion {
    Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
}

criterion_group! {
    name = engine;
    config = briefly();
    targets = algorithms, clients_of_a_limiter, one_hot_client, keys, registry, connections
}
criterion_main!(engine);
