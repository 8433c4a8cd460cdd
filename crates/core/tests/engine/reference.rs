//! Every algorithm against a naive reference: the same rules written plainly, with wide integers and no packing, over
//! random operations, costs, times and reconfigurations. Also with more clients than slots.

use std::sync::Arc;

use proptest::prelude::*;
use sluice_core::runtime::key_hash::hash_str;
use sluice_core::{
    AlgorithmKind, Decision, LimitOptions, LocalHandle, Overflow, Quota, RateLimiter, RateLimiterOptions,
};

const MS: u128 = 1_000_000;

/// The state of one limit for its only client.
#[derive(Clone, Debug)]
struct Naive {
    kind: AlgorithmKind,
    limit: u128,
    window: u128,
    burst: u128,
    /// GCRA: `debt` in nanoseconds at `seen`. Fixed window: `end` and `curr`, its count. Sliding window: its number
    /// `index`, the previous count `prev` and the current one `curr`.
    debt: u128,
    seen: u128,
    end: u128,
    index: u128,
    prev: u128,
    curr: u128,
}

impl Naive {
    fn new(limit: &LimitOptions) -> Self {
        let Quota { limit: units, window_ms, burst } = limit.quota;
        let (limit_units, window) = (u128::from(units), u128::from(window_ms) * MS);
        let burst = u128::from(burst.unwrap_or(units));
        Self {
            kind: limit.algorithm,
            limit: limit_units,
            window,
            burst,
            debt: 0,
            seen: 0,
            end: 0,
            index: 0,
            prev: 0,
            curr: 0,
        }
    }

    fn reconfigure(&mut self, limit: &LimitOptions) {
        let Self { debt, seen, end, index, prev, curr, .. } = *self;
        *self = Self { debt, seen, end, index, prev, curr, ..Self::new(limit) };
        self.debt = self.debt.min(self.burst * self.interval());
        self.end = self.end.min(self.seen + self.window);
    }

    fn interval(&self) -> u128 {
        self.window.div_ceil(self.limit)
    }

    fn capacity(&self) -> u128 {
        if self.kind == AlgorithmKind::Gcra { self.burst } else { self.limit }
    }

    /// Advances the state to `now`.
    fn at(&mut self, now: u128) {
        self.debt = self.debt.saturating_sub(now - self.seen);
        self.seen = now;
        if self.kind == AlgorithmKind::FixedWindow && now >= self.end {
            (self.curr, self.end) = (0, 0);
        }
        let index = now / self.window;
        if self.kind == AlgorithmKind::SlidingWindow && index != self.index {
            self.prev = if index == self.index + 1 { self.curr } else { 0 };
            (self.index, self.curr) = (index, 0);
        }
    }

    fn admits(&self, cost: u128) -> bool {
        match self.kind {
            AlgorithmKind::Gcra => self.debt + cost * self.interval() <= self.burst * self.interval(),
            AlgorithmKind::FixedWindow => self.curr + cost <= self.limit,
            // prev * (1 - f) + curr + cost <= limit, times the window.
            AlgorithmKind::SlidingWindow => {
                let left = self.window - self.seen % self.window;
                self.prev * left + (self.curr + cost) * self.window <= self.limit * self.window
            }
        }
    }

    fn charge(&mut self, cost: u128) {
        self.debt += cost * self.interval();
        if self.kind == AlgorithmKind::FixedWindow && self.curr == 0 {
            self.end = self.seen + self.window;
        }
        self.curr += cost;
    }

    fn penalize(&mut self, cost: u128) {
        let most = self.remaining();
        if self.kind == AlgorithmKind::Gcra {
            self.debt = (self.debt + cost * self.interval()).min(self.burst * self.interval());
        } else if most > 0 {
            self.charge(cost.min(most));
        }
    }

    fn refund(&mut self, cost: u128) {
        let cost = cost.min(self.capacity());
        self.debt = self.debt.saturating_sub(cost * self.interval());
        if self.kind == AlgorithmKind::FixedWindow {
            self.curr = self.curr.min(self.limit);
        }
        let rest = cost.saturating_sub(self.curr);
        self.curr = self.curr.saturating_sub(cost);
        if self.kind == AlgorithmKind::SlidingWindow {
            self.prev = self.prev.saturating_sub(rest);
        }
    }

    fn reset(&mut self) {
        (self.debt, self.end, self.prev, self.curr) = (0, 0, 0, 0);
    }

    /// The largest cost that is admitted, found by trial.
    fn remaining(&self) -> u128 {
        (1..=self.capacity()).take_while(|cost| self.admits(*cost)).last().unwrap_or(0)
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Consume(u64),
    Peek,
    Refund(u64),
    Penalize(u64),
    Block(u64),
    Reset,
    SetLimit(u64),
    /// Ignored for a sliding window, whose length is fixed.
    SetWindow(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        8 => (1_u64..14).prop_map(Operation::Consume),
        2 => Just(Operation::Peek),
        2 => (1_u64..14).prop_map(Operation::Refund),
        2 => (1_u64..14).prop_map(Operation::Penalize),
        1 => (1_u64..400).prop_map(Operation::Block),
        1 => Just(Operation::Reset),
        1 => (1_u64..12).prop_map(Operation::SetLimit),
        1 => prop_oneof![Just(10_u64), Just(100), Just(600_000), Just(30 * 86_400_000)].prop_map(Operation::SetWindow),
    ]
}

/// Milliseconds: within a window, at its edge, over several windows, over a month.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => Just(0),
        8 => 1_u64..300,
        2 => Just(100),
        1 => 300_u64..5_000,
        1 => Just(31 * 86_400_000),
    ]
}

fn limit(kind: AlgorithmKind) -> impl Strategy<Value = LimitOptions> {
    let window_ms = prop_oneof![Just(10_u64), Just(100), Just(100), Just(257)];
    (1_u64..12, window_ms, prop::option::of(1_u64..15)).prop_map(move |(limit, window_ms, burst)| {
        let burst = burst.filter(|_| kind == AlgorithmKind::Gcra);
        LimitOptions { name: String::new(), quota: Quota { limit, window_ms, burst }, algorithm: kind }
    })
}

fn any_limit() -> impl Strategy<Value = LimitOptions> {
    prop_oneof![
        limit(AlgorithmKind::Gcra),
        limit(AlgorithmKind::FixedWindow),
        limit(AlgorithmKind::SlidingWindow)
    ]
}

fn compare(
    mut limits: Vec<LimitOptions>,
    start_ms: u64,
    steps: Vec<(u64, Operation)>,
) -> Result<(), TestCaseError> {
    for (index, limit) in limits.iter_mut().enumerate() {
        limit.name = format!("limit {index}");
    }
    let mut options = RateLimiterOptions { limits, max_keys: 4, ..RateLimiterOptions::single(1, 1) };
    let limiter = RateLimiter::new("test", options.clone().try_into().expect("valid"));
    let mut naive: Vec<Naive> = options.limits.iter().map(Naive::new).collect();
    let (key, mut now, mut blocked_until) = (hash_str("client"), u128::from(start_ms) * MS, 0);
    for (pause, operation) in steps {
        now += u128::from(pause) * MS;
        let at = now as u64;
        naive.iter_mut().for_each(|limit| limit.at(now));
        match operation {
            Operation::Consume(cost) => {
                let wanted = blocked_until <= now && naive.iter().all(|limit| limit.admits(cost.into()));
                let decision = limiter.consume(key, cost, at).expect("open");
                prop_assert_eq!(decision.allowed, wanted);
                if wanted {
                    naive.iter_mut().for_each(|limit| limit.charge(cost.into()));
                }
                check_decision(&decision, &naive, cost, now, blocked_until)?;
                check_retry(&limiter, &naive, &decision, cost, now, blocked_until)?;
            }
            Operation::Peek => {
                let decision = limiter.peek(key, at).expect("open");
                let wanted = blocked_until <= now && naive.iter().all(|limit| limit.admits(1));
                prop_assert_eq!(decision.allowed, wanted);
                check_decision(&decision, &naive, 1, now, blocked_until)?;
            }
            Operation::Refund(cost) => {
                limiter.refund(key, cost, at).expect("open");
                naive.iter_mut().for_each(|limit| limit.refund(cost.into()));
            }
            Operation::Penalize(cost) => {
                limiter.penalize(key, cost, at).expect("open");
                naive.iter_mut().for_each(|limit| limit.penalize(cost.into()));
            }
            Operation::Block(ms) => {
                prop_assert!(limiter.block(key, ms * 1_000_000, at).expect("open"));
                blocked_until = blocked_until.max(now + u128::from(ms) * MS);
            }
            Operation::Reset => {
                limiter.reset(key, at).expect("open");
                naive.iter_mut().for_each(Naive::reset);
                blocked_until = 0;
            }
            Operation::SetLimit(units) => {
                options.limits[0].quota.limit = units;
                limiter.reconfigure(options.clone(), || at).expect("valid");
                naive[0].reconfigure(&options.limits[0]);
            }
            Operation::SetWindow(_) if options.limits[0].algorithm == AlgorithmKind::SlidingWindow => {}
            Operation::SetWindow(ms) => {
                options.limits[0].quota.window_ms = ms;
                limiter.reconfigure(options.clone(), || at).expect("valid");
                naive[0].reconfigure(&options.limits[0]);
            }
        }
    }
    Ok(())
}

/// Checks that the decision describes one of the limits, the right one, and correctly.
fn check_decision(
    decision: &Decision,
    naive: &[Naive],
    cost: u64,
    now: u128,
    blocked_until: u128,
) -> Result<(), TestCaseError> {
    let described = &naive[decision.policy];
    prop_assert_eq!(u128::from(decision.limit), described.limit);
    let remaining = if blocked_until > now { 0 } else { described.remaining() };
    prop_assert_eq!(u128::from(decision.remaining), remaining);
    if !decision.allowed && blocked_until <= now {
        prop_assert!(!described.admits(cost.into()), "the limit described must be one that refuses");
    } else if blocked_until <= now {
        let share = |limit: &Naive| (limit.remaining(), limit.capacity());
        let (least, of) = share(described);
        let is_least =
            naive.iter().map(share).all(|(remaining, capacity)| least * capacity <= remaining * of);
        prop_assert!(is_least, "the limit described must be the tightest");
    }
    Ok(())
}

/// Checks that the call is admitted exactly at `retry_after` and not before.
fn check_retry(
    limiter: &RateLimiter,
    naive: &[Naive],
    decision: &Decision,
    cost: u64,
    now: u128,
    blocked_until: u128,
) -> Result<(), TestCaseError> {
    let admitted_at = |then: u128| {
        let mut later = naive.to_vec();
        later.iter_mut().for_each(|limit| limit.at(then));
        blocked_until <= then && later.iter().all(|limit| limit.admits(cost.into()))
    };
    match decision.retry_after {
        Some(0) => prop_assert!(decision.allowed),
        Some(wait) => {
            let then = now + u128::from(wait);
            prop_assert!(!admitted_at(then - 1), "one nanosecond earlier");
            // Nothing is charged meanwhile, so the limit with the longest wait decides.
            prop_assert!(admitted_at(then), "then");
            prop_assert_eq!(limiter.peek(hash_str("client"), then as u64).expect("open").remaining > 0, true);
        }
        None => prop_assert!(naive.iter().any(|limit| u128::from(cost) > limit.capacity())),
    }
    Ok(())
}

const SLOTS: usize = 2;
const CLIENTS: usize = 5;

/// More clients than slots: only a fully replenished client is evicted.
#[derive(Clone)]
struct Crowd {
    clients: Vec<(Naive, u128)>,
    now: u128,
}

impl Crowd {
    fn at(&mut self, now: u128) {
        self.now = now;
        self.clients.iter_mut().for_each(|(limit, _)| limit.at(now));
    }

    fn is_live(&self, client: usize) -> bool {
        let (limit, blocked_until) = &self.clients[client];
        limit.debt > 0 || *blocked_until > self.now
    }

    fn size(&self) -> usize {
        (0..CLIENTS).filter(|client| self.is_live(*client)).count()
    }

    fn has_room_for(&self, client: usize) -> bool {
        self.is_live(client) || self.size() < SLOTS
    }

    fn admits(&self, client: usize, cost: u128) -> bool {
        let (limit, blocked_until) = &self.clients[client];
        *blocked_until <= self.now && limit.admits(cost) && self.has_room_for(client)
    }
}

/// Calls of several clients through two thread-local handles in turn.
fn compare_crowd(limit: LimitOptions, steps: Vec<(u64, usize, Operation)>) -> Result<(), TestCaseError> {
    let limit = LimitOptions { name: "limit".to_owned(), ..limit };
    let mut options = RateLimiterOptions {
        limits: vec![limit],
        max_keys: SLOTS as u64,
        overflow: Overflow::Deny,
        ..RateLimiterOptions::single(1, 1)
    };
    let limiter = Arc::new(RateLimiter::new("test", options.clone().try_into().expect("valid")));
    let mut handles = [(); 2].map(|()| LocalHandle::new(Arc::clone(&limiter)));
    let mut crowd = Crowd { clients: vec![(Naive::new(&options.limits[0]), 0); CLIENTS], now: 0 };
    for (turn, (pause, client, operation)) in steps.into_iter().enumerate() {
        crowd.at(crowd.now + u128::from(pause) * MS);
        let (key, at, handle) = (hash_str(&client.to_string()), crowd.now as u64, &mut handles[turn % 2]);
        let (has_room, is_live) = (crowd.has_room_for(client), crowd.is_live(client));
        let known = &crowd.clients[client].0;
        match operation {
            Operation::Consume(cost) => {
                let wanted = crowd.admits(client, cost.into());
                let allowed = match turn % 3 {
                    0 => handle.consume(key, cost, at).expect("open").allowed,
                    1 => handle.try_consume(key, cost, at).expect("open"),
                    _ => limiter.try_consume(key, cost, at).expect("open"),
                };
                prop_assert_eq!(allowed, wanted);
                if wanted {
                    crowd.clients[client].0.charge(cost.into());
                }
            }
            Operation::Peek => {
                let remaining = if crowd.clients[client].1 > crowd.now { 0 } else { known.remaining() };
                prop_assert_eq!(u128::from(handle.peek(key, at).expect("open").remaining), remaining);
            }
            Operation::Refund(cost) => {
                limiter.refund(key, cost, at).expect("open");
                crowd.clients[client].0.refund(cost.into());
            }
            Operation::Penalize(cost) => {
                limiter.penalize(key, cost, at).expect("open");
                if has_room {
                    crowd.clients[client].0.penalize(cost.into());
                }
            }
            Operation::Block(ms) => {
                prop_assert_eq!(limiter.block(key, ms * 1_000_000, at).expect("open"), has_room);
                if has_room {
                    let blocked_until = &mut crowd.clients[client].1;
                    *blocked_until = (*blocked_until).max(crowd.now + u128::from(ms) * MS);
                }
            }
            Operation::Reset => {
                prop_assert_eq!(limiter.reset(key, at).expect("open"), is_live);
                crowd.clients[client].0.reset();
                crowd.clients[client].1 = 0;
            }
            Operation::SetLimit(units) => options.limits[0].quota.limit = units,
            Operation::SetWindow(ms) => options.limits[0].quota.window_ms = ms,
        }
        if matches!(operation, Operation::SetLimit(_) | Operation::SetWindow(_)) {
            limiter.reconfigure(options.clone(), || at).expect("valid");
            crowd.clients.iter_mut().for_each(|(limit, _)| limit.reconfigure(&options.limits[0]));
        }
        prop_assert_eq!(limiter.stats(at).expect("open").size, crowd.size() as u64);
    }
    prop_assert_eq!(limiter.stats(crowd.now as u64).expect("open").live_evictions, 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn one_limit(
        limit in any_limit(),
        start_ms in prop_oneof![Just(0_u64), 1_700_000_000_000_u64..1_700_000_001_000],
        steps in prop::collection::vec((pause(), operation()), 1..60),
    ) {
        compare(vec![limit], start_ms, steps)?;
    }

    #[test]
    fn more_clients_than_slots(
        limit in limit(AlgorithmKind::Gcra),
        steps in prop::collection::vec((pause(), 0..CLIENTS, operation()), 1..80),
    ) {
        compare_crowd(limit, steps)?;
    }

    #[test]
    fn several_limits(
        limits in prop::collection::vec(any_limit(), 2..=4),
        start_ms in prop_oneof![Just(0_u64), 1_700_000_000_000_u64..1_700_000_001_000],
        steps in prop::collection::vec((pause(), operation()), 1..60),
    ) {
        compare(limits, start_ms, steps)?;
    }
}
