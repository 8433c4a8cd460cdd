//! How a hub remembers failed initialisers.

use std::ops::Deref;
use std::sync::Arc;

use sluice_core::deliveries::{Item, Mailbox};
use sluice_core::runtime::key_hash::{KeyHash, hash_str};
use sluice_core::{
    CallId, Caller, ClientHub, ClientHubOptions, ClientHubStats, Failed, Finished, HubFailure, HubNews,
    Joined, Retention, ThreadId,
};

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const NEVER: Retention = Retention { ttl: Some(SECOND), stale_for: 0, stale_if_error: 0, key_bytes: 0 };
const STALE: Retention = Retention { stale_for: MINUTE, ..NEVER };
const LAST_RESORT: Retention = Retention { stale_if_error: MINUTE, ..NEVER };

fn hub() -> ClientHub {
    bounded(None, None)
}

fn bounded(max_entries: Option<u64>, max_bytes: Option<u64>) -> ClientHub {
    ClientHub::new("test", ClientHubOptions { max_entries, max_bytes }.try_into().expect("valid"))
}

/// A thread that calls, and its mailbox.
struct CallingThread {
    caller: Caller,
    mailbox: Arc<Mailbox>,
}

impl Deref for CallingThread {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

fn caller(thread: u64) -> CallingThread {
    let mailbox = Arc::new(Mailbox::new(ThreadId(thread), Box::new(|| ())));
    let caller = Caller { mailbox: Arc::<Mailbox>::clone(&mailbox), subscription: 1 };
    CallingThread { caller, mailbox }
}

fn key() -> KeyHash {
    hash_str("key")
}

fn bytes(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

fn failed(why: &str, retry_after: u64) -> Failed {
    Failed { error: bytes(why), retry_after, key_bytes: 0 }
}

fn join(hub: &ClientHub, caller: &Caller, now: u64) -> Joined {
    hub.join(key(), caller.clone(), SECOND, now).expect("open")
}

fn lead(hub: &ClientHub, caller: &Caller, now: u64) -> CallId {
    match join(hub, caller, now) {
        Joined::Lead(call) => call,
        other => panic!("{other:?}"),
    }
}

fn wait(hub: &ClientHub, caller: &Caller, now: u64) -> CallId {
    match join(hub, caller, now) {
        Joined::Wait { call, .. } => call,
        other => panic!("{other:?}"),
    }
}

fn refresh(hub: &ClientHub, caller: &Caller, now: u64) -> CallId {
    match join(hub, caller, now) {
        Joined::Stale(_, Some(call)) => call,
        other => panic!("{other:?}"),
    }
}

fn rests(hub: &ClientHub, caller: &Caller, now: u64) {
    match join(hub, caller, now) {
        Joined::Stale(_, None) => {}
        other => panic!("{other:?}"),
    }
}

fn fail(hub: &ClientHub, call: CallId, now: u64, retry_after: u64) -> Finished {
    hub.fail(key(), call, &failed("why", retry_after), now).expect("open").expect("leads")
}

/// A value that was made at 0.
fn keep(hub: &ClientHub, caller: &Caller, retention: Retention) {
    let leader = lead(hub, caller, 0);
    hub.finish(key(), leader, bytes("v"), retention, 0).expect("open").expect("leads");
}

fn news(caller: &CallingThread) -> Vec<HubNews> {
    let deliveries = caller.mailbox.take().into_iter();
    deliveries
        .map(|delivery| match delivery.item {
            Item::Hub(news) => news,
            other => panic!("{other:?}"),
        })
        .collect()
}

fn error_of(joined: &Joined) -> &[u8] {
    match joined {
        Joined::Failed(HubFailure { error, .. }) => error,
        other => panic!("{other:?}"),
    }
}

fn stats(hub: &ClientHub) -> ClientHubStats {
    hub.stats().expect("open")
}

#[test]
fn a_failed_refresh_is_not_tried_again_by_every_read() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    keep(&hub, &a, Retention { stale_for: 10 * MINUTE, ..STALE });
    let mut now = SECOND;
    for wait in [1, 2, 4, 8, 16, 30, 30, 30].map(|seconds| seconds * SECOND) {
        let call = refresh(&hub, &a, now);
        rests(&hub, &b, now);
        fail(&hub, call, now, 0);
        for thread in [&a, &b] {
            rests(&hub, thread, now + wait * 4 / 5 - 1);
        }
        // Chance takes at most a fifth off, and adds nothing.
        now += wait;
    }
    let ClientHubStats { initialisations, failures, .. } = stats(&hub);
    assert_eq!((initialisations, failures), (9, 8));
}

#[test]
fn a_refresh_that_takes_too_long_is_one_that_failed() {
    let (hub, a) = (hub(), caller(1));
    keep(&hub, &a, STALE);
    let call = refresh(&hub, &a, SECOND);
    hub.time_out(key(), call, &failed("too long", 0), 2 * SECOND).expect("the run ends");
    rests(&hub, &a, 2 * SECOND);
    refresh(&hub, &a, 3 * SECOND);
}

#[test]
fn a_value_that_is_made_begins_anew_and_so_does_an_invalidation() {
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
fn a_thread_that_ends_neither_begins_nor_ends_a_back_off() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    keep(&hub, &a, STALE);
    refresh(&hub, &a, SECOND);
    hub.thread_ended(ThreadId(1), SECOND);
    let call = refresh(&hub, &b, SECOND);
    fail(&hub, call, SECOND, 0);
    hub.thread_ended(ThreadId(2), SECOND);
    let c = caller(3);
    rests(&hub, &c, SECOND + SECOND / 2);
    refresh(&hub, &c, 2 * SECOND);
}

#[test]
fn a_last_resort_serves_waiting_calls_and_later_ones_until_the_next_attempt() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    keep(&hub, &a, LAST_RESORT);
    assert_eq!(hub.version(key(), SECOND), None, "a call would make it anew");
    let leader = lead(&hub, &a, SECOND);
    let [own, other] = [wait(&hub, &a, SECOND), wait(&hub, &b, SECOND)];
    let Finished { stale, calls, .. } = fail(&hub, leader, SECOND, 0);
    let stale = stale.expect("a last resort");
    assert_eq!((&*stale.bytes, calls), (&b"v"[..], vec![own]));
    assert_eq!(news(&b), [HubNews::Made { calls: vec![other], value: stale.clone() }]);
    rests(&hub, &b, SECOND);
    assert_eq!(hub.version(key(), SECOND), Some(stale.version));

    let leader = lead(&hub, &a, 2 * SECOND);
    let finished = hub.time_out(key(), leader, &failed("too long", 0), 2 * SECOND).expect("ends");
    assert_eq!(finished.stale, Some(stale));
    rests(&hub, &b, 2 * SECOND);

    // From the end of its ttl: then it is gone.
    let leader = lead(&hub, &a, MINUTE + SECOND);
    assert_eq!(fail(&hub, leader, MINUTE + SECOND, 0).stale, None);
    assert_eq!((stats(&hub).expired, stats(&hub).entries), (1, 0));
}

#[test]
fn a_timeout_serves_the_last_resort_to_waiting_calls_too() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    keep(&hub, &a, LAST_RESORT);
    let leader = lead(&hub, &a, SECOND);
    let waiter = wait(&hub, &b, SECOND);
    hub.time_out(key(), leader, &failed("too long", 0), 2 * SECOND).expect("ends");
    assert!(matches!(&news(&b)[..], [HubNews::Made { calls, .. }] if *calls == [waiter]));
    assert_eq!((stats(&hub).handovers, stats(&hub).timeouts), (0, 1));
}

#[test]
fn without_a_value_an_error_is_remembered_only_where_that_was_asked_for() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let call = lead(&hub, &a, 0);
    assert_eq!(fail(&hub, call, 0, 0).failure, 0);
    let call = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    let Finished { failure, .. } = fail(&hub, call, 0, 5 * SECOND);
    assert!(matches!(&news(&b)[..], [HubNews::Failed { calls, .. }] if *calls == [waiter]));
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
fn what_failed_before_an_invalidation_is_not_remembered() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let call = lead(&hub, &a, 0);
    hub.invalidate(key()).expect("open");
    let late = wait(&hub, &b, 0);
    assert_eq!(fail(&hub, call, 0, SECOND).failure, 0);
    assert_eq!(news(&b), [HubNews::Lead { call: late }]);
    assert_eq!(stats(&hub).remembered, 0);
}

#[test]
fn an_error_outlasts_the_stale_value_but_not_the_next_value() {
    let (hub, a) = (hub(), caller(1));
    keep(&hub, &a, Retention { stale_for: 2 * SECOND, ..NEVER });
    let call = refresh(&hub, &a, SECOND);
    fail(&hub, call, SECOND, 10 * SECOND);
    let call = refresh(&hub, &a, 2 * SECOND);
    fail(&hub, call, 2 * SECOND, 0);
    assert_eq!(error_of(&join(&hub, &a, 3 * SECOND)), b"why", "the stale time is over");

    hub.invalidate(key()).expect("open");
    keep(&hub, &a, Retention { stale_for: 2 * SECOND, ..NEVER });
    let call = refresh(&hub, &a, SECOND);
    fail(&hub, call, SECOND, 10 * SECOND);
    let call = refresh(&hub, &a, 2 * SECOND);
    hub.finish(key(), call, bytes("w"), NEVER, 2 * SECOND).expect("open").expect("leads");
    assert_eq!(stats(&hub).remembered, 0);
    lead(&hub, &a, 3 * SECOND);
}

#[test]
fn a_value_that_expires_at_once_is_not_kept() {
    let (hub, a) = (hub(), caller(1));
    keep(&hub, &a, Retention { ttl: Some(0), ..NEVER });
    assert_eq!((stats(&hub).entries, stats(&hub).too_large), (0, 0));
    keep(&hub, &a, Retention { ttl: Some(0), ..STALE });
    refresh(&hub, &a, 0);
}

#[test]
fn errors_are_bounded_as_values_are_and_the_oldest_go() {
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
    // One that alone is larger than all is not remembered.
    let call = lead(&hub, &a, 0);
    let large = Failed { error: bytes(&"e".repeat(1_001)), retry_after: SECOND, key_bytes: 0 };
    assert_eq!(hub.fail(key(), call, &large, 0).expect("open").expect("leads").failure, 0);
}

#[test]
fn nothing_is_remembered_longer_because_a_test_set_the_clock_back() {
    let (hub, a) = (hub(), caller(1));
    let call = lead(&hub, &a, MINUTE);
    fail(&hub, call, MINUTE, SECOND);
    hub.clock_was_set_back(0);
    assert_eq!(error_of(&join(&hub, &a, SECOND - 1)), b"why");
    lead(&hub, &a, SECOND);
}

/// Errors and values come and go in four threads: the sums are right.
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
                            let retention = Retention { ttl: Some(50), stale_for: 500, ..NEVER };
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
