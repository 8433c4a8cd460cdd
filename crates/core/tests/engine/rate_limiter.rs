//! `RateLimiter`: quotas, costs, blocks, reconfiguration and full tables.

use sluice_core::runtime::clock::SetBack;
use sluice_core::runtime::key_hash::{KeyHash, hash_str};
use sluice_core::{AlgorithmKind, Instances, LimitOptions, Overflow, Quota, RateLimiter, RateLimiterOptions};

const SECOND: u64 = 1_000_000_000;
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

fn limiter(limit: u64, window_ms: u64) -> RateLimiter {
    RateLimiter::new("test", RateLimiterOptions::single(limit, window_ms).try_into().expect("valid"))
}

/// A limiter of several limits, each with a window of 30 days.
fn several(limits: &[(AlgorithmKind, u64)]) -> RateLimiter {
    let limit = |(index, (algorithm, limit)): (usize, &(AlgorithmKind, u64))| LimitOptions {
        name: format!("limit {index}"),
        quota: Quota { limit: *limit, window_ms: 30 * DAY_MS, burst: None },
        algorithm: *algorithm,
    };
    let limits = limits.iter().enumerate().map(limit).collect();
    let options = RateLimiterOptions { limits, ..RateLimiterOptions::single(1, 1) };
    RateLimiter::new("several", options.try_into().expect("valid"))
}

fn client(name: &str) -> KeyHash {
    hash_str(name)
}

fn admitted(limiter: &RateLimiter, key: KeyHash, calls: usize, now: u64) -> usize {
    (0..calls).filter(|_| limiter.try_consume(key, 1, now).expect("open")).count()
}

/// Eight threads make `calls` calls of one client each, all at once. Returns how many are admitted.
fn admitted_to_eight_threads(limiter: &RateLimiter, calls: usize) -> usize {
    let gate = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        let call = || {
            gate.wait();
            admitted(limiter, client("one"), calls, 77)
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(call)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    })
}

#[test]
fn eight_threads_admit_exactly_the_quota() {
    for algorithm in [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow] {
        let options = RateLimiterOptions::by(algorithm, 100_000, 30 * DAY_MS);
        let limiter = RateLimiter::new("test", options.try_into().expect("valid"));
        assert_eq!(admitted_to_eight_threads(&limiter, 50_000), 100_000, "{algorithm}");
        let stats = limiter.stats(77).expect("open");
        assert_eq!((stats.allowed, stats.refused, stats.size), (100_000, 300_000, 1));
    }
}

#[test]
fn eight_threads_charge_several_limits_as_one() {
    let limiter = several(&[
        (AlgorithmKind::Gcra, 30_000),
        (AlgorithmKind::FixedWindow, 20_000),
        (AlgorithmKind::SlidingWindow, 40_000),
    ]);
    assert_eq!(admitted_to_eight_threads(&limiter, 10_000), 20_000);
    let decision = limiter.peek(client("one"), 77).expect("open");
    assert_eq!((decision.policy, decision.limit, decision.remaining), (1, 20_000, 0));
}

#[test]
fn a_call_refused_by_one_limit_is_charged_to_none() {
    let limiter = several(&[(AlgorithmKind::Gcra, 10), (AlgorithmKind::FixedWindow, 4)]);
    assert!(limiter.try_consume(client("a"), 3, 0).expect("open"));
    for _ in 0..5 {
        assert!(!limiter.try_consume(client("a"), 2, 0).expect("open"));
    }
    let decision = limiter.consume(client("a"), 1, 0).expect("open");
    assert_eq!(
        (decision.allowed, decision.policy, decision.remaining),
        (true, 1, 0),
        "the tightest limit is reported"
    );
    let refused = limiter.consume(client("a"), 11, 0).expect("open");
    assert_eq!(
        (refused.retry_after, refused.policy),
        (None, 0),
        "if no limit ever admits it, the first is reported"
    );
}

#[test]
fn reconfiguring_under_load_admits_no_more_than_the_larger_limit() {
    for algorithm in [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow] {
        let options = |limit| RateLimiterOptions::by(algorithm, limit, 30 * DAY_MS);
        let limiter = RateLimiter::new("test", options(20_000).try_into().expect("valid"));
        let total = std::thread::scope(|scope| {
            let swaps = scope.spawn(|| {
                for swap in 0..200 {
                    limiter
                        .reconfigure(options(if swap % 2 == 0 { 10_000 } else { 20_000 }), || 77)
                        .expect("valid");
                }
            });
            let total = admitted_to_eight_threads(&limiter, 5_000);
            swaps.join().expect("no panic");
            total
        });
        limiter.reconfigure(options(20_000), || 77).expect("valid");
        let all = total + admitted(&limiter, client("one"), 20_000, 77);
        // GCRA caps the debt at the burst of a smaller limit, so its total is not exact.
        let exact = algorithm != AlgorithmKind::Gcra;
        assert!(if exact { all == 20_000 } else { (10_000..=40_000).contains(&all) }, "{algorithm}: {all}");
    }
}

#[test]
fn a_bucket_is_full_again_after_one_window_of_any_length() {
    for window_ms in [10, 1_000, 30 * DAY_MS] {
        let limiter = limiter(5, window_ms);
        let start = 1_800_000_000 * SECOND;
        assert_eq!(admitted(&limiter, client("a"), 9, start), 5);
        let decision = limiter.consume(client("a"), 1, start).expect("open");
        let share = window_ms * 1_000_000 / 5;
        assert_eq!((decision.allowed, decision.retry_after), (false, Some(share)));
        assert!(!limiter.try_consume(client("a"), 1, start + share - 1).expect("open"));
        assert!(limiter.try_consume(client("a"), 1, start + share).expect("open"));
        assert_eq!(admitted(&limiter, client("a"), 9, start + share + window_ms * 1_000_000), 5);
    }
}

#[test]
fn gcra_admits_up_to_twice_the_limit_in_the_first_window() {
    let limiter = limiter(10, 1_000);
    let mut total = admitted(&limiter, client("a"), 20, 0);
    for step in 1..=10 {
        total += admitted(&limiter, client("a"), 20, step * SECOND / 10);
    }
    assert_eq!(total, 20);
}

#[test]
fn a_cost_is_charged_as_a_whole_or_not_at_all() {
    let limiter = limiter(10, 1_000);
    let first = limiter.consume(client("a"), 7, 0).expect("open");
    assert_eq!((first.allowed, first.remaining, first.reset_after), (true, 3, 7 * SECOND / 10));
    let refused = limiter.consume(client("a"), 4, 0).expect("open");
    assert_eq!((refused.allowed, refused.remaining, refused.retry_after), (false, 3, Some(SECOND / 10)));
    assert!(limiter.try_consume(client("a"), 3, 0).expect("open"));
}

#[test]
fn a_cost_above_the_burst_is_refused_without_retry_after() {
    let limiter = limiter(10, 1_000);
    let refused = limiter.consume(client("a"), 11, 0).expect("open");
    assert_eq!((refused.allowed, refused.remaining, refused.retry_after), (false, 10, None));
    assert_eq!(limiter.stats(0).expect("open").size, 0, "it takes no slot");
    limiter.consume(client("a"), 4, 0).expect("open");
    assert_eq!(limiter.consume(client("a"), 11, 0).expect("open").remaining, 6);
    assert_eq!(limiter.try_consume(client("a"), 0, 0).expect_err("no cost").code(), "INVALID_COST");
}

#[test]
fn peek_changes_nothing() {
    let limiter = limiter(1, 1_000);
    for _ in 0..3 {
        let decision = limiter.peek(client("a"), 0).expect("open");
        assert_eq!((decision.allowed, decision.remaining, decision.more_after), (true, 1, 0));
    }
    assert!(limiter.try_consume(client("a"), 1, 0).expect("open"));
    let decision = limiter.peek(client("a"), 0).expect("open");
    assert_eq!((decision.allowed, decision.retry_after), (false, Some(SECOND)));
    assert_eq!(limiter.stats(0).expect("open").allowed, 1);
}

#[test]
fn refund_never_exceeds_the_burst() {
    let limiter = limiter(10, 1_000);
    limiter.refund(client("a"), 5, 0).expect("open");
    assert_eq!(limiter.peek(client("a"), 0).expect("open").remaining, 10);
    limiter.try_consume(client("a"), 4, 0).expect("open");
    limiter.refund(client("a"), 100, 0).expect("open");
    assert_eq!(admitted(&limiter, client("a"), 20, 0), 10);
}

#[test]
fn undoing_a_charge_that_has_already_refilled_gives_nothing() {
    for algorithm in [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow] {
        let options = RateLimiterOptions::by(algorithm, 10, 1_000);
        let limiter = RateLimiter::new("test", options.try_into().expect("valid"));
        let first = limiter.consume(client("a"), 4, 0).expect("open");
        limiter.undo(client("a"), 4, &first.receipt, 0).expect("open");
        assert_eq!(limiter.peek(client("a"), 0).expect("open").remaining, 10, "{algorithm}: at once");

        let second = limiter.consume(client("a"), 4, 0).expect("open");
        limiter.consume(client("a"), 10, 3 * SECOND).expect("open");
        limiter.undo(client("a"), 4, &second.receipt, 3 * SECOND).expect("open");
        assert_eq!(
            limiter.peek(client("a"), 3 * SECOND).expect("open").remaining,
            0,
            "{algorithm}: too late"
        );
    }
}

#[test]
fn undo_of_a_call_with_its_own_limit_uses_that_limit() {
    for algorithm in [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow] {
        let options = RateLimiterOptions::by(algorithm, 1, 1_000);
        let limiter = RateLimiter::new("plans", options.try_into().expect("valid"));
        let call = |cost| limiter.consume_with_limit(client("a"), cost, 10, 0).expect("open");
        call(5);
        let decision = call(2);
        limiter.undo(client("a"), 2, &decision.receipt, 0).expect("open");
        assert_eq!(call(1).remaining, 4, "{algorithm}: five stay charged");
    }
}

#[test]
fn penalize_empties_the_bucket_at_most() {
    let limiter = limiter(10, 1_000);
    limiter.penalize(client("a"), 1_000_000, 0).expect("open");
    let decision = limiter.peek(client("a"), 0).expect("open");
    assert_eq!((decision.remaining, decision.retry_after), (0, Some(SECOND / 10)));
}

#[test]
fn a_block_does_not_cancel_debt() {
    let limiter = limiter(10, 1_000);
    admitted(&limiter, client("a"), 10, 0);
    assert!(limiter.block(client("a"), SECOND / 5, 0).expect("open"));
    let decision = limiter.consume(client("a"), 1, SECOND / 10).expect("open");
    assert_eq!((decision.allowed, decision.remaining, decision.retry_after), (false, 0, Some(SECOND / 10)));
    let after = limiter.peek(client("a"), SECOND / 5).expect("open");
    assert_eq!((after.allowed, after.remaining), (true, 2), "the debt remains");
}

#[test]
fn the_later_of_two_blocks_holds_until_reset() {
    let limiter = limiter(10, 1_000);
    limiter.block(client("a"), 9 * SECOND, 0).expect("open");
    limiter.block(client("a"), SECOND, 0).expect("open");
    limiter.refund(client("a"), 5, 0).expect("open");
    limiter.penalize(client("a"), 1, 0).expect("open");
    limiter.reconfigure(RateLimiterOptions::single(1_000, 1_000), || 0).expect("open");
    assert!(!limiter.try_consume(client("a"), 1, 9 * SECOND - 1).expect("open"));
    assert_eq!(limiter.stats(0).expect("open").blocked, 1);
    assert!(limiter.reset(client("a"), 0).expect("open"));
    assert!(!limiter.reset(client("a"), 0).expect("open"), "there is no state left");
    assert!(limiter.try_consume(client("a"), 1, 0).expect("open"));
}

#[test]
fn reconfigure_keeps_consumed_units_but_refuses_no_longer_than_the_new_window() {
    let limiter = limiter(10, 100_000);
    admitted(&limiter, client("a"), 10, 0);
    limiter.reconfigure(RateLimiterOptions::single(5, 1_000), || 0).expect("open");
    let decision = limiter.peek(client("a"), 0).expect("open");
    assert_eq!((decision.limit, decision.remaining, decision.retry_after), (5, 0, Some(SECOND / 5)));
    assert!(!limiter.try_consume(client("a"), 1, SECOND / 5 - 1).expect("open"));
    assert!(limiter.try_consume(client("a"), 1, SECOND / 5).expect("open"), "not after 90 seconds");
    let other_table = RateLimiterOptions { max_keys: 7, ..RateLimiterOptions::single(5, 1_000) };
    let error = limiter.reconfigure(other_table, || 0).expect_err("fixed");
    assert!(error.to_string().contains("reconfigure maxKeys is 7"), "{error}");
}

#[test]
fn a_limit_for_one_call_keeps_consumed_units() {
    for algorithm in [AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow] {
        let options = RateLimiterOptions::by(algorithm, 1, 1_000);
        let limiter = RateLimiter::new("plans", options.try_into().expect("valid"));
        let call = |limit| limiter.consume_with_limit(client("a"), 1, limit, 0).expect("open");
        for remaining in [2, 1, 0] {
            assert_eq!(call(3).remaining, remaining);
        }
        assert!(!call(3).allowed);
        let upgraded = call(10);
        assert_eq!((upgraded.allowed, upgraded.limit, upgraded.remaining), (true, 10, 6));
    }
    let limiter = limiter(1, 1_000);
    let decision = limiter.consume_with_limit(client("a"), 5, 10, 0).expect("open");
    assert_eq!((decision.allowed, decision.remaining, decision.reset_after), (true, 5, SECOND / 2));
    assert_eq!(limiter.consume_with_limit(client("a"), 1, 0, 0).expect_err("none").code(), "INVALID_OPTION");
}

#[test]
fn a_limit_for_one_call_is_reported_when_the_table_is_full() {
    let options =
        RateLimiterOptions { max_keys: 1, overflow: Overflow::Deny, ..RateLimiterOptions::single(1, 1_000) };
    let limiter = RateLimiter::new("small", options.try_into().expect("valid"));
    assert!(limiter.consume_with_limit(client("a"), 1, 7, 0).expect("open").allowed);
    let refused = limiter.consume_with_limit(client("b"), 1, 7, 0).expect("open");
    assert_eq!((refused.allowed, refused.limit), (false, 7));
    assert_eq!(limiter.consume_with_limit(client("c"), 1, 0, 0).expect_err("none").code(), "INVALID_OPTION");
    assert_eq!(limiter.stats(0).expect("open").size, 1);
}

#[test]
fn setting_the_clock_back_does_not_prolong_a_refusal() {
    for algorithm in [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow] {
        let options = RateLimiterOptions { max_keys: 1, ..RateLimiterOptions::by(algorithm, 2, 60_000) };
        let limiter = RateLimiter::new("test", options.try_into().expect("valid"));
        let (later, earlier) = (2_500_000_000 * SECOND, 1_500_000_000 * SECOND);
        admitted(&limiter, client("a"), 2, later);
        admitted(&limiter, client("b"), 2, later + 600 * SECOND);
        limiter.clock_was_set_back(SetBack { before: later + 600 * SECOND, now: earlier });
        assert_eq!(admitted(&limiter, client("b"), 2, earlier + 60 * SECOND), 2, "{algorithm}");
        assert_eq!(
            admitted(&limiter, client("c"), 2, earlier + 300 * SECOND),
            2,
            "{algorithm}: a new client"
        );
        let refused = limiter.consume(client("c"), 1, earlier + 300 * SECOND).expect("open");
        assert!(refused.retry_after.expect("some") <= 120 * SECOND, "{algorithm}");
    }
}

#[test]
fn dry_run_decides_as_usual_but_refuses_no_call() {
    let options = RateLimiterOptions { dry_run: true, ..RateLimiterOptions::single(2, 1_000) };
    let limiter = RateLimiter::new("dry", options.try_into().expect("valid"));
    assert_eq!(admitted(&limiter, client("a"), 5, 0), 5);
    let decision = limiter.consume(client("a"), 1, 0).expect("open");
    assert_eq!((decision.allowed, decision.would_refuse), (true, Some(true)));
    assert_eq!(limiter.peek(client("b"), 0).expect("open").would_refuse, Some(false));
    assert_eq!((decision.remaining, decision.retry_after), (0, Some(0)));
    let stats = limiter.stats(0).expect("open");
    assert_eq!((stats.allowed, stats.refused, stats.dry_refused), (2, 0, 4));
}

#[test]
fn overflow_selects_whether_a_call_without_a_slot_is_admitted() {
    for (overflow, passes) in [(Overflow::Deny, false), (Overflow::Allow, true)] {
        let options = RateLimiterOptions { max_keys: 1, overflow, ..RateLimiterOptions::single(1, 1_000) };
        let limiter = RateLimiter::new("small", options.try_into().expect("valid"));
        assert!(limiter.try_consume(client("a"), 1, 0).expect("open"));
        let decision = limiter.consume(client("b"), 1, 1).expect("open");
        assert_eq!(decision.allowed, passes);
        assert_eq!(limiter.stats(1).expect("open").untracked, 1);
        assert!(limiter.try_consume(client("b"), 1, SECOND).expect("open"), "the slot is free again");
    }
}

#[test]
fn a_block_without_a_free_slot_is_refused_and_counted() {
    let options = RateLimiterOptions { max_keys: 1, ..RateLimiterOptions::single(1, 1_000) };
    let limiter = RateLimiter::new("small", options.try_into().expect("valid"));
    assert!(limiter.block(client("a"), SECOND, 0).expect("open"));
    assert!(!limiter.block(client("b"), SECOND, 0).expect("open"));
    assert!(limiter.try_consume(client("c"), 1, 0).expect("open"), "under evict a new client is admitted");
    assert_eq!(limiter.stats(0).expect("open").untracked, 2);
}

#[test]
fn a_name_attaches_with_equal_options_only() {
    let instances = Instances::<RateLimiter>::new();
    let config =
        |limit, window_ms| Some(RateLimiterOptions::single(limit, window_ms).try_into().expect("valid"));
    assert_eq!(instances.open("api", None).expect_err("absent").code(), "NOT_FOUND");
    let created = instances.open("api", config(10, 1_000)).expect("creates");
    assert!(std::sync::Arc::ptr_eq(&created, &instances.open("api", None).expect("attaches")));
    let error = instances.open("api", config(10, 2_000)).expect_err("differs");
    assert_eq!(error.code(), "CONFIG_MISMATCH");
    assert!(error.to_string().contains("window = 1000 ms; given: 2000 ms"), "{error}");

    created.reconfigure(RateLimiterOptions::single(99, 1_000), || 0).expect("open");
    instances.open("api", config(10, 1_000)).expect("the creation options still attach");
    assert_eq!(created.peek(client("a"), 0).expect("open").limit, 99, "and the new ones stay");

    assert!(instances.destroy("api") && !instances.destroy("api"));
    assert_eq!(created.try_consume(client("a"), 1, 0).expect_err("closed").code(), "CLOSED");
}

#[test]
fn an_instance_whose_name_was_taken_is_open_until_its_owner_closes_it() {
    let instances = Instances::<RateLimiter>::new();
    let config = || Some(RateLimiterOptions::single(10, 1_000).try_into().expect("valid"));
    let attached = instances.open("api", config()).expect("creates");
    assert!(instances.has("api"));
    let taken = instances.take("api").expect("there was one");
    assert!(std::sync::Arc::ptr_eq(&taken, &attached));
    assert!(!instances.has("api") && instances.take("api").is_none());
    assert!(attached.try_consume(client("a"), 1, 0).expect("open"));
    let next = instances.open("api", config()).expect("creates another");
    assert!(!std::sync::Arc::ptr_eq(&next, &attached));
}
