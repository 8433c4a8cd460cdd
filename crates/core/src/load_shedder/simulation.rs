//! What the rule is for, by simulation: goodput, latency and refusals that it must reach under each load, and other rules,
//! which do not.

mod rules;
mod server;

use self::rules::{ByLaps, Gradient, Measured, Nothing, Sampled};
use self::server::{Duration, Outcome, Server, Shedding, run};
use super::priority::Priority;

const TARGET: f64 = 50.0;
const LASTS: Duration = Duration { all: 20_000.0, settling: 6_000.0 };

/// Handlers that only compute.
const SYNCHRONOUS: Server =
    Server { threads: 4, cores: 4.0, quota: None, first: 2.0, wait: 0.0, second: 0.0, heavy: None };
/// Handlers that compute, wait, and compute.
const MIXED: Server = Server { first: 0.7, wait: 20.0, second: 0.7, ..SYNCHRONOUS };
/// One request in twenty takes twenty times as long.
const HEAVY: Server = Server { first: 0.4, second: 0.4, heavy: Some((0.05, 20.0)), ..MIXED };
/// Two of the four cores, by a quota for each 100 ms.
const HALF_QUOTA: Server = Server { quota: Some(2.0), ..MIXED };
const EIGHT_THREADS: Server = Server { threads: 8, ..MIXED };

fn offered(server: &Server, load: f64, shedding: &mut dyn Shedding) -> Outcome {
    let rate = load * server.capacity();
    run(server, &|_| rate, LASTS, shedding)
}

/// What is wrong with a rule under a load, by the table of what is required.
fn faults(server: &Server, load: f64, shedding: &mut dyn Shedding) -> Vec<String> {
    let mut outcome = offered(server, load, shedding);
    let mut faults = Vec::new();
    let mut at_least = |what: &str, found: f64, required: f64| {
        if found < required {
            faults.push(format!("{load}x: {what} is {found:.4}, required {required:.4}"));
        }
    };
    let is_heavy = server.heavy.is_some();
    let goodput = outcome.goodput(server);
    let p99 = outcome.p99();
    let idle_p99 = || offered(server, 0.7, &mut Nothing).p99();
    let [high, normal, low] =
        [Priority::High, Priority::Normal, Priority::Low].map(|class| outcome.served(class));
    let high_refused = outcome.refused_of(Priority::High);
    if load < 0.8 {
        at_least("goodput", goodput, if is_heavy { 0.985 } else { 0.995 });
        at_least("1 - refused", 1.0 - outcome.refused(), if is_heavy { 0.99 } else { 0.998 });
        at_least("headroom of p99", idle_p99() * 1.02 - p99, 0.0);
    } else if load < 1.0 {
        at_least("goodput", goodput, if is_heavy { 0.9 } else { 0.98 });
        at_least("1 - high refused", 1.0 - high_refused, 0.99);
    } else if load < 1.5 {
        at_least("goodput", goodput, if is_heavy { 0.9 } else { 0.96 });
        at_least("1 - high refused", 1.0 - high_refused, 0.97);
    } else if load < 3.0 {
        at_least("goodput", goodput, 0.97);
        at_least("1 - high refused", 1.0 - high_refused, 0.92);
        at_least("headroom of p99", idle_p99() + 5.0 * TARGET - p99, 0.0);
    } else {
        at_least("goodput", goodput, 0.95);
        at_least("headroom of p99", 15.0 * TARGET - p99, 0.0);
        at_least("what is left of low", 0.01 - low, 0.0);
        at_least("high beside normal", high - 4.0 * normal, 0.0);
    }
    faults
}

fn by_laps(server: &Server, measured: Measured) -> ByLaps {
    ByLaps::new(server.threads, TARGET, measured)
}

fn assert_holds(server: &Server, loads: &[f64], measured: Measured) {
    let faults: Vec<_> =
        loads.iter().flat_map(|load| faults(server, *load, &mut by_laps(server, measured))).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

const LOADS: [f64; 6] = [0.7, 0.9, 1.2, 2.0, 5.0, 10.0];

#[test]
fn holds_for_handlers_that_only_compute() {
    assert_holds(&SYNCHRONOUS, &LOADS, Measured::ByTurns);
}

#[test]
fn holds_for_handlers_that_compute_and_wait() {
    assert_holds(&MIXED, &LOADS, Measured::ByTurns);
}

#[test]
fn holds_for_heavy_tails() {
    assert_holds(&HEAVY, &LOADS, Measured::ByTurns);
}

#[test]
fn holds_under_a_quota_of_half_the_cores() {
    assert_holds(&HALF_QUOTA, &LOADS, Measured::ByTurns);
}

#[test]
fn holds_for_eight_threads_on_four_cores() {
    assert_holds(&EIGHT_THREADS, &LOADS, Measured::ByTurns);
}

#[test]
fn holds_where_laps_are_measured_by_their_ends() {
    assert_holds(&SYNCHRONOUS, &[0.9, 2.0, 10.0], Measured::ByEnds);
    assert_holds(&MIXED, &[0.9, 2.0, 10.0], Measured::ByEnds);
}

#[test]
fn serves_everything_again_two_seconds_after_a_peak() {
    let lasts = Duration { all: 20_000.0, settling: 13_000.0 };
    for server in [SYNCHRONOUS, MIXED] {
        let capacity = server.capacity();
        let rate = |now| capacity * if (6_000.0..11_000.0).contains(&now) { 3.0 } else { 0.7 };
        let outcome = run(&server, &rate, lasts, &mut by_laps(&server, Measured::ByTurns));
        assert!(outcome.refused() < 0.002, "{}", outcome.refused());
        let without = run(&server, &rate, lasts, &mut Nothing);
        assert!(without.goodput(&server) < 0.5, "{}", without.goodput(&server));
    }
}

/// Faults of a rule that `make` makes anew for each run.
fn faults_of(make: &dyn Fn(usize) -> Box<dyn Shedding>) -> Vec<String> {
    let runs = [SYNCHRONOUS, MIXED].into_iter().flat_map(|server| [2.0, 10.0].map(|load| (server, load)));
    runs.flat_map(|(server, load)| faults(&server, load, &mut *make(server.threads))).collect()
}

#[test]
fn other_rules_fail() {
    assert!(!faults_of(&|_| Box::new(Nothing)).is_empty(), "no rule");
    assert!(!faults_of(&|threads| Box::new(Sampled::new(threads, 100.0))).is_empty(), "a sampled threshold");
    assert!(!faults_of(&|_| Box::new(Gradient::new())).is_empty(), "a limit that follows latency");
    let measured = Measured::ByTurns;
    let without_late = faults_of(&|threads| Box::new(ByLaps::<false, true>::new(threads, TARGET, measured)));
    assert!(!without_late.is_empty(), "without the second part");
    let without_beforehand =
        faults_of(&|threads| Box::new(ByLaps::<true, false>::new(threads, TARGET, measured)));
    assert!(!without_beforehand.is_empty(), "without the third part");
    assert!(faults_of(&|threads| Box::new(ByLaps::<true, true>::new(threads, TARGET, measured))).is_empty());
}
