use super::*;
use crate::circuit_breaker::options::CircuitBreakerOptions;
use crate::circuit_breaker::state::CircuitState;
use crate::runtime::ThreadId;
use crate::runtime::instances::Instance;
use crate::runtime::key_hash::hash_str;

const ME: Request = Request { thread: ThreadId(1), has_deadline: false };

fn breaker(max_peers: u64) -> Arc<CircuitBreaker> {
    let options = CircuitBreakerOptions { max_peers, ..CircuitBreakerOptions::new(1_000) };
    Arc::new(CircuitBreaker::new("test", options.try_into().expect("valid")))
}

/// As the binding does it: the breaker makes the circuit of a new target.
fn acquire(local: &mut LocalBreaker, target: &str) -> Answer {
    let key = hash_str(target);
    let known = local.try_acquire_known(key, ME, 0).expect("open");
    known.unwrap_or_else(|| local.breaker().try_acquire(key, target, ME, 0).expect("open"))
}

fn call(local: &mut LocalBreaker, target: &str) -> bool {
    let ticket = acquire(local, target).expect("passes");
    local.report(ticket, false, None, 0)
}

fn calls_in_window(breaker: &CircuitBreaker, target: &str) -> Option<u64> {
    let stats = breaker.peer_stats(hash_str(target), 0).expect("open");
    stats.map(|stats| stats.counts.calls)
}

#[test]
fn finds_circuits_that_it_called() {
    let mut local = LocalBreaker::new(breaker(10));
    assert!(call(&mut local, "a"));
    assert!(local.recent.of_target(hash_str("a")).is_none(), "the breaker made it");
    assert!(call(&mut local, "a"));
    assert!(local.recent.of_target(hash_str("a")).is_some());
    assert!(call(&mut local, "a"));
    assert_eq!(calls_in_window(local.breaker(), "a"), Some(3));
}

#[test]
fn sees_what_other_threads_do_to_a_circuit() {
    let mut local = LocalBreaker::new(breaker(10));
    (0..3).for_each(|_| assert!(call(&mut local, "a")));
    let before = acquire(&mut local, "a").expect("passes");
    local.breaker().isolate(hash_str("a"), "a").expect("open");
    assert_eq!(acquire(&mut local, "a").expect_err("refused").state, CircuitState::Isolated);
    local.breaker().reset(hash_str("a")).expect("open");
    assert!(!local.report(before, true, None, 0), "it belongs to an earlier state");
    assert!(call(&mut local, "a"));
    let stats = local.breaker().stats().expect("open");
    assert_eq!((stats.succeeded, stats.refused, stats.ignored), (4, 1, 1));
    local.breaker().close();
    assert!(local.try_acquire_known(hash_str("a"), ME, 0).is_err());
}

#[test]
fn a_target_that_was_evicted_gets_another_circuit() {
    let mut local = LocalBreaker::new(breaker(1));
    for target in ["a", "a", "b", "b", "a", "a"] {
        assert!(call(&mut local, target));
    }
    assert_eq!(
        (calls_in_window(local.breaker(), "a"), calls_in_window(local.breaker(), "b")),
        (Some(2), None)
    );
    assert_eq!(local.breaker().stats().expect("open").evicted, 2);
}

/// Fails where circuits that are cleared are not marked as evicted.
#[test]
fn a_reset_takes_all_circuits_away() {
    let mut local = LocalBreaker::new(breaker(10));
    (0..3).for_each(|_| assert!(call(&mut local, "a")));
    let before = acquire(&mut local, "a").expect("passes");
    Instance::reset(&**local.breaker());
    assert!(!local.report(before, true, None, 0));
    assert_eq!(calls_in_window(local.breaker(), "a"), None);
    assert!(call(&mut local, "a"));
    assert_eq!(calls_in_window(local.breaker(), "a"), Some(1));
}

#[test]
fn judges_by_the_options_in_force() {
    let mut local = LocalBreaker::new(breaker(10));
    (0..2).for_each(|_| assert!(call(&mut local, "a")));
    let options =
        CircuitBreakerOptions { slow_call_duration_ms: Some(1), ..CircuitBreakerOptions::new(1_000) };
    local.breaker().reconfigure("test", options.try_into().expect("valid"), false).expect("valid");
    let ticket = acquire(&mut local, "a").expect("passes");
    assert!(local.report(ticket, false, Some(2_000_000), 0));
    assert_eq!(local.breaker().stats().expect("open").slow, 1);
}

#[test]
fn keeps_as_many_circuits_as_the_breaker_tracks() {
    let mut local = LocalBreaker::new(breaker(2_000));
    let targets: Vec<_> = (0..2_000).map(|n| format!("target {n}")).collect();
    for _ in 0..3 {
        targets.iter().for_each(|target| assert!(call(&mut local, target)));
    }
    // Some found their bucket full.
    let kept = targets.iter().filter(|target| local.recent.of_target(hash_str(target)).is_some()).count();
    assert!((1_850..=2_000).contains(&kept), "{kept}");
    assert!(local.recent.size() <= 2_048);
}

#[test]
fn keeps_no_more_circuits_that_were_evicted_than_the_breaker_tracks() {
    let mut local = LocalBreaker::new(breaker(16));
    for n in 0..1_000 {
        (0..2).for_each(|_| assert!(call(&mut local, &format!("target {n}"))));
    }
    assert_eq!(local.recent.size(), 16);
}

#[test]
fn counts_calls_to_more_targets_than_it_keeps() {
    let mut local = LocalBreaker::new(breaker(20_000));
    let targets: Vec<_> = (0..18_000).map(|n| format!("target {n}")).collect();
    for _ in 0..4 {
        targets.iter().for_each(|target| assert!(call(&mut local, target)));
    }
    assert!(targets.iter().all(|target| calls_in_window(local.breaker(), target) == Some(4)));
    assert_eq!(local.breaker().stats().expect("open").succeeded, 72_000);
}

#[test]
fn threads_that_evict_each_others_circuits_lose_no_report() {
    const EACH: u64 = 20_000;
    let breaker = breaker(8);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let breaker = &breaker;
            scope.spawn(move || {
                let mut local = LocalBreaker::new(Arc::clone(breaker));
                let counted = (0..EACH).filter(|n| call(&mut local, &format!("{}", (n / 3 + thread) % 12)));
                counted.count()
            });
        }
    });
    let stats = breaker.stats().expect("open");
    assert_eq!(stats.succeeded + stats.ignored, 4 * EACH);
    assert!(stats.evicted > 0);
    let kept = breaker.all_peer_stats(0).expect("open").iter().map(|stats| stats.counts.calls).sum::<u64>();
    assert!(kept <= stats.succeeded);
}
