use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use sluice_core::{AlgorithmKind, LimitOptions, MAX_LIMITS, Quota, RateLimiterOptions};

use super::*;
use crate::composer::compose;
use crate::composer::tests::{plan_of, request};
use crate::operation::Operation;
use crate::plan::Plan;
use crate::reply::{EntryReply, Reply};
use crate::test_server::TestServer;

/// The script call for clients with so many calls at this cost each.
fn batch(clients: &[(&str, u64, usize)]) -> Batch {
    // Nothing is refilled while the test runs.
    let (plan, start) = (plan_of(RateLimiterOptions::single(10, 3_600_000)), Instant::now());
    let requests = clients.iter().flat_map(|(client, cost, calls)| {
        std::iter::repeat_n(request(&plan, client, Operation::Take { cost: *cost }, start, 0), *calls)
    });
    compose(&mut requests.collect::<VecDeque<_>>(), false).expect("pending")
}

/// What follows the keys and the limit.
fn numbers(clients: &[(&str, u64, usize)]) -> Vec<String> {
    let batch = batch(clients);
    let mut command = Cmd::new();
    write_arguments(&mut command, &batch, 0);
    let words = command.args_iter().filter_map(|word| match word {
        redis::Arg::Simple(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    words.skip(1 + clients.len() + 5).collect()
}

#[test]
fn says_no_more_of_the_clients_than_it_must() {
    assert_eq!(numbers(&[("a", 1, 1), ("b", 1, 1)]), ["0"]);
    assert_eq!(numbers(&[("a", 1, 1), ("b", 1, 3)]), ["1", "1", "3"]);
    assert_eq!(numbers(&[("a", 1, 2), ("b", 4, 3)]), ["2", "2", "1", "3", "4"]);
}

#[test]
fn the_script_takes_for_each_client_what_is_said_of_it() {
    let Some(server) = TestServer::start() else { return };
    let mut connection = server.connection();
    for (clients, granted) in [
        (&[("a", 1, 1), ("b", 1, 1), ("c", 1, 1)][..], [1, 1, 1]),
        (&[("a", 1, 1), ("b", 1, 4), ("c", 1, 12)], [1, 4, 9]),
        (&[("a", 1, 3), ("b", 2, 4), ("c", 3, 1)], [3, 2, 0]),
    ] {
        assert_eq!(take(&mut connection, &batch(clients)), granted.map(Some), "{clients:?}");
    }
}

#[test]
fn what_is_taken_for_any_number_of_clients_expires() {
    let Some(server) = TestServer::start() else { return };
    let mut connection = server.connection();
    let (few, many) = ([("a", 1, 1)], ["b", "c", "d", "e", "f"].map(|client| (client, 1, 1)));
    for clients in [&few[..], &many] {
        let batch = batch(clients);
        take(&mut connection, &batch);
        for entry in batch.entries() {
            let mut command = redis::cmd("PTTL");
            command.arg(batch.plan().key_of(entry.client()));
            let left: i64 = command.query(&mut connection).expect("a time");
            assert!((3_500_000..=3_600_001).contains(&left), "{left} ms");
        }
    }
}

/// Two processes hold units of a rate and of a window: what one of them gives back to the window leaves the other's row.
#[test]
fn units_of_a_window_go_back_beside_the_row_of_another() {
    let Some(server) = TestServer::start() else { return };
    let mut connection = server.connection();
    let limits = [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow].map(|algorithm| LimitOptions {
        name: algorithm.to_string(),
        algorithm,
        ..LimitOptions::new(Quota::new(100, 3_600_000))
    });
    let plan = plan_of(RateLimiterOptions::new(limits.to_vec()));
    let mut ask = |operation| ask(&mut connection, &plan, operation);
    let mut lease = || {
        let (now, reply) = ask(Operation::Lease { cost: 1, calls: 0, beside: 5, spare: [0; MAX_LIMITS] });
        let shares = plan.by_limit(&reply.doubles).map(|(limit, own)| limit.share(own, now, (5, 0)).id.state);
        let mut states = [0; MAX_LIMITS];
        states.iter_mut().zip(shares).for_each(|(state, id)| *state = id);
        Operation::GiveBack { units: [5; MAX_LIMITS], at: now, states }
    };
    let (one, other) = (lease(), lease());
    assert_eq!(ask(one).1.returned, [0, 5], "the row ends with the units of another");
    assert_eq!(ask(other).1.returned, [5, 5]);
    assert_eq!(ask(Operation::Peek).1.doubles[1], 0, "of the window all went back");
}

/// The server's clock, and what became of the only client.
fn ask(connection: &mut redis::Connection, plan: &Arc<Plan>, operation: Operation) -> (u64, EntryReply) {
    let requests = [request(plan, "a", operation, Instant::now(), 0)];
    let batch = compose(&mut requests.into_iter().collect(), false).expect("pending");
    let mut command = redis::cmd("EVAL");
    command.arg(batch.script().text());
    write_arguments(&mut command, &batch, 0);
    let value = command.query(connection).expect("a reply");
    match Reply::read(&value, &batch) {
        Some(Reply::Done { now, entries }) => (now, entries[0].clone()),
        other => panic!("{other:?}"),
    }
}

/// Calls granted to each client.
fn take(connection: &mut redis::Connection, batch: &Batch) -> Vec<Option<u64>> {
    let mut command = redis::cmd("EVAL");
    command.arg(ScriptKind::Take.text());
    write_arguments(&mut command, batch, 0);
    let value = command.query(connection).expect("a reply");
    let Some(Reply::Done { entries, .. }) = Reply::read(&value, batch) else { panic!("{value:?}") };
    entries.iter().map(|entry| entry.outcome).collect()
}
