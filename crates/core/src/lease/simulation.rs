//! Fleets in simulated time: processes with clocks of their own, messages that are late or lost, processes that stop, end
//! and come back. What they admit is compared with the limit in true time. The leases are those of the product; the server
//! is a model of its scripts, which `differential.rs` of the fleet compares with the core.

mod load;
mod server;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use self::load::{Load, excess, ideal};
use self::server::{Algorithm, Answers, Limit, MS, S, Servers, US};
use super::book::Leases;
use super::cell::Taken;
use super::grant::{Grant, TakenBack};
use super::returned::Returned;
use super::table::HeldEach;
use crate::rate_limiter::MAX_LIMITS;
use crate::runtime::key_hash::{KeyHash, hash_str};

/// How long a call waits for the server.
const TIMEOUT: u64 = 50 * MS;
const CHECKS: u64 = 250 * MS;

/// A fleet and what befalls it.
struct Setup {
    limits: Vec<Limit>,
    load: Load,
    has_faults: bool,
    drift_ppm: f64,
    seed: u64,
}

/// What a process asks for.
#[derive(Clone, Copy)]
struct Ask {
    need: u64,
    want: u64,
    spare: [u64; MAX_LIMITS],
    /// By its own clock.
    sent: u64,
}

enum Event {
    Call(usize),
    Check(usize),
    AtServer { node: usize, life: u32, ask: Ask, deadline: u64 },
    AtNode { node: usize, life: u32, ask: Ask, answer: Answers },
    ReturnAtServer { node: usize, life: u32, returned: Returned<()> },
    ReturnAtNode { node: usize, life: u32, backs: Vec<TakenBack> },
    Fault,
    GoOn(usize),
}

struct Node {
    leases: Leases<()>,
    /// How often it was started.
    life: u32,
    offset: u64,
    drift: f64,
    is_stopped: bool,
    held_up: Vec<Event>,
}

impl Node {
    fn clock(&self, time: u64) -> u64 {
        self.offset + (time as f64 * (1.0 + self.drift)) as u64
    }
}

struct Fleet<'a> {
    setup: &'a Setup,
    random: fastrand::Rng,
    key: KeyHash,
    nodes: Vec<Node>,
    server: Servers,
    times: BinaryHeap<Reverse<(u64, usize)>>,
    events: Vec<Option<Event>>,
    admitted: Vec<u64>,
    asks: u64,
}

fn new_leases(limits: &[Limit]) -> Leases<()> {
    let interval = |limit: &Limit| if limit.algorithm == Algorithm::Gcra { limit.interval() } else { 0 };
    Leases::new(4, &limits.iter().map(interval).collect::<Vec<_>>(), 0).expect("room")
}

impl<'a> Fleet<'a> {
    fn new(setup: &'a Setup) -> Self {
        let mut random = fastrand::Rng::with_seed(setup.seed);
        let nodes = setup.load.rates.iter().map(|_| Node {
            leases: new_leases(&setup.limits),
            life: 0,
            offset: 10_000 * S + random.u64(..7_200 * S),
            drift: (random.f64() * 2.0 - 1.0) * setup.drift_ppm / 1e6,
            is_stopped: false,
            held_up: Vec::new(),
        });
        let nodes = nodes.collect();
        let server = Servers::new(&setup.limits);
        let key = hash_str("client");
        let (times, events, admitted) = (BinaryHeap::new(), Vec::new(), Vec::new());
        Self { setup, random, key, nodes, server, times, events, admitted, asks: 0 }
    }

    fn at(&mut self, time: u64, event: Event) {
        self.times.push(Reverse((time, self.events.len())));
        self.events.push(Some(event));
    }

    /// How long a message takes.
    fn delay(&mut self) -> u64 {
        let usual = 50 * US + self.random.u64(..200 * US);
        match self.random.u32(..500) {
            0 if self.setup.has_faults => usual + self.random.u64(..2 * S),
            1..6 => usual + self.random.u64(..20 * MS),
            _ => usual,
        }
    }

    fn is_lost(&mut self) -> bool {
        self.setup.has_faults && self.random.u32(..300) == 0
    }

    fn run(&mut self, calls: &[(u64, usize)]) {
        let end = self.setup.load.seconds * S;
        for &(time, node) in calls {
            self.at(time, Event::Call(node));
        }
        for node in 0..self.nodes.len() {
            let first = self.random.u64(..CHECKS);
            for n in 0..end / CHECKS {
                self.at(first + n * CHECKS, Event::Check(node));
            }
        }
        let mut time = 0;
        while self.setup.has_faults && time < end {
            time += self.random.u64(..700 * MS);
            self.at(time, Event::Fault);
        }
        while let Some(Reverse((time, place))) = self.times.pop() {
            if let Some(event) = self.events[place].take() {
                self.handle(time, event);
            }
        }
    }

    fn handle(&mut self, time: u64, event: Event) {
        if let Event::Call(node)
        | Event::Check(node)
        | Event::AtNode { node, .. }
        | Event::ReturnAtNode { node, .. } = event
            && self.nodes[node].is_stopped
        {
            self.nodes[node].held_up.push(event);
            return;
        }
        match event {
            Event::Call(node) => self.call(time, node),
            Event::Check(node) => self.check(time, node),
            Event::AtServer { node, life, ask, deadline } if time <= deadline => {
                let spare = &ask.spare[..self.setup.limits.len()];
                let answer = self.server.lease(time, ask.need, ask.want, spare);
                let at = time + self.delay();
                if !self.is_lost() {
                    self.at(at, Event::AtNode { node, life, ask, answer });
                }
            }
            Event::AtServer { .. } => {}
            Event::AtNode { node, life, .. } | Event::ReturnAtNode { node, life, .. }
                if life != self.nodes[node].life => {}
            Event::AtNode { node, ask, answer, .. } => self.settle(time, node, &ask, &answer),
            Event::ReturnAtServer { node, life, returned } => {
                let backs = self.server.take_back(time, &returned);
                let at = time + self.delay();
                if !self.is_lost() {
                    self.at(at, Event::ReturnAtNode { node, life, backs });
                }
            }
            Event::ReturnAtNode { node, backs, .. } => self.nodes[node].leases.returned(&(), &backs),
            Event::Fault => self.fault(time),
            Event::GoOn(node) => {
                self.nodes[node].is_stopped = false;
                for event in std::mem::take(&mut self.nodes[node].held_up) {
                    self.at(time, event);
                }
            }
        }
    }

    fn call(&mut self, time: u64, node: usize) {
        let now = self.nodes[node].clock(time);
        match self.nodes[node].leases.take(self.key, 1, now, &mut HeldEach::default()) {
            Taken::Admitted { is_low, .. } => {
                self.admitted.push(time);
                if is_low {
                    self.ask(time, node, 0);
                }
            }
            Taken::Missing => self.ask(time, node, 1),
            Taken::Refused { .. } => {}
        }
    }

    fn ask(&mut self, time: u64, node: usize, need: u64) {
        let Node { leases, life, .. } = &self.nodes[node];
        let (now, life) = (self.nodes[node].clock(time), *life);
        let batch = leases.ask(&(), self.key, now, now + TIMEOUT);
        if need == 0 && batch < 2 {
            return leases.unanswered(&());
        }
        self.asks += 1;
        let spare = leases.spare(self.key, now);
        let ask = Ask { need, want: batch.saturating_sub(need), spare, sent: now };
        let (at, deadline) = (time + self.delay(), time + TIMEOUT);
        if !self.is_lost() {
            self.at(at, Event::AtServer { node, life, ask, deadline });
        }
    }

    fn settle(&mut self, time: u64, node: usize, ask: &Ask, answer: &Answers) {
        let (Ask { need, sent, .. }, now) = (*ask, self.nodes[node].clock(time));
        // A caller that has waited too long was refused; its unit is held.
        let is_waiting = need > 0 && now <= sent + TIMEOUT;
        let used = u64::from(is_waiting && answer.calls > 0);
        if used > 0 {
            self.admitted.extend(answer.each.iter().map(|answer| answer.decided).max());
        }
        let leases = &self.nodes[node].leases;
        if answer.each.iter().any(|answer| answer.granted > 0) {
            let shares: Vec<_> = answer.each.iter().map(|answer| answer.share(used)).collect();
            leases.granted(&(), self.key, &Grant { sent, used, shares: &shares }, now);
        } else {
            let wait = answer.each.iter().map(|answer| answer.wait).max().unwrap_or_default();
            leases.refused(&(), self.key, (sent, wait), now);
        }
    }

    fn check(&mut self, time: u64, node: usize) {
        let mut all = Vec::new();
        let Node { leases, life, .. } = &self.nodes[node];
        let life = *life;
        leases.check(self.nodes[node].clock(time), |returned| all.push(returned));
        for returned in all {
            let at = time + self.delay();
            if !self.is_lost() {
                self.at(at, Event::ReturnAtServer { node, life, returned });
            }
        }
    }

    /// A process ends and is started again, or stops for a while.
    fn fault(&mut self, time: u64) {
        let node = self.random.usize(..self.nodes.len());
        if self.nodes[node].is_stopped {
            return;
        }
        if self.random.u32(..4) == 0 {
            self.nodes[node].leases = new_leases(&self.setup.limits);
            self.nodes[node].life += 1;
            return;
        }
        self.nodes[node].is_stopped = true;
        let most = if self.random.u32(..4) == 0 { 5 * S } else { 300 * MS };
        let until = time + self.random.u64(..most);
        self.at(until, Event::GoOn(node));
    }
}

/// What a fleet came to: units too many, units admitted, those that one process would admit, calls, and asks.
fn run(setup: &Setup) -> (f64, u64, u64, u64, u64) {
    let mut random = fastrand::Rng::with_seed(setup.seed ^ 0x5eed);
    let calls = setup.load.calls(&setup.limits[0], &mut random);
    let mut fleet = Fleet::new(setup);
    fleet.run(&calls);
    let (mut admitted, asks) = (std::mem::take(&mut fleet.admitted), fleet.asks);
    let by_limit = fleet.server.windows().map(|(limit, windows)| excess(limit, &mut admitted, windows));
    let over = by_limit.fold(0.0, f64::max);
    (over, admitted.len() as u64, ideal(&setup.limits, &calls), calls.len() as u64, asks)
}

fn any_setup(seed: u64, has_faults: bool) -> Setup {
    use Algorithm::{Fixed, Gcra, Sliding};
    let mut random = fastrand::Rng::with_seed(seed);
    let mut pick = |values: &[u64]| values[random.usize(..values.len())];
    let (limit, window) = (pick(&[1, 2, 5, 10, 50, 100, 1_000]), pick(&[1, 2, 10, 60]) * S);
    let (seconds, nodes, load) = (pick(&[5, 10, 20]), pick(&[1, 2, 3, 5, 8]), pick(&[3, 9, 15, 100]));
    let algorithm = [Gcra, Gcra, Fixed, Sliding][random.usize(..4)];
    let per_second = limit as f64 / (window as f64 / 1e9);
    let share = per_second * load as f64 / 10.0 / nodes as f64;
    let rates = (0..nodes).map(|_| (share * (random.f64() * 2.0).powi(3)).clamp(0.05, 1_000.0)).collect();
    let (is_bursty, has_crowds) = (random.bool(), random.u32(..3) > 0);
    let load = Load { rates, seconds, is_bursty, has_crowds };
    Setup { limits: vec![Limit { algorithm, limit, window }], load, has_faults, drift_ppm: 200.0, seed }
}

#[cfg(test)]
mod tests;
