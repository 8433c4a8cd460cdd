//! Random calls at one line, replayed one after the other through the limits.

use std::collections::HashMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;
use crate::rate_limiter::options::{AlgorithmKind, LimitOptions, RateLimiterOptions};
use crate::rate_limiter::{Quota, RateLimiterConfig};
use crate::runtime::clock::MS;

const START: u64 = 1_000_000 * MS;
const OWNERS: u64 = 3;

#[derive(Clone, Debug)]
enum Op {
    Wait(u64),
    Join { cost: u64, patience: u64 },
    Try(u64),
    Leave(usize),
    LeaveAllOf(u64),
    Refund(u64),
    Penalize(u64),
    Reconfigure(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (0_u64..3_000).prop_map(|us| Op::Wait(us * 1_000)),
        1 => (0_u64..60).prop_map(|ms| Op::Wait(ms * MS)),
        8 => (1_u64..4, 1_u64..400).prop_map(|(cost, ms)| Op::Join { cost, patience: ms * MS }),
        3 => (1_u64..3).prop_map(Op::Try),
        4 => (0_usize..64).prop_map(Op::Leave),
        1 => (0..OWNERS).prop_map(Op::LeaveAllOf),
        1 => (1_u64..3).prop_map(Op::Refund),
        1 => (1_u64..3).prop_map(Op::Penalize),
        1 => any::<bool>().prop_map(Op::Reconfigure),
    ]
}

/// What is planted into the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bug {
    None,
    /// A call that leaves gives its units back, and those behind keep their moments.
    GivesBackWithoutMoving,
    /// A call that leaves gives nothing back.
    NeverGivesBack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Gcra,
    SmallBurst,
    FixedWindow,
    SlidingWindow,
    Three,
}

const KINDS: [Kind; 5] = [Kind::Gcra, Kind::SmallBurst, Kind::FixedWindow, Kind::SlidingWindow, Kind::Three];

/// The limits of a kind; `is_other` for those that a reconfiguration sets.
fn config(kind: Kind, is_other: bool, existing: Option<&RateLimiterConfig>) -> RateLimiterConfig {
    let more = u64::from(is_other);
    let limit = |name: &str, algorithm, limit, window_ms, burst| LimitOptions {
        name: name.to_owned(),
        quota: Quota { limit, window_ms, burst },
        algorithm,
    };
    let (gcra, fixed, sliding) =
        (AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow);
    let limits = match kind {
        Kind::Gcra => vec![limit("a", gcra, 4 + more, 20, None)],
        Kind::SmallBurst => vec![limit("a", gcra, 100 + 100 * more, 100, Some(3))],
        Kind::FixedWindow => vec![limit("a", fixed, 4 + more, 20, None)],
        Kind::SlidingWindow => vec![limit("a", sliding, 5 + more, 20, None)],
        Kind::Three => vec![
            limit("a", gcra, 4 + more, 10, None),
            limit("b", fixed, 10 + more, 60, None),
            limit("c", sliding, 14 - more, 100, None),
        ],
    };
    let options = RateLimiterOptions { limits, ..RateLimiterOptions::single(1, 1) };
    match existing {
        Some(existing) => existing.replaced_by(options).expect("valid"),
        None => options.try_into().expect("valid"),
    }
}

fn each(rules: &[Rule], words: &mut LineWords, change: impl Fn(&Rule, u64) -> u64) {
    rules.iter().zip(words).for_each(|(rule, word)| *word = change(rule, *word));
}

/// What happened, in order of time.
#[derive(Clone, Debug)]
enum Happened {
    /// A call was charged; it could not have been before `earliest`.
    Charge {
        at: u64,
        cost: u64,
        earliest: u64,
    },
    Refund {
        at: u64,
        cost: u64,
    },
    Penalty {
        at: u64,
        cost: u64,
    },
    Options {
        at: u64,
        is_other: bool,
    },
}

/// A line, and what happened at it.
struct Run {
    kind: Kind,
    bug: Bug,
    config: RateLimiterConfig,
    line: Line<u64>,
    now: u64,
    next_id: u64,
    joined: Vec<(u64, u64)>,
    since: HashMap<u64, u64>,
    /// When the line was last laid anew.
    laid_at: u64,
    happened: Vec<Happened>,
    served: Vec<u64>,
}

impl Run {
    fn new(kind: Kind, bug: Bug) -> Self {
        Self {
            kind,
            bug,
            config: config(kind, false, None),
            line: Line::new(LineWords::default(), 0),
            now: START,
            next_id: 0,
            joined: Vec::new(),
            since: HashMap::new(),
            laid_at: 0,
            happened: Vec::new(),
            served: Vec::new(),
        }
    }

    fn serve(&mut self, now: u64) {
        let Self { line, since, happened, served, laid_at, .. } = self;
        line.serve(now, &mut |event| {
            let Event::Served(Ticket { id, cost, moment, .. }) = event else { return };
            let earliest = since[&id].max((*laid_at).min(moment));
            happened.push(Happened::Charge { at: moment, cost, earliest });
            served.push(id);
        });
    }

    fn act(&mut self, op: &Op) -> Result<(), TestCaseError> {
        if let Op::Wait(time) = op {
            self.now += time;
        }
        self.serve(self.now);
        match *op {
            Op::Wait(_) => {}
            Op::Join { cost, patience } => self.join(cost, patience)?,
            Op::Try(cost) => self.try_charge(cost)?,
            Op::Leave(index) if !self.joined.is_empty() => {
                let (id, _) = self.joined[index % self.joined.len()];
                self.leave([id]);
            }
            Op::Leave(_) => {}
            Op::LeaveAllOf(owner) => {
                let of_owner = self.joined.iter().filter(|(_, of)| *of == owner).map(|(id, _)| *id);
                let ids: Vec<_> = of_owner.collect();
                self.leave(ids);
            }
            Op::Refund(cost) => {
                let now = self.now;
                self.change(|rule, word| rule.algorithm.refund(word, now, cost));
                self.happened.push(Happened::Refund { at: now, cost });
            }
            Op::Penalize(cost) => {
                let now = self.now;
                self.change(|rule, word| rule.algorithm.penalize(word, now, cost));
                self.happened.push(Happened::Penalty { at: now, cost });
            }
            Op::Reconfigure(is_other) => {
                let now = self.now;
                self.config = config(self.kind, is_other, Some(&self.config));
                self.change(|rule, word| rule.algorithm.adopt(word, now));
                self.happened.push(Happened::Options { at: now, is_other });
            }
        }
        Ok(())
    }

    fn join(&mut self, cost: u64, patience: u64) -> Result<(), TestCaseError> {
        let request = Request { cost, now: self.now, latest: self.now + patience };
        self.next_id += 1;
        let id = self.next_id;
        match self.line.place(&self.config.rules, &request) {
            Ok(place) => {
                prop_assert!((self.now..=request.latest).contains(&place.moment));
                self.line.join(id, &request, &place, id % OWNERS);
                self.joined.push((id, id % OWNERS));
                self.since.insert(id, self.now);
                self.serve(self.now);
            }
            Err(NoPlace::TooLate(wait)) => prop_assert!(wait > patience),
            Err(NoPlace::Never) => prop_assert!(cost > self.config.capacity()),
        }
        Ok(())
    }

    /// What a call decides that knows the words after the line and the hold of the key.
    fn try_charge(&mut self, cost: u64) -> Result<(), TestCaseError> {
        let (rules, now) = (&self.config.rules, self.now);
        if self.line.held_until() > now {
            prop_assert!(!self.line.is_empty());
            return Ok(());
        }
        if let Ok(after) = judge(rules, &self.line.tail(), cost, now) {
            prop_assert!(self.line.is_empty());
            (self.line.front, self.line.floor) = (after, self.line.floor.max(now));
            self.happened.push(Happened::Charge { at: now, cost, earliest: now });
        }
        Ok(())
    }

    fn leave(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            match self.bug {
                Bug::None => drop(self.line.leave(id, self.now)),
                Bug::GivesBackWithoutMoving => self.give_back_only(id),
                Bug::NeverGivesBack => self.line.tickets.retain(|ticket| ticket.id != id),
            }
        }
        self.line.settle(&self.config.rules, self.now, &mut |_| {});
        self.laid_at = self.now;
    }

    fn give_back_only(&mut self, id: u64) {
        let Some(index) = self.line.tickets.iter().position(|ticket| ticket.id == id) else { return };
        let Some(ticket) = self.line.tickets.remove(index) else { return };
        let before = if index > 0 { self.line.tickets[index - 1].after } else { self.line.front };
        if let Some(last) = self.line.tickets.back_mut() {
            last.after[0] = last.after[0].saturating_sub(ticket.after[0].saturating_sub(before[0]));
        }
    }

    fn change(&mut self, change: impl Fn(&Rule, u64) -> u64) {
        let rules = &self.config.rules;
        self.line.change(rules, self.now, |words, _| each(rules, words, change), &mut |_| {});
        self.laid_at = self.now;
    }

    /// One call after the other, each at its moment, admits them all; none would be admitted any earlier, and none passes
    /// another.
    fn check(mut self) -> Result<(), TestCaseError> {
        self.serve(u64::MAX);
        prop_assert!(self.served.is_sorted(), "first in, first out: {:?}", self.served);
        let mut config = config(self.kind, false, None);
        let (mut words, mut last) = (LineWords::default(), 0);
        for happened in &self.happened {
            match *happened {
                Happened::Charge { at, cost, earliest } => {
                    prop_assert!(at >= last, "in order of time");
                    let after = judge(&config.rules, &words, cost, at);
                    prop_assert!(after.is_ok(), "more than the quota: {happened:?}");
                    // Units that are given back without moving are lost as well: only that more are given is to be found.
                    if self.bug != Bug::GivesBackWithoutMoving && at > earliest.max(last) {
                        let before = judge(&config.rules, &words, cost, at - 1);
                        prop_assert!(before.is_err(), "waits longer than needed: {happened:?}");
                    }
                    (words, last) = (after.expect("ok"), at);
                }
                Happened::Refund { at, cost } => {
                    each(&config.rules, &mut words, |rule, word| rule.algorithm.refund(word, at, cost));
                    last = last.max(at);
                }
                Happened::Penalty { at, cost } => {
                    each(&config.rules, &mut words, |rule, word| rule.algorithm.penalize(word, at, cost));
                    last = last.max(at);
                }
                Happened::Options { at, is_other } => {
                    config = self::config(self.kind, is_other, Some(&config));
                    each(&config.rules, &mut words, |rule, word| rule.algorithm.adopt(word, at));
                    last = last.max(at);
                }
            }
        }
        Ok(())
    }
}

/// What goes wrong in so many random sequences of calls, if anything does.
fn fault(kind: Kind, bug: Bug, cases: u32) -> Option<String> {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let outcome = runner.run(&prop::collection::vec(op(), 1..120), |ops| {
        let mut run = Run::new(kind, bug);
        ops.iter().try_for_each(|op| run.act(op))?;
        run.check()
    });
    outcome.err().map(|error| error.to_string())
}

#[test]
fn never_exceeds_the_quota_nor_waits_longer_than_needed() {
    for kind in KINDS {
        assert_eq!(fault(kind, Bug::None, 2_000), None, "{kind:?}");
    }
}

#[test]
fn finds_units_that_are_given_back_while_those_behind_stay() {
    let fault = fault(Kind::SmallBurst, Bug::GivesBackWithoutMoving, 20_000).expect("planted");
    assert!(fault.contains("more than the quota"), "{fault}");
}

#[test]
fn finds_units_that_are_not_given_back() {
    let fault = fault(Kind::SmallBurst, Bug::NeverGivesBack, 20_000).expect("planted");
    assert!(fault.contains("waits longer than needed"), "{fault}");
}

#[test]
fn a_call_that_can_never_be_charged_gets_no_place() {
    let (config, line) = (config(Kind::Gcra, false, None), Line::<()>::new(LineWords::default(), 0));
    let request = Request { cost: 5, now: START, latest: u64::MAX };
    assert_eq!(line.place(&config.rules, &request), Err(NoPlace::Never));
}

#[test]
fn a_call_waits_a_year_at_most() {
    let (config, line) =
        (config(Kind::Gcra, false, None), Line::<()>::new(LineWords::default(), u64::MAX / 2));
    let request = Request { cost: 1, now: START, latest: u64::MAX };
    assert!(matches!(line.place(&config.rules, &request), Err(NoPlace::TooLate(_))));
}
