//! `ClientHub`: single flight, invalidation, stale values and bounds.

use std::sync::Arc;

use sluice_core::runtime::key_hash::hash_str;
use sluice_core::{
    CallId, ClientHub, ClientHubOptions, ClientHubStats, HubEvent, HubValue, Instance, Instances, Joined,
    Retention, ThreadId,
};

use crate::support::client_hub::*;

/// Fresh for a second, stale for another.
const A_SECOND: Retention = Retention { ttl: Some(SECOND), stale_for: SECOND, ..FOREVER };

fn value(hub: &ClientHub, now: u64) -> Option<String> {
    let value = hub.value(key(), now).expect("open")?;
    Some(String::from_utf8(value.bytes.to_vec()).expect("text"))
}

/// The calls and values of deliveries that are all `Made`.
fn made(news: &[HubEvent]) -> Vec<(Vec<CallId>, String)> {
    let delivered = news.iter().map(|news| match news {
        HubEvent::Made { calls, value } => {
            (calls.clone(), String::from_utf8(value.bytes.to_vec()).expect("text"))
        }
        other => panic!("{other:?}"),
    });
    delivered.collect()
}

#[test]
fn one_call_leads_and_all_pending_calls_get_its_value() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiting = [wait(&hub, &b, 0), wait(&hub, &b, 0)];
    let own = wait(&hub, &a, 0);
    assert_eq!(in_flight(&hub), (3, 1));
    assert_eq!(
        finish(&hub, leader, "v", FOREVER, 0),
        Some(vec![own]),
        "calls of its own thread are returned"
    );
    assert_eq!(made(&news(&b)), [(waiting.to_vec(), "v".to_owned())], "one delivery per thread");
    assert!(news(&a).is_empty());
    assert!(matches!(join(&hub, &b, 0), Joined::Fresh(_)));
    assert_eq!((value(&hub, 0), in_flight(&hub)), (Some("v".into()), (0, 0)));
}

#[test]
fn a_failure_fails_all_pending_calls_and_is_not_kept() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    assert!(hub.fail(key(), leader, &failed("why", 0), 0).expect("open").is_some());
    assert_eq!(news(&b), [HubEvent::Failed { calls: vec![waiter], error: bytes("why") }]);
    assert!(hub.fail(key(), leader, &failed("why", 0), 0).expect("open").is_none(), "a run ends once");
    lead(&hub, &b, 0);
    assert_eq!(stats(&hub).failures, 1);
}

#[test]
fn after_a_timeout_the_oldest_pending_call_leads_and_the_late_result_is_ignored() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    let first = lead(&hub, &a, 0);
    let [second, third] = [wait(&hub, &b, 0), wait(&hub, &c, 0)];
    time_out(&hub, first, SECOND);
    assert_eq!(news(&b), [HubEvent::Lead { call: second }]);
    assert_eq!(finish(&hub, first, "late", FOREVER, SECOND), None);
    assert!(hub.begin(key(), second, SECOND).expect("open"));
    assert!(!hub.begin(key(), first, SECOND).expect("open"));
    assert_eq!(finish(&hub, second, "v", FOREVER, SECOND), Some(vec![]));
    assert_eq!(made(&news(&c)), [(vec![third], "v".to_owned())]);
    let ClientHubStats { timeouts, handovers, initialisations, .. } = stats(&hub);
    assert_eq!((timeouts, handovers, initialisations), (1, 1, 2));
}

#[test]
fn a_leader_whose_thread_is_blocked_is_replaced_when_a_pending_call_checks_it() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    assert_eq!(hub.look(key(), waiter, SECOND - 1).expect("open"), Some(SECOND));
    assert!(news(&b).is_empty());
    assert_eq!(hub.look(key(), waiter, SECOND).expect("open"), Some(2 * SECOND));
    assert_eq!(news(&b), [HubEvent::Lead { call: waiter }]);
    assert_eq!(news(&a), [HubEvent::Replaced { call: leader }]);
    assert_eq!(hub.look(key(), waiter, SECOND).expect("open"), None, "the call is no longer pending");
    time_out(&hub, leader, SECOND);
    assert_eq!(stats(&hub).timeouts, 1, "one initialiser times out once");
}

#[test]
fn the_end_of_a_thread_hands_its_lead_over_and_drops_its_pending_calls() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    lead(&hub, &a, 0);
    wait(&hub, &a, 0);
    wait(&hub, &b, 0);
    let third = wait(&hub, &c, 0);
    hub.thread_ended(ThreadId(2), 0);
    assert_eq!(in_flight(&hub), (2, 1));
    hub.thread_ended(ThreadId(1), 0);
    assert_eq!(news(&c), [HubEvent::Lead { call: third }]);
    hub.thread_ended(ThreadId(3), 0);
    assert_eq!((in_flight(&hub), stats(&hub).handovers), ((0, 0), 1));
}

#[test]
fn a_call_that_leaves_when_it_was_to_lead_hands_over() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    let first = lead(&hub, &a, 0);
    let second = wait(&hub, &b, 0);
    let third = wait(&hub, &c, 0);
    time_out(&hub, first, SECOND);
    hub.leave(key(), second, SECOND);
    assert_eq!(news(&c), [HubEvent::Lead { call: third }]);
    hub.leave(key(), third, SECOND);
    assert_eq!(in_flight(&hub), (0, 0));
}

#[test]
fn a_detached_leader_goes_on_only_while_other_calls_are_pending() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    assert!(hub.detach(key(), leader, 0));
    assert_eq!(finish(&hub, leader, "v", FOREVER, 0), Some(vec![]));
    assert_eq!(made(&news(&b)), [(vec![waiter], "v".to_owned())]);

    hub.invalidate(key()).expect("open");
    let leader = lead(&hub, &a, 0);
    assert!(!hub.detach(key(), leader, 0));
    assert_eq!(finish(&hub, leader, "v", FOREVER, 0), None);
    assert_eq!((value(&hub, 0), in_flight(&hub)), (None, (0, 0)));
}

#[test]
fn a_detached_leader_is_abandoned_when_the_last_pending_call_leaves() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    let leader = lead(&hub, &a, 0);
    let [first, _second] = [wait(&hub, &b, 0), wait(&hub, &c, 0)];
    assert!(hub.detach(key(), leader, 0));
    hub.leave(key(), first, 0);
    assert!(news(&a).is_empty(), "another call is pending");
    hub.thread_ended(ThreadId(3), 0);
    assert_eq!(news(&a), [HubEvent::Abandoned { call: leader }]);
    assert_eq!(finish(&hub, leader, "v", FOREVER, 0), None);
    assert_eq!((in_flight(&hub), stats(&hub).handovers), ((0, 0), 0));
}

#[test]
fn a_call_made_after_an_invalidation_leads_once_the_leader_is_abandoned() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    hub.invalidate(key()).expect("open");
    let late = wait(&hub, &b, 0);
    assert!(hub.detach(key(), leader, 0));
    hub.leave(key(), waiter, 0);
    assert_eq!(news(&a), [HubEvent::Abandoned { call: leader }]);
    assert_eq!(news(&b), [HubEvent::Lead { call: late }]);
}

#[test]
fn a_run_that_began_before_an_invalidation_serves_earlier_calls_only() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    let leader = lead(&hub, &a, 0);
    let early = wait(&hub, &b, 0);
    assert!(hub.invalidate(key()).expect("open"));
    let [late, later] = [wait(&hub, &c, 0), wait(&hub, &b, 0)];
    assert_eq!(finish(&hub, leader, "old", FOREVER, 0), Some(vec![]));
    assert_eq!(made(&news(&b)), [(vec![early], "old".to_owned())]);
    assert_eq!((value(&hub, 0), news(&c)), (None, vec![HubEvent::Lead { call: late }]));
    assert!(hub.begin(key(), late, 0).expect("open"));
    finish(&hub, late, "new", FOREVER, 0).expect("leads");
    assert_eq!(made(&news(&b)), [(vec![later], "new".to_owned())]);
    assert_eq!((value(&hub, 0), in_flight(&hub)), (Some("new".into()), (0, 0)));
    assert!(hub.invalidate(key()).expect("open"));
    assert!(!hub.invalidate(key()).expect("open"), "there is no value");
}

#[test]
fn a_run_that_begins_after_an_invalidation_serves_all_calls() {
    let (hub, [a, b, c]) = (hub(), [1, 2, 3].map(caller));
    let leader = lead(&hub, &a, 0);
    let early = wait(&hub, &b, 0);
    hub.invalidate(key()).expect("open");
    let late = wait(&hub, &c, 0);
    time_out(&hub, leader, SECOND);
    finish(&hub, early, "v", FOREVER, SECOND).expect("leads");
    assert_eq!(made(&news(&c)), [(vec![late], "v".to_owned())]);
    assert_eq!(value(&hub, SECOND), Some("v".into()));
}

#[test]
fn a_stale_value_is_served_and_refreshed_by_one_call() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    finish(&hub, leader, "v", A_SECOND, 0);
    assert!(hub.read(key(), SECOND - 1).expect("open").is_some());
    assert_eq!(hub.read(key(), SECOND).expect("open"), None);
    let Joined::Stale(HubValue { version, .. }, Some(refresh)) = join(&hub, &a, SECOND) else {
        panic!("stale")
    };
    assert!(matches!(join(&hub, &b, SECOND), Joined::Stale(_, None)), "one call refreshes");
    assert_eq!(hub.version(key(), SECOND), Some(version));

    assert!(hub.fail(key(), refresh, &failed("why", 0), SECOND).expect("open").is_some());
    let later = 2 * SECOND - 1;
    let Joined::Stale(_, Some(refresh)) = join(&hub, &b, later) else {
        panic!("it stays stale, and is refreshed again")
    };
    finish(&hub, refresh, "w", A_SECOND, later).expect("leads");
    assert_eq!(value(&hub, later), Some("w".into()));
    assert!(hub.version(key(), later) > Some(version));

    lead(&hub, &a, 4 * SECOND);
    let ClientHubStats { hits, stale, expired, entries, .. } = stats(&hub);
    assert_eq!((hits, stale, expired, entries), (1, 3, 1, 0));
}

#[test]
fn a_call_after_the_stale_time_waits_for_the_running_refresh() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    finish(&hub, leader, "v", A_SECOND, 0);
    let Joined::Stale(_, Some(refresh)) = join(&hub, &a, 2 * SECOND - 1) else { panic!("stale") };
    let waiter = wait(&hub, &b, 2 * SECOND);
    finish(&hub, refresh, "w", A_SECOND, 2 * SECOND).expect("leads");
    assert_eq!(made(&news(&b)), [(vec![waiter], "w".to_owned())]);
}

#[test]
fn the_least_recently_read_value_is_evicted_first() {
    let (hub, a) = (bounded(Some(3), None), caller(1));
    let fill = |name: &str| {
        let Joined::Lead(call) = hub.join(hash_str(name), a.clone(), SECOND, 0).expect("open") else {
            panic!("{name} is kept already")
        };
        hub.finish(hash_str(name), call, bytes("v"), FOREVER, 0).expect("open").expect("leads");
    };
    let is_kept = |name: &str| hub.version(hash_str(name), 0).is_some();
    ["a", "b", "c"].into_iter().for_each(fill);
    hub.read(hash_str("a"), 0).expect("open").expect("there");
    fill("d");
    assert_eq!(["a", "b", "c", "d"].map(is_kept), [true, false, true, true]);
    let ClientHubStats { evictions, entries, bytes, .. } = stats(&hub);
    assert_eq!((evictions, entries, bytes), (1, 3, 3));
}

#[test]
fn max_bytes_bounds_all_values_and_a_larger_value_is_not_kept() {
    let (hub, a) = (bounded(None, Some(100)), caller(1));
    let fill = |name: &str, size: usize| {
        let Joined::Lead(call) = hub.join(hash_str(name), a.clone(), SECOND, 0).expect("open") else {
            panic!("{name} is kept already")
        };
        let retention = Retention { key_bytes: name.len() as u64, ..FOREVER };
        hub.finish(hash_str(name), call, bytes(&"v".repeat(size)), retention, 0)
            .expect("open")
            .expect("leads");
        stats(&hub).bytes
    };
    assert_eq!([fill("a", 49), fill("b", 49), fill("c", 59)], [50, 100, 60]);
    assert_eq!((fill("d", 100), stats(&hub).too_large), (60, 1));
    assert_eq!((fill("e", 99), stats(&hub).evictions), (100, 3));
}

#[test]
fn entries_stay_bounded_under_churn() {
    let (hub, a) = (bounded(Some(8), None), caller(1));
    for round in 0..20_000_u64 {
        let key = hash_str(&format!("{}", round % 100));
        if let Joined::Lead(call) = hub.join(key, a.clone(), SECOND, round).expect("open") {
            hub.finish(key, call, bytes("v"), FOREVER, round).expect("open").expect("leads");
            if round % 3 == 0 {
                hub.invalidate(key).expect("open");
            }
        }
        assert!(stats(&hub).entries <= 8);
    }
}

#[test]
fn close_notifies_all_calls_and_refuses_later_ones() {
    let (hub, [a, b]) = (hub(), [1, 2].map(caller));
    let leader = lead(&hub, &a, 0);
    let waiter = wait(&hub, &b, 0);
    hub.close();
    assert_eq!(news(&a), [HubEvent::Closed { calls: vec![leader] }]);
    assert_eq!(news(&b), [HubEvent::Closed { calls: vec![waiter] }]);
    assert_eq!(hub.join(key(), a.caller, SECOND, 0).expect_err("closed").code(), "CLOSED");
    assert_eq!(hub.read(key(), 0).expect_err("closed").code(), "CLOSED");
    assert_eq!(hub.version(key(), 0), None);
}

#[test]
fn attaching_compares_only_the_options_given() {
    let hubs = Instances::<ClientHub>::new();
    let open = |max_entries, max_bytes| {
        let options = ClientHubOptions { max_entries, max_bytes };
        hubs.open("hub", Some(options.try_into().expect("valid")))
    };
    let created = open(Some(5), None).expect("created");
    for (max_entries, max_bytes) in [(None, None), (Some(5), None)] {
        assert!(Arc::ptr_eq(&created, &open(max_entries, max_bytes).expect("attached")));
    }
    let mismatch = |result: sluice_core::Result<_>| result.expect_err("differs").to_string();
    assert!(mismatch(open(Some(6), None)).contains("maxEntries = 5; given: 6"));
    assert!(mismatch(open(None, Some(6))).contains("maxBytes = none; given: 6"));
}
