use std::time::Duration;

use sluice_core::{RateLimiterConfig, RateLimiterOptions};

use super::*;

pub(crate) fn name(text: &str) -> ClientName {
    ClientName::of_units(&text.encode_utf16().collect::<Vec<_>>())
}

pub(crate) fn plan() -> Arc<Plan> {
    plan_of(RateLimiterOptions::single(10, 1_000))
}

pub(crate) fn plan_of(options: RateLimiterOptions) -> Arc<Plan> {
    let config = RateLimiterConfig::try_from(options).expect("valid");
    Arc::new(Plan::new("api", "sluice:", Arc::new(config)).expect("valid"))
}

/// A call without a caller, `at` milliseconds after `start`, with 50 ms of time.
pub(crate) fn request(
    plan: &Arc<Plan>,
    client: &str,
    operation: Operation,
    start: Instant,
    at: u64,
) -> Request {
    let asked = start + Duration::from_millis(at);
    let deadline = asked + Duration::from_millis(50);
    Request { asked, deadline, ..Request::new(Arc::clone(plan), name(client), operation) }
}

const ONE: Operation = Operation::Take { cost: 1 };

fn queue(requests: &[(&str, Operation)]) -> (Arc<Plan>, VecDeque<Request>) {
    let (plan, start) = (plan(), Instant::now());
    let requests = requests.iter().map(|(client, operation)| request(&plan, client, *operation, start, 0));
    let requests = requests.collect();
    (plan, requests)
}

/// Clients of a batch with the number of their calls.
fn calls(batch: &Batch) -> Vec<(ClientName, u64)> {
    batch.entries().iter().map(|entry| (entry.client().clone(), entry.calls)).collect()
}

#[test]
fn calls_of_one_client_share_an_entry() {
    let (_, mut queue) = queue(&[("a", ONE), ("b", ONE), ("a", ONE), ("a", ONE)]);
    let batch = compose(&mut queue, false).expect("pending");
    assert_eq!(calls(&batch), [(name("a"), 3), (name("b"), 1)]);
    assert!(queue.is_empty() && compose(&mut queue, false).is_none());
}

#[test]
fn no_call_overtakes_another_of_its_client() {
    let three = Operation::Take { cost: 3 };
    let (_, mut queue) =
        queue(&[("a", ONE), ("a", three), ("a", ONE), ("b", Operation::Reset), ("b", ONE), ("c", ONE)]);
    let order: Vec<_> = std::iter::from_fn(|| compose(&mut queue, false)).collect();
    let operations: Vec<_> = order
        .iter()
        .flat_map(Batch::entries)
        .map(|entry| (entry.client().clone(), entry.operation))
        .collect();
    let of = |client| {
        let own = operations.iter().filter(|(known, _)| *known == name(client));
        own.map(|(_, operation)| *operation).collect::<Vec<_>>()
    };
    assert_eq!(of("a"), [ONE, three, ONE]);
    assert_eq!(of("b"), [Operation::Reset, ONE]);
    assert_eq!(of("c"), [ONE]);
}

#[test]
fn limiters_do_not_share_a_call() {
    let (start, one, other) = (Instant::now(), plan(), plan());
    let mut queue: VecDeque<_> = [&one, &other, &one].map(|plan| request(plan, "a", ONE, start, 0)).into();
    // The third is for the same client, which another plan of the same limiter may mean.
    let sizes: Vec<_> =
        std::iter::from_fn(|| compose(&mut queue, false)).map(|batch| calls(&batch)[0].1).collect();
    assert_eq!(sizes, [1, 1, 1]);
}

#[test]
fn a_call_has_at_most_64_clients_and_256_callers() {
    let (plan, start) = (plan(), Instant::now());
    let clients = (0..100).map(|n| request(&plan, &n.to_string(), ONE, start, 0));
    let mut queue: VecDeque<_> = clients.collect();
    assert_eq!(compose(&mut queue, false).expect("pending").entries().len(), 64);
    assert_eq!(
        queue.front().map(|request| request.client.clone()),
        Some(name("64")),
        "the rest keeps its order"
    );
    let mut queue: VecDeque<_> = (0..300).map(|_| request(&plan, "hot", ONE, start, 0)).collect();
    assert_eq!(calls(&compose(&mut queue, false).expect("pending")), [(name("hot"), 256)]);
}

#[test]
fn the_first_deadline_holds_for_all_and_each_call_expires_by_itself() {
    let (plan, start) = (plan(), Instant::now());
    let mut queue: VecDeque<_> = [0, 20].map(|at| request(&plan, "a", ONE, start, at)).into();
    let mut batch = compose(&mut queue, false).expect("pending");
    let ms = |ms| start + Duration::from_millis(ms);
    assert_eq!(batch.deadline(), ms(50));
    let mut expired = Vec::new();
    batch.expire(ms(49), &mut expired);
    assert!(expired.is_empty());
    batch.expire(ms(50), &mut expired);
    assert_eq!((expired.len(), batch.is_answered(), batch.next_deadline()), (1, false, Some(ms(70))));
    batch.expire(ms(70), &mut expired);
    assert_eq!((expired.len(), batch.is_answered()), (2, true));
}

#[test]
fn keys_of_different_slots_do_not_share_a_call() {
    let (plan, start) = (plan(), Instant::now());
    let names: Vec<_> = (0..200).map(|n| format!("client {n}")).collect();
    let mut queue: VecDeque<_> = names.iter().map(|client| request(&plan, client, ONE, start, 0)).collect();
    let mut clients = 0;
    while let Some(batch) = compose(&mut queue, true) {
        let slots: HashSet<_> = batch.entries().iter().map(|entry| plan.slot_of(entry.client())).collect();
        assert_eq!(slots.len(), 1);
        clients += batch.entries().len();
    }
    assert_eq!(clients, 200);
}

#[test]
fn calls_of_a_slot_that_moves_go_one_client_at_a_time() {
    let (plan, start) = (plan(), Instant::now());
    let alone = Routing { alone: true, ..Routing::default() };
    let asking = Routing { asking: true, ..alone };
    let routed = |client, routing| Request { routing, ..request(&plan, client, ONE, start, 0) };
    let mut queue: VecDeque<_> = [("a", alone), ("b", alone), ("a", asking), ("a", alone), ("b", asking)]
        .map(|(client, routing)| routed(client, routing))
        .into();
    let batches: Vec<_> = std::iter::from_fn(|| compose(&mut queue, false))
        .map(|batch| (calls(&batch), batch.routing().asking))
        .collect();
    let one = |client, count, asking| (vec![(name(client), count)], asking);
    // The third call of "a" does not overtake the second, which goes another way.
    assert_eq!(
        batches,
        [one("a", 1, false), one("b", 1, false), one("a", 1, true), one("a", 1, false), one("b", 1, true)]
    );
}
