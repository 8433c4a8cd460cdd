//! What the rule is for, by simulation: goodput, latency and refusals that it must reach under each load, and other rules,
//! which do not.
//!
//! The table holds for the mean of several runs, whose chances were not chosen; each of them keeps close to it.

mod rules;
mod server;

use std::ops::RangeInclusive;

use self::rules::{ByLaps, Gradient, Measured, Nothing, Sampled};
use self::server::{Duration, Outcome, Server, Shedding, run};
use super::priority::Priority;

const TARGET: f64 = 50.0;
const LASTS: Duration = Duration { all: 20_000.0, settling: 6_000.0 };

/// The chances of runs: the first ones that there are.
const SEEDS: RangeInclusive<u64> = 1..=6;

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

/// What a run has come to, of something that must not be less than required.
#[derive(Clone, Copy, Debug)]
struct Figure {
    what: &'static str,
    found: f64,
    required: f64,
    /// How much less a single run may come to.
    within: f64,
}

/// A rule for the threads of a server, with the chances of a seed.
type Make<'a> = &'a dyn Fn(&Server, u64) -> Box<dyn Shedding>;

fn nothing(_: &Server, _: u64) -> Box<dyn Shedding> {
    Box::new(Nothing)
}

fn offered(server: &Server, load: f64, seed: u64, make: Make<'_>) -> Outcome {
    let rate = load * server.capacity();
    run(server, &|_| rate, LASTS, seed, &mut *make(server, seed))
}

/// The figures of a run, beside what is required of its load. `idle_p99` is the latency at 0.7 times the capacity without a
/// rule.
fn figures(server: &Server, load: f64, mut outcome: Outcome, idle_p99: f64) -> Vec<Figure> {
    let mut figures = Vec::new();
    let mut at_least = |what, found: f64, required, within| {
        // No comparison finds fault with a figure that is no number.
        assert!(!found.is_nan(), "{what} is {found}");
        figures.push(Figure { what, found, required, within });
    };
    let is_heavy = server.heavy.is_some();
    let goodput = outcome.goodput(server);
    let p99 = outcome.p99();
    let [high, normal, low] =
        [Priority::High, Priority::Normal, Priority::Low].map(|class| outcome.served(class));
    let high_served = 1.0 - outcome.refused_of(Priority::High);
    if load < 0.8 {
        // Of heavy tails, more are still under way when a run ends.
        at_least("goodput", goodput, if is_heavy { 0.99 } else { 0.995 }, 0.005);
        at_least("1 - refused", 1.0 - outcome.refused(), 0.998, 0.005);
        at_least("headroom of p99", idle_p99 * 1.02 - p99, 0.0, 0.1 * TARGET);
    } else if load < 1.0 {
        at_least("goodput", goodput, if is_heavy { 0.9 } else { 0.98 }, 0.02);
        at_least("1 - high refused", high_served, 0.99, 0.01);
    } else if load < 1.5 {
        at_least("goodput", goodput, if is_heavy { 0.9 } else { 0.96 }, 0.02);
        at_least("1 - high refused", high_served, 0.97, 0.01);
    } else if load < 3.0 {
        at_least("goodput", goodput, 0.97, 0.02);
        at_least("1 - high refused", high_served, 0.92, 0.02);
        at_least("headroom of p99", idle_p99 + 5.0 * TARGET - p99, 0.0, 0.5 * TARGET);
    } else {
        at_least("goodput", goodput, 0.95, 0.02);
        at_least("headroom of p99", 15.0 * TARGET - p99, 0.0, TARGET);
        at_least("what is left of low", 0.01 - low, 0.0, 0.005);
        at_least("high beside normal", high - 4.0 * normal, 0.0, 0.05);
    }
    figures
}

/// What is wrong with a rule under some loads, by the table of what is required.
fn faults(server: &Server, loads: &[f64], make: Make<'_>) -> Vec<String> {
    let idle: Vec<f64> = SEEDS.map(|seed| offered(server, 0.7, seed, &nothing).p99()).collect();
    loads.iter().flat_map(|load| faults_under(server, *load, &idle, make)).collect()
}

fn faults_under(server: &Server, load: f64, idle: &[f64], make: Make<'_>) -> Vec<String> {
    let run =
        |(seed, idle_p99): (u64, &f64)| figures(server, load, offered(server, load, seed, make), *idle_p99);
    let runs: Vec<Vec<Figure>> = SEEDS.zip(idle).map(run).collect();
    let mut faults = Vec::new();
    for (at, Figure { what, required, within, .. }) in runs[0].iter().copied().enumerate() {
        let found: Vec<f64> = runs.iter().map(|figures| figures[at].found).collect();
        let mean = mean(&found);
        let least = found.iter().copied().fold(f64::INFINITY, f64::min);
        if mean < required || least < required - within {
            faults.push(format!(
                "{load}x: {what} is {mean:.4} on average, required {required:.4}; at least {least:.4}, required {:.4}",
                required - within
            ));
        }
    }
    faults
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn by_laps(measured: Measured) -> impl Fn(&Server, u64) -> Box<dyn Shedding> {
    move |server, seed| Box::new(<ByLaps>::new(server.threads, TARGET, measured, seed))
}

fn assert_holds(server: &Server, loads: &[f64], measured: Measured) {
    let faults = faults(server, loads, &by_laps(measured));
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
        let refused: Vec<f64> = SEEDS
            .map(|seed| {
                let mut rule = by_laps(Measured::ByTurns)(&server, seed);
                run(&server, &rate, lasts, seed, &mut *rule).refused()
            })
            .collect();
        let (mean, most) = (mean(&refused), refused.iter().copied().fold(0.0, f64::max));
        // As at this load without a peak before it.
        assert!(mean < 0.002 && most < 0.007, "{mean}, {most}");
        let without = run(&server, &rate, lasts, 1, &mut Nothing);
        assert!(without.goodput(&server) < 0.5, "{}", without.goodput(&server));
    }
}

#[test]
fn other_rules_fail() {
    let faults_of = |make: Make<'_>| {
        [SYNCHRONOUS, MIXED].iter().flat_map(|server| faults(server, &[2.0, 10.0], make)).collect::<Vec<_>>()
    };
    assert!(!faults_of(&nothing).is_empty(), "no rule");
    let sampled = |server: &Server, _| -> Box<dyn Shedding> { Box::new(Sampled::new(server.threads, 100.0)) };
    assert!(!faults_of(&sampled).is_empty(), "a sampled threshold");
    let gradient = |_: &Server, _| -> Box<dyn Shedding> { Box::new(Gradient::new()) };
    assert!(!faults_of(&gradient).is_empty(), "a limit that follows latency");
    let measured = Measured::ByTurns;
    let without_late = |server: &Server, seed| -> Box<dyn Shedding> {
        Box::new(ByLaps::<false, true>::new(server.threads, TARGET, measured, seed))
    };
    assert!(!faults_of(&without_late).is_empty(), "without the second part");
    let without_beforehand = |server: &Server, seed| -> Box<dyn Shedding> {
        Box::new(ByLaps::<true, false>::new(server.threads, TARGET, measured, seed))
    };
    assert!(!faults_of(&without_beforehand).is_empty(), "without the third part");
    assert!(faults_of(&by_laps(measured)).is_empty());
}
