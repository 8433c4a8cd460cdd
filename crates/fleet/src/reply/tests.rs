use std::collections::VecDeque;
use std::time::Instant;

use proptest::prelude::*;
use redis::parse_redis_value;
use sluice_core::{LimitOptions, MAX_LIMITS, Quota, RateLimiterOptions};

use super::*;
use crate::composer::compose;
use crate::composer::tests::{plan, plan_of, request};
use crate::operation::Operation;

fn batch(clients: usize) -> Batch {
    let (plan, start) = (plan(), Instant::now());
    let requests =
        (0..clients).map(|n| request(&plan, &n.to_string(), Operation::Take { cost: 1 }, start, 0));
    compose(&mut requests.collect::<VecDeque<_>>(), false).expect("pending")
}

fn array(integers: &[i64]) -> Value {
    Value::Array(integers.iter().map(|integer| Value::Int(*integer)).collect())
}

#[test]
fn reads_what_the_scripts_reply() {
    let entry = |outcome, block, debt| EntryReply {
        outcome,
        block,
        doubles: vec![debt],
        beside: 0,
        returned: vec![],
    };
    let replied = Reply::read(&array(&[1_000, 1, 5, -1, 0, -8, 3]), &batch(3));
    let entries = vec![entry(Some(1), 0, 5), entry(None, 0, 0), entry(Some(0), 7, 3)];
    assert_eq!(replied, Some(Reply::Done { now: 1_000, entries }));
    assert_eq!(Reply::read(&array(&[1_000]), &batch(2)), Some(Reply::Late { now: 1_000 }));
}

#[test]
fn reads_what_a_lease_grants_beside_its_calls() {
    let (plan, start) = (plan(), Instant::now());
    let lease = Operation::Lease { cost: 1, calls: 2, beside: 5, spare: [0; MAX_LIMITS] };
    let requests = [request(&plan, "a", lease, start, 0)];
    let batch = compose(&mut requests.into_iter().collect(), false).expect("pending");
    let entry = EntryReply { outcome: Some(2), block: 0, doubles: vec![7], beside: 4, returned: vec![] };
    let replied = Reply::read(&array(&[1_000, 2, 0, 7, 4]), &batch);
    assert_eq!(replied, Some(Reply::Done { now: 1_000, entries: vec![entry] }));
    assert_eq!(Reply::read(&array(&[1_000, 2, 0, 7]), &batch), None);
}

#[test]
fn reads_what_each_limit_has_taken_back() {
    let limits = [10, 100]
        .map(|limit| LimitOptions { name: limit.to_string(), ..LimitOptions::new(Quota::new(limit, 1_000)) });
    let plan = plan_of(RateLimiterOptions::new(limits.to_vec()));
    let units = [0; MAX_LIMITS];
    let operation = Operation::GiveBack { units, at: 5, states: units };
    let requests = [request(&plan, "a", operation, Instant::now(), 0)];
    let batch = compose(&mut requests.into_iter().collect(), false).expect("pending");
    let entry =
        EntryReply { outcome: Some(3), block: 0, doubles: vec![7, 8], beside: 0, returned: vec![3, 2] };
    let replied = Reply::read(&array(&[1_000, 3, 0, 7, 8, 3, 2]), &batch);
    assert_eq!(replied, Some(Reply::Done { now: 1_000, entries: vec![entry] }));
    assert_eq!(Reply::read(&array(&[1_000, 3, 0, 7, 8, 3]), &batch), None);
}

#[test]
fn refuses_what_no_script_replies() {
    for value in [
        Value::Nil,
        Value::Int(1),
        array(&[]),
        array(&[-1]),
        array(&[1_000, 1, 5]),
        array(&[1_000, 1, 5, 1]),
        Value::Array(vec![Value::Okay]),
    ] {
        assert_eq!(Reply::read(&value, &batch(2)), None, "{value:?}");
    }
}

/// A value of the wire, as a server or something in its place might send it.
fn values() -> impl Strategy<Value = Vec<u8>> {
    let line = |first: &'static str, text: &'static str| {
        text.prop_map(move |text| format!("{first}{text}\r\n").into_bytes())
    };
    let leaf = prop_oneof![
        any::<i64>().prop_map(|integer| format!(":{integer}\r\n").into_bytes()),
        line("+", "[ -~]{0,12}"),
        line("-", "[A-Z]{0,9} [ -~]{0,12}"),
        line("$", "[0-9]{1,3}"),
        Just(b"_\r\n".to_vec()),
        proptest::collection::vec(any::<u8>(), 0..12),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        (prop_oneof![Just('*'), Just('~'), Just('>'), Just('%')], proptest::collection::vec(inner, 0..7))
            .prop_map(|(kind, items)| {
                [format!("{kind}{}\r\n", items.len()).into_bytes(), items.concat()].concat()
            })
    })
}

proptest! {
    /// Whatever arrives is read or refused, and what is read has an answer for each client.
    #[test]
    fn no_bytes_are_taken_for_more_than_they_say(bytes in values()) {
        let batch = batch(2);
        if let Ok(value) = parse_redis_value(&bytes)
            && let Some(Reply::Done { entries, .. }) = Reply::read(&value, &batch)
        {
            prop_assert_eq!(entries.len(), 2);
            prop_assert!(entries.iter().all(|entry| entry.doubles.len() == 1));
            prop_assert!(batch.plan().read(&entries[0].doubles).len() == 1);
        }
    }

    #[test]
    fn any_integers_are_read_or_refused(integers in proptest::collection::vec(any::<i64>(), 0..12)) {
        let read = Reply::read(&array(&integers), &batch(2));
        let fits = integers.len() == 1 || integers.len() == 5;
        prop_assert_eq!(read.is_some(), fits && integers[0] >= 0);
    }
}
