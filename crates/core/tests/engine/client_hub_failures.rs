//! `ClientHub`: back-off of refreshes, remembered errors, and stale values served in place of an error.

use sluice_core::runtime::key_hash::hash_str;
use sluice_core::{
    CallId, Caller, ClientHub, ClientHubStats, Failed, Finished, HubEvent, HubFailure, Joined, Retention,
    ThreadId,
};

use crate::support::client_hub::*;

const MINUTE: u64 = 60 * SECOND;
/// Fresh for a second.
const FRESH: Retention = Retention { ttl: Some(SECOND), ..FOREVER };
/// Fresh for a second, then stale for a minute.
const STALE: Retention = Retention { stale_for: MINUTE, ..FRESH };
/// Fresh for a second, then served in place of an error for a minute.
const STALE_IF_ERROR: Retention = Retention { stale_if_error: MINUTE, ..FRESH };

/// Joins while the value is stale and nothing refreshes it.
fn backs_off(hub: &ClientHub, caller: &Caller, now: u64) {
    match join(hub, caller, now) {
        Joined::Stale(_, None) => {}
        other => panic!("{other:?}"),
    }
}

fn fail(hub: &ClientHub, call: CallId, now: u64, retry_after: u64) -> Finished {
    hub.fail(key(), call, &failed("why", retry_after), now).expect("open").expect("leads")
}

/// Makes a value at time 0.
fn keep(hub: &ClientHub, caller: &Caller, retention: Retention) {
    let leader = lead(hub, caller, 0);
    finish(hub, leader, "v", retention, 0).expect("leads");
}

fn error_of(joined: &Joined) -> &[u8] {
    match joined {
        Joined::Failed(HubFailure { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failed_refresh_is_retried_with_a_back_off_not_by_every_read() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    keep(&hub, &a, Retention { stale_for: 10 * MINUTE, ..STALE });
    let mut now = SECOND;
    for wait in [1, 2, 4, 8, 16, 30, 30, 30].map(|seconds| seconds * SECOND) {
        let call = refresh(&hub, &a, now);
        backs_off(&hub, &b, now);
        fail(&hub, call, now, 0);
        for thread in [&a, &b] {
            backs_off(&hub, thread, now + wait * 4 / 5 - 1);
        }
        // Jitter shortens the pause by a fifth at most and never prolongs it.
        now += wait;
    }
    let ClientHubStats { initialisations, failures, .. } = stats(&hub);
    assert_eq!((initialisations, failures), (9, 8));
}

#[test]
fn a_refresh_past_its_timeout_counts_as_failed() {
    let (hub, a) = (hub(), caller(1));
    keep(&hub, &a, STALE);
    let call = refresh(&hub, &a, SECOND);
    hub.time_out(key(), call, &failed("too long", 0), 2 * SECOND).expect("the run ends");
    backs_off(&hub, &a, 2 * SECOND);
    refresh(&hub, &a, 3 * SECOND);
}

#[test]
fn a_successful_refresh_or_an_invalidation_resets_the_back_off() {
    let (hub, a) = (hub(), caller(1));
    keep(&hub, &a, STALE);
    for now in [1, 3, 7].map(|seconds| seconds * SECOND) {
        let call = refresh(&hub, &a, now);
        fail(&hub, call, now, 0);
    }
    let call = refresh(&hub, &a, 11 * SECOND);
    hub.finish(key(), call, bytes("w"), STALE, 11 * SECOND).expect("open").expect("leads");
    let call = refresh(&hub, &a, 12 * SECOND);
    fail(&hub, call, 12 * SECOND, 0);
    refresh(&hub, &a, 13 * SECOND);

    hub.invalidate(key()).expect("open");
    hub.thread_ended(ThreadId(1), 13 * SECOND);
    lead(&hub, &a, 13 * SECOND);
}

#[test]
fn the_end_of_a_thread_neither_starts_nor_ends_a_back_off() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    keep(&hub, &a, STALE);
    refresh(&hub, &a, SECOND);
    hub.thread_ended(ThreadId(1), SECOND);
    let call = refresh(&hub, &b, SECOND);
    fail(&hub, call, SECOND, 0);
    hub.thread_ended(ThreadId(2), SECOND);
    let c = caller(3);
    backs_off(&hub, &c, SECOND + SECOND / 2);
    refresh(&hub, &c, 2 * SECOND);
}

#[test]
fn stale_if_error_serves_pending_calls_and_later_ones_until_the_next_attempt() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    keep(&hub, &a, STALE_IF_ERROR);
    assert_eq!(hub.version(key(), SECOND), None, "a call would make a new value");
    let leader = lead(&hub, &a, SECOND);
    let [own, other] = [wait(&hub, &a, SECOND), wait(&hub, &b, SECOND)];
    let Finished { stale, calls, .. } = fail(&hub, leader, SECOND, 0);
    let stale = stale.expect("the value served in place of the error");
    assert_eq!((&*stale.bytes, calls), (&b"v"[..], vec![own]));
    assert_eq!(news(&b), [HubEvent::Made { calls: vec![other], value: stale.clone() }]);
    backs_off(&hub, &b, SECOND);
    assert_eq!(hub.version(key(), SECOND), Some(stale.version));

    let leader = lead(&hub, &a, 2 * SECOND);
    let finished = hub.time_out(key(), leader, &failed("too long", 0), 2 * SECOND).expect("ends");
    assert_eq!(finished.stale, Some(stale));
    backs_off(&hub, &b, 2 * SECOND);

    // stale_if_error counts from the end of the ttl.
    let leader = lead(&hub, &a, MINUTE + SECOND);
    assert_eq!(fail(&hub, leader, MINUTE + SECOND, 0).stale, None);
    assert_eq!((stats(&hub).expired, stats(&hub).entries), (1, 0));
}

#[test]
fn stale_if_error_serves_pending_calls_after_a_timeout() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    keep(&hub, &a, STALE_IF_ERROR);
    let leader = lead(&hub, &a, SECOND);
    let waiter = wait(&hub, &b, SECOND);
    hub.time_out(key(), leader, &failed("too long", 0), 2 * SECOND).expect("ends");
    assert!(matches!(&news(&b)[..], [HubEvent::Made { calls, .. }] if *calls == [waiter]));
    assert_eq!((stats(&hub).handovers, stats(&hub).timeouts), (0, 1));
}

#[test]
fn without_a_value_an_error_is_remembered_for_retry_after_only() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let call = lead(&hub, &a, 0);
    assert_eq!(fail(&hub, call, 0, 0).failure, 0);
    let call = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    let Finished { failure, .. } = fail(&hub, call, 0, 5 * SECOND);
    assert!(matches!(&news(&b)[..], [HubEvent::Failed { calls, .. }] if *calls == [waiter]));
    for (thread, now) in [(&a, 0), (&b, 5 * SECOND - 1)] {
        let joined = join(&hub, thread, now);
        assert_eq!(error_of(&joined), b"why");
        assert!(matches!(joined, Joined::Failed(HubFailure { version, .. }) if version == failure));
    }
    hub.thread_ended(ThreadId(1), 0);
    assert_eq!((stats(&hub).rejected, stats(&hub).remembered, stats(&hub).entries), (2, 1, 0));
    let call = lead(&hub, &b, 5 * SECOND);
    assert_eq!(stats(&hub).remembered, 0);
    let later = 6 * SECOND;
    hub.time_out(key(), call, &failed("too long", SECOND), later).expect("ends");
    assert_eq!(error_of(&join(&hub, &b, later)), b"too long");
    hub.invalidate(key()).expect("open");
    assert_eq!((join(&hub, &b, later), stats(&hub).remembered), (Joined::Lead(call + 3), 0));
}

#[test]
fn a_failure_of_a_run_begun_before_an_invalidation_is_not_remembered() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let call = lead(&hub, &a, 0);
    hub.invalidate(key()).expect("open");
    let late = wait(&hub, &b, 0);
    assert_eq!(fail(&hub, call, 0, SECOND).failure, 0);
    assert_eq!(news(&b), [HubEvent::Lead { call: late }]);
    assert_eq!(stats(&hub).remembered, 0);
}

#[test]
fn a_remembered_error_outlives_the_stale_value_but_not_the_next_value() {
    let (hub, a) = (hub(), caller(1));
    keep(&hub, &a, Retention { stale_for: 2 * SECOND, ..FRESH });
    let call = refresh(&hub, &a, SECOND);
    fail(&hub, call, SECOND, 10 * SECOND);
    let call = refresh(&hub, &a, 2 * SECOND);
    fail(&hub, call, 2 * SECOND, 0);
    assert_eq!(error_of(&join(&hub, &a, 3 * SECOND)), b"why", "the stale time is over");

    hub.invalidate(key()).expect("open");
    keep(&hub, &a, Retention { stale_for: 2 * SECOND, ..FRESH });
    let call = refresh(&hub, &a, SECOND);
    fail(&hub, call, SECOND, 10 * SECOND);
    let call = refresh(&hub, &a, 2 * SECOND);
    hub.finish(key(), call, bytes("w"), FRESH, 2 * SECOND).expect("open").expect("leads");
    assert_eq!(stats(&hub).remembered, 0);
    lead(&hub, &a, 3 * SECOND);
}

#[test]
fn a_value_that_expires_at_once_is_not_kept() {
    let (hub, a) = (hub(), caller(1));
    keep(&hub, &a, Retention { ttl: Some(0), ..FRESH });
    assert_eq!((stats(&hub).entries, stats(&hub).too_large), (0, 0));
    keep(&hub, &a, Retention { ttl: Some(0), ..STALE });
    refresh(&hub, &a, 0);
}

#[test]
fn remembered_errors_are_bounded_and_the_oldest_are_evicted() {
    let (hub, a) = (bounded(Some(100), Some(1_000)), caller(1));
    for n in 0..5_000_u64 {
        let key = hash_str(&format!("key {n}"));
        let Joined::Lead(call) = hub.join(key, a.clone(), SECOND, 0).expect("open") else { panic!("{n}") };
        let failed = Failed { error: bytes("error"), retry_after: SECOND, key_bytes: 5 };
        hub.fail(key, call, &failed, 0).expect("open").expect("leads");
        assert!(stats(&hub).remembered <= 100);
    }
    assert_eq!((stats(&hub).remembered, stats(&hub).evictions), (100, 0));
    let joined = |n: u64| hub.join(hash_str(&format!("key {n}")), a.clone(), SECOND, 0).expect("open");
    assert!(matches!(joined(4_999), Joined::Failed(_)) && matches!(joined(4_899), Joined::Lead(_)));
    // An error larger than max_bytes is not remembered.
    let call = lead(&hub, &a, 0);
    let large = Failed { error: bytes(&"e".repeat(1_001)), retry_after: SECOND, key_bytes: 0 };
    assert_eq!(hub.fail(key(), call, &large, 0).expect("open").expect("leads").failure, 0);
}

#[test]
fn setting_the_clock_back_does_not_prolong_retry_after() {
    let (hub, a) = (hub(), caller(1));
    let call = lead(&hub, &a, MINUTE);
    fail(&hub, call, MINUTE, SECOND);
    hub.clock_was_set_back(0);
    assert_eq!(error_of(&join(&hub, &a, SECOND - 1)), b"why");
    lead(&hub, &a, SECOND);
}

/// Four threads make values and errors, invalidate them and let them expire.
#[test]
fn sums_of_errors_are_exact_under_contention() {
    let hub = bounded(Some(50), None);
    let keys: Vec<_> = (0..300).map(|n| hash_str(&format!("key {n}"))).collect();
    std::thread::scope(|scope| {
        for thread in 1..=4 {
            let (hub, keys) = (&hub, &keys);
            scope.spawn(move || {
                let (me, mut random) = (caller(thread), fastrand::Rng::with_seed(thread));
                for now in 0..5_000 {
                    let key = keys[random.usize(..keys.len())];
                    match hub.join(key, me.clone(), SECOND, now).expect("open") {
                        Joined::Lead(call) | Joined::Stale(_, Some(call)) if random.bool() => {
                            hub.fail(key, call, &failed("e", random.u64(1..1_000)), now)
                                .expect("open")
                                .expect("leads");
                        }
                        Joined::Lead(call) | Joined::Stale(_, Some(call)) => {
                            let retention = Retention { ttl: Some(50), stale_for: 500, ..FRESH };
                            hub.finish(key, call, bytes("v"), retention, now).expect("open").expect("leads");
                        }
                        _ if random.u32(..8) == 0 => drop(hub.invalidate(key)),
                        _ => {}
                    }
                    assert!(stats(hub).remembered <= 50);
                }
            });
        }
    });
    assert!(stats(&hub).rejected > 0);
    for key in keys {
        hub.invalidate(key).expect("open");
    }
    let ClientHubStats { entries, bytes, remembered, .. } = stats(&hub);
    assert_eq!((entries, bytes, remembered), (0, 0, 0));
}
