//! Limiters of several processes over one mapping, as far as one process can be several.

use fastrand::Rng;

use super::*;
use crate::rate_limiter::{AlgorithmKind, LimitOptions, LocalHandle, Quota, RateLimiterOptions};
use crate::runtime::arena::tests::mapping;
use crate::runtime::clock::MS;
use crate::runtime::key_hash::{KeyHash, hash_str};

const START: u64 = 1_800_000_000_000 * MS;

/// So many processes that share a limiter.
fn processes(count: usize, config: &RateLimiterConfig) -> Vec<Arc<RateLimiter>> {
    let rows = Arena::measure();
    Processes::new(&rows).expect("room");
    let mapping = mapping(rows.taken() + RateLimiter::bytes(config).expect("room"));
    let attach = |row| {
        let arena = Arena::in_mapping(Arc::clone(&mapping));
        let processes = Arc::new(Processes::new(&arena).expect("room"));
        processes.take(row, 1, 1);
        Arc::new(RateLimiter::shared("shared", config.clone(), &arena, &processes).expect("room"))
    };
    (0..count).map(attach).collect()
}

fn options(algorithm: AlgorithmKind, limit: u64, max_keys: u64) -> RateLimiterOptions {
    RateLimiterOptions { max_keys, ..RateLimiterOptions::by(algorithm, limit, 1_000) }
}

/// Three limits, one by each algorithm, of which the first is the lowest.
fn three_limits(limit: u64, max_keys: u64) -> RateLimiterOptions {
    let all = [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow];
    let limits = all.into_iter().zip(0..).map(|(algorithm, place)| LimitOptions {
        name: algorithm.to_string(),
        quota: Quota::new(limit + 2 * place, 1_000),
        algorithm,
    });
    RateLimiterOptions { max_keys, ..RateLimiterOptions::new(limits.collect()) }
}

/// The same random calls to several processes in turn, and to a limiter of one process, of options that a limit and a number
/// of keys stand for.
fn compare(options: impl Fn(u64, u64) -> RateLimiterOptions, seed: u64) {
    let mut random = Rng::with_seed(seed);
    // So many that it is bounded by its slots in one process, too.
    let config: RateLimiterConfig = options(10, 20_000).try_into().expect("valid");
    let limits = &config.options.limits;
    let one = Arc::new(RateLimiter::new("one", config.clone()));
    let shared = processes(3, &config);
    let mut handles: Vec<_> = shared.iter().map(|limiter| LocalHandle::new(Arc::clone(limiter))).collect();
    let mut one_handle = LocalHandle::new(Arc::clone(&one));
    let keys: Vec<KeyHash> = (0..30).map(|key| hash_str(&format!("{seed} {key}"))).collect();
    let mut now = START;
    for call in 0..3_000 {
        now += random.u64(..30 * MS);
        let (process, key) = (random.usize(..shared.len()), keys[random.usize(..keys.len())]);
        let (limiter, handle) = (&shared[process], &mut handles[process]);
        let cost = random.u64(1..4);
        match random.u8(..40) {
            0 => {
                let other = options(random.u64(1..20), 20_000);
                for limiter in [&one, limiter] {
                    limiter.reconfigure(other.clone(), || now).expect("changeable");
                }
            }
            1 => assert_eq!(limiter.block(key, 50 * MS, now), one.block(key, 50 * MS, now)),
            2 => assert_eq!(
                limiter.reset(key, now),
                one.reset(key, now),
                "{limits:?}, seed {seed}, call {call}"
            ),
            3..8 => assert_eq!(limiter.refund(key, cost, now), one.refund(key, cost, now)),
            8..12 => assert_eq!(limiter.penalize(key, cost, now), one.penalize(key, cost, now)),
            12..20 => assert_eq!(limiter.consume(key, cost, now), one.consume(key, cost, now)),
            _ => {
                let decisions = (handle.consume(key, cost, now), one_handle.consume(key, cost, now));
                assert_eq!(decisions.0, decisions.1, "{limits:?}, seed {seed}, call {call}");
            }
        }
    }
    for limiter in &shared {
        let (sum, of_one) = (limiter.stats(now).expect("open"), one.stats(now).expect("open"));
        assert_eq!((sum.allowed, sum.refused, sum.size), (of_one.allowed, of_one.refused, of_one.size));
    }
}

#[test]
fn processes_decide_as_one_would() {
    for algorithm in [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow] {
        (0..8).for_each(|seed| compare(|limit, keys| options(algorithm, limit, keys), seed));
    }
    (0..8).for_each(|seed| compare(three_limits, seed));
}

fn share_one_quota(options: RateLimiterOptions) {
    let config: RateLimiterConfig = options.try_into().expect("valid");
    let shared = processes(4, &config);
    let key = hash_str("client");
    let admitted: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let mut handle = LocalHandle::new(Arc::clone(&shared[thread % 4]));
                scope.spawn(move || {
                    (0..1_000).filter(|_| handle.try_consume(key, 1, START).expect("open")).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert_eq!(admitted, 1_000);
    let calls = shared[3].calls().expect("open");
    assert_eq!(calls, [1_000, 7_000, 0], "all of them, of handles that are dropped");
    assert_eq!(shared[0].states_in_flight(), Ok(0));
}

#[test]
fn threads_of_processes_share_one_quota() {
    share_one_quota(options(AlgorithmKind::Gcra, 1_000, 100));
    share_one_quota(three_limits(1_000, 100));
}

/// Threads of processes charge, evict and remove keys of a small table: no record is lost, and none has two keys.
#[test]
fn keys_of_several_limits_come_and_go() {
    const KEYS: u64 = 500;
    let config: RateLimiterConfig = three_limits(1_000_000, 40).try_into().expect("valid");
    let shared = processes(4, &config);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let limiter = &shared[thread % 4];
            scope.spawn(move || {
                let mut random = Rng::with_seed(thread as u64);
                for _ in 0..10_000 {
                    let key = hash_str(&random.u64(..KEYS).to_string());
                    match random.u8(..16) {
                        0 => drop(limiter.reset(key, START).expect("open")),
                        1 => limiter.refund(key, 1, START).expect("open"),
                        _ => drop(limiter.try_consume(key, 1, START).expect("open")),
                    }
                }
            });
        }
    });
    assert_eq!(shared[0].states_in_flight(), Ok(0));
    shared[0].clear(START).expect("open");
    // Each key is charged in a record of its own.
    for charges in 1..=3 {
        for key in 0..10 {
            let decision = shared[key % 4].consume(hash_str(&key.to_string()), 1, START).expect("open");
            assert_eq!(decision.remaining, 1_000_000 - charges);
        }
    }
}

#[test]
fn a_limiter_that_one_process_destroys_goes_on_for_others() {
    use crate::Instance;

    let config: RateLimiterConfig = options(AlgorithmKind::Gcra, 5, 100).try_into().expect("valid");
    let shared = processes(2, &config);
    let (key, mut handle) = (hash_str("client"), LocalHandle::new(Arc::clone(&shared[0])));
    assert!(handle.try_consume(key, 3, START).expect("open"));
    Instance::close(&*shared[0]);
    assert_eq!(handle.try_consume(key, 1, START).expect_err("closed").code(), "CLOSED");
    assert_eq!(shared[0].try_consume(key, 1, START).expect_err("closed").code(), "CLOSED");
    assert!(shared[1].try_consume(key, 2, START).expect("open"));
    assert!(!shared[1].try_consume(key, 1, START).expect("open"));
}

/// A process was killed after its config came into force, and before it had adapted all keys.
#[test]
fn a_reconfiguration_that_was_cut_short_is_finished() {
    let config: RateLimiterConfig = options(AlgorithmKind::Gcra, 10, 100).try_into().expect("valid");
    let shared = processes(2, &config);
    let key = hash_str("client");
    assert!(shared[0].try_consume(key, 10, START).expect("open"));
    let less = config.replaced_by(options(AlgorithmKind::Gcra, 1, 100)).expect("changeable");
    let in_force = &shared[0].in_force;
    assert!(in_force.replace(&config, Arc::new(less)));
    assert_eq!(shared[1].repair(|| START), Ok(Repaired { config: true, ..Repaired::default() }));
    assert_eq!(shared[1].repair(|| START), Ok(Repaired::default()), "once");
    assert_eq!(shared[1].config().options.limits[0].quota.limit, 1);
    assert!(shared[0].try_consume(key, 1, START + 1_000 * MS).expect("open"), "a debt of one unit at most");
}

/// A process is suspended in its pass over the keys, while another one brings a longer window into force and charges by it.
#[test]
fn a_late_pass_takes_no_charge_of_a_later_config_back() {
    use std::cell::Cell;

    let by = |limit, window_ms| RateLimiterOptions {
        max_keys: 100,
        ..RateLimiterOptions::by(AlgorithmKind::Gcra, limit, window_ms)
    };
    let config: RateLimiterConfig = by(10, 1_000).try_into().expect("valid");
    for is_repair in [false, true] {
        let shared = processes(2, &config);
        let (key, is_first) = (hash_str("client"), Cell::new(true));
        assert!(shared[0].try_consume(key, 10, START).expect("open"));
        let clock = || {
            if is_first.replace(false) {
                shared[1].reconfigure(by(10, 3_600_000), || START).expect("changeable");
                assert!(shared[1].try_consume(key, 9, START).expect("open"));
            }
            START
        };
        if is_repair {
            let less = config.replaced_by(by(1, 1_000)).expect("changeable");
            assert!(shared[0].in_force.replace(&config, Arc::new(less)));
            assert!(shared[0].finish_reconfiguration(&shared[0].enter().expect("open"), &clock));
        } else {
            shared[0].reconfigure(by(1, 1_000), clock).expect("changeable");
        }
        assert!(!is_first.get(), "the pass came to a key");
        for limiter in &shared {
            // One more has room by then, as what was owed at first has drained.
            assert!(!limiter.try_consume(key, 2, START + 1_000 * MS).expect("open"), "ten an hour");
        }
    }
}

/// A process opens the limiter with options that it has replaced before.
#[test]
fn a_config_of_a_later_generation_can_be_replaced() {
    let first: RateLimiterConfig = options(AlgorithmKind::Gcra, 10, 100).try_into().expect("valid");
    let config = first.replaced_by(options(AlgorithmKind::Gcra, 20, 100)).expect("changeable");
    let shared = processes(2, &config);
    for (limiter, limit) in shared.iter().zip([30, 40]) {
        limiter.reconfigure(options(AlgorithmKind::Gcra, limit, 100), || START).expect("changeable");
        assert_eq!(limiter.config().options.limits[0].quota.limit, limit);
    }
}

#[test]
fn a_process_that_is_not_attached_reconfigures_nothing() {
    let config: RateLimiterConfig = options(AlgorithmKind::Gcra, 10, 100).try_into().expect("valid");
    let arena = Arena::default();
    let none = Arc::new(Processes::new(&arena).expect("room"));
    let limiter = RateLimiter::shared("shared", config, &arena, &none).expect("room");
    let refused = limiter.reconfigure(options(AlgorithmKind::Gcra, 20, 100), || START);
    assert_eq!(refused.expect_err("no row").code(), "UNSUPPORTED");
}

#[test]
fn calls_do_not_wait_for_a_shared_limiter() {
    use crate::rate_limiter::{WaitRequest, WaitingThread, Waits};
    use crate::runtime::ThreadId;

    #[derive(Debug)]
    struct Thread;
    impl WaitingThread for Thread {
        fn id(&self) -> ThreadId {
            ThreadId(1)
        }
        fn wake(&self) {}
    }

    let config: RateLimiterConfig = options(AlgorithmKind::Gcra, 1, 100).try_into().expect("valid");
    let shared = processes(1, &config);
    let waits = Arc::new(Waits::new(Box::new(Thread)));
    let request = WaitRequest { waits: &waits, cost: 1, now: START, latest: u64::MAX, counts_refusal: true };
    let refused = shared[0].join(hash_str("client"), &request).expect_err("lines are of one process");
    assert_eq!(refused.code(), "UNSUPPORTED");
    assert!(shared[0].try_consume(hash_str("client"), 1, START).expect("open"), "not charged");
}

#[test]
fn a_reset_in_one_process_leaves_what_others_share() {
    use crate::Instance;

    let config: RateLimiterConfig = options(AlgorithmKind::Gcra, 2, 100).try_into().expect("valid");
    let shared = processes(2, &config);
    let (key, mut handle) = (hash_str("client"), LocalHandle::new(Arc::clone(&shared[0])));
    assert!(handle.try_consume(key, 1, START).expect("open"));
    assert!(shared[1].try_consume(key, 1, START).expect("open"));
    Instance::reset(&*shared[1]);
    assert_eq!(shared[0].calls(), Ok([2, 0, 0]));
    assert!(!shared[0].try_consume(key, 1, START).expect("open"));
}

/// Another process brings a config into force between the look of a call at the epoch and its own reconfiguration.
#[test]
fn of_two_configs_the_second_is_based_on_the_first() {
    let config: RateLimiterConfig = options(AlgorithmKind::FixedWindow, 10, 100).try_into().expect("valid");
    let shared = processes(2, &config);
    let stale = shared[1].config();
    shared[0].reconfigure(options(AlgorithmKind::FixedWindow, 20, 100), || START).expect("changeable");
    let next = stale.replaced_by(options(AlgorithmKind::FixedWindow, 30, 100)).expect("changeable");
    assert!(!shared[1].in_force.replace(&stale, Arc::new(next)), "nothing changed");
    shared[1].reconfigure(options(AlgorithmKind::FixedWindow, 30, 100), || START).expect("changeable");
    for limiter in &shared {
        limiter.peek(hash_str("client"), START).expect("open");
        let config = limiter.config();
        assert_eq!((config.options.limits[0].quota.limit, config.generation), (30, 2));
    }
}
