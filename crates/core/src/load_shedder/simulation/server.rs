//! A server of several event loops on a few cores.
//!
//! Each loop takes what has become ready as one lap, runs its callbacks in order, and polls again. The loops that run
//! share the cores evenly. With a quota, all are suspended for the rest of a period once its processor time is used up.
//! Times are milliseconds.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use fastrand::Rng;

use crate::load_shedder::priority::{CLASSES, Priority};

/// What parsing a request takes, and what refusing it takes.
const PARSE: f64 = 0.03;
const REFUSE: f64 = 0.04;

/// An answer after this is none.
const DEADLINE: f64 = 1_000.0;

/// The period of a quota.
const PERIOD: f64 = 100.0;

/// A time that never comes.
const NEVER: f64 = f64::INFINITY;

/// The shares of high, normal and low among requests.
const SHARES: [f64; CLASSES] = [0.2, 0.6, 0.2];

/// The work of a server. What is random is distributed exponentially, with these means.
#[derive(Clone, Copy, Debug)]
pub(super) struct Server {
    pub threads: usize,
    pub cores: f64,
    /// Cores that it may use on average over a period.
    pub quota: Option<f64>,
    /// Processor time before a request waits for something.
    pub first: f64,
    /// The time it waits.
    pub wait: f64,
    /// Processor time after that.
    pub second: f64,
    /// The share of requests that take so many times as long.
    pub heavy: Option<(f64, f64)>,
}

impl Server {
    /// Requests per millisecond that it can answer of `offered`, where it refuses the others.
    pub(super) fn possible(&self, offered: f64) -> f64 {
        let work = self.work() + PARSE - (PARSE + REFUSE);
        ((self.processors() - offered * (PARSE + REFUSE)) / work).clamp(0.0, offered)
    }

    /// Requests per millisecond that it can answer if it refuses none.
    pub(super) fn capacity(&self) -> f64 {
        self.processors() / (self.work() + PARSE)
    }

    fn processors(&self) -> f64 {
        let cores = self.cores.min(self.threads as f64);
        self.quota.map_or(cores, |quota| quota.min(cores))
    }

    fn work(&self) -> f64 {
        let heavier = self.heavy.map_or(1.0, |(share, factor)| 1.0 + share * (factor - 1.0));
        (self.first + self.second) * heavier
    }
}

/// Where a loop is when a request is decided on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub thread: usize,
    pub turn: u64,
    /// How long the loop has waited in all.
    pub idle: f64,
}

/// A rule that decides which requests are shed.
pub(super) trait Shedding {
    fn admits(&mut self, priority: Priority, at: Place, now: f64) -> bool;
    /// A lap ended that began at `began`.
    fn lap_ended(&mut self, _thread: usize, _began: f64, _now: f64) {}
    /// An admitted request was answered, so long after its handler began.
    fn answered(&mut self, _took: f64, _now: f64) {}
}

/// What came of a run, after it had settled.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// By priority.
    pub arrived: [f64; CLASSES],
    /// Answered in time, by priority.
    pub good: [f64; CLASSES],
    /// By priority.
    pub refused: [f64; CLASSES],
    latencies: Vec<f64>,
    span: f64,
}

impl Outcome {
    /// Requests per millisecond.
    pub(super) fn offered(&self) -> f64 {
        self.arrived.iter().sum::<f64>() / self.span
    }

    /// What was answered in time, as a share of what is possible.
    pub(super) fn goodput(&self, server: &Server) -> f64 {
        self.good.iter().sum::<f64>() / self.span / server.possible(self.offered())
    }

    /// The share of requests of all priorities that was refused.
    pub(super) fn refused(&self) -> f64 {
        self.refused.iter().sum::<f64>() / self.arrived.iter().sum::<f64>()
    }

    /// The share of the requests of a priority that was answered in time.
    pub(super) fn served(&self, priority: Priority) -> f64 {
        let class = priority as usize;
        self.good[class] / self.arrived[class].max(1.0)
    }

    /// The share of the requests of a priority that was refused.
    pub(super) fn refused_of(&self, priority: Priority) -> f64 {
        let class = priority as usize;
        self.refused[class] / self.arrived[class].max(1.0)
    }

    /// The latency that one in a hundred answers exceeds.
    pub(super) fn p99(&mut self) -> f64 {
        self.latencies.sort_by(f64::total_cmp);
        let at = (0.99 * self.latencies.len() as f64) as usize;
        self.latencies.get(at).copied().unwrap_or(NEVER)
    }
}

/// How long a run lasts, and after how long it counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Duration {
    pub all: f64,
    pub settling: f64,
}

/// Requests per millisecond that are offered at a time.
pub(super) type Rate<'a> = &'a dyn Fn(f64) -> f64;

/// Offers a server requests. What is random follows from the seed.
pub(super) fn run(
    server: &Server,
    rate: Rate<'_>,
    lasts: Duration,
    seed: u64,
    shedding: &mut dyn Shedding,
) -> Outcome {
    let mut simulation = Simulation::new(server, rate, lasts, seed);
    while simulation.now < lasts.all {
        simulation.step(shedding);
    }
    simulation.outcome.span = lasts.all - lasts.settling;
    simulation.outcome
}

#[derive(Clone, Copy, Debug)]
struct Request {
    class: usize,
    thread: usize,
    arrived: f64,
    /// When its handler began.
    begun: f64,
    first: f64,
    second: f64,
}

#[derive(Clone, Copy, Debug)]
enum Job {
    /// A request that is decided on when it begins.
    Begin(Request),
    /// A request that is refused.
    Refuse(Request),
    /// The part of an admitted request before it waits.
    First(Request),
    /// The part after that.
    Second(Request),
}

/// A request that waits for something.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    until: f64,
    number: u64,
    request: Request,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        self.until.total_cmp(&other.until).then(self.number.cmp(&other.number))
    }
}

#[derive(Debug, Default)]
struct Loop {
    ready: Vec<Job>,
    /// What it took with its last poll, and how much of that has begun.
    lap: Vec<Job>,
    begun: usize,
    job: Option<Job>,
    /// Processor time that the job still needs.
    left: f64,
    turn: u64,
    lap_began: f64,
    idle: f64,
    idle_since: f64,
}

struct Simulation<'a> {
    server: &'a Server,
    rate: Rate<'a>,
    settling: f64,
    random: Rng,
    now: f64,
    loops: Vec<Loop>,
    waiting: BinaryHeap<Reverse<Waiting>>,
    numbers: u64,
    next_arrival: f64,
    /// Processor time that is left of the period.
    budget: f64,
    period_ends: f64,
    outcome: Outcome,
}

impl<'a> Simulation<'a> {
    fn new(server: &'a Server, rate: Rate<'a>, lasts: Duration, seed: u64) -> Self {
        let mut simulation = Self {
            server,
            rate,
            settling: lasts.settling,
            random: Rng::with_seed(seed),
            now: 0.0,
            loops: (0..server.threads).map(|_| Loop::default()).collect(),
            waiting: BinaryHeap::new(),
            numbers: 0,
            next_arrival: 0.0,
            budget: server.quota.map_or(NEVER, |quota| quota * PERIOD),
            period_ends: server.quota.map_or(NEVER, |_| PERIOD),
            outcome: Outcome::default(),
        };
        simulation.next_arrival = simulation.about(1.0 / rate(0.0));
        simulation
    }

    /// Goes on to the next event.
    fn step(&mut self, shedding: &mut dyn Shedding) {
        let running = self.loops.iter().filter(|each| each.job.is_some()).count() as f64;
        let speed =
            if running == 0.0 || self.budget <= 0.0 { 0.0 } else { (self.server.cores / running).min(1.0) };
        let first_done = self.first_done(speed);
        let due = self.waiting.peek().map_or(NEVER, |Reverse(first)| first.until);
        let done = first_done.map_or(NEVER, |(_, at)| at);
        let used_up = if speed > 0.0 { self.now + self.budget / (running * speed) } else { NEVER };
        let next = self.next_arrival.min(due).min(done).min(used_up).min(self.period_ends);
        self.pass(next, running, speed);
        match first_done {
            Some((thread, at)) if at <= next => self.finish(thread, shedding),
            _ if self.period_ends <= next => self.begin_period(),
            _ if due <= next => self.resume(shedding),
            _ if self.next_arrival <= next => self.arrive(shedding),
            _ => self.budget = 0.0,
        }
    }

    /// The loop whose job is done first, and when.
    fn first_done(&self, speed: f64) -> Option<(usize, f64)> {
        if speed == 0.0 {
            return None;
        }
        let running = self.loops.iter().enumerate().filter(|(_, each)| each.job.is_some());
        let done = running.map(|(thread, each)| (thread, self.now + each.left / speed));
        done.min_by(|(_, a), (_, b)| a.total_cmp(b))
    }

    fn pass(&mut self, next: f64, running: f64, speed: f64) {
        let worked = (next - self.now) * speed;
        if worked > 0.0 {
            for each in self.loops.iter_mut().filter(|each| each.job.is_some()) {
                each.left -= worked;
            }
            self.budget -= worked * running;
        }
        self.now = next;
    }

    fn begin_period(&mut self) {
        self.budget = self.server.quota.map_or(NEVER, |quota| quota * PERIOD);
        self.period_ends += PERIOD;
    }

    fn arrive(&mut self, shedding: &mut dyn Shedding) {
        let chance = self.random.f64();
        let class = if chance < SHARES[0] { 0 } else { 1 + usize::from(chance >= SHARES[0] + SHARES[1]) };
        let heavy = self.server.heavy.filter(|(share, _)| self.random.f64() < *share);
        let factor = heavy.map_or(1.0, |(_, factor)| factor);
        let request = Request {
            class,
            thread: self.random.usize(..self.server.threads),
            arrived: self.now,
            begun: self.now,
            first: self.about(self.server.first) * factor,
            second: self.about(self.server.second) * factor,
        };
        if self.now >= self.settling {
            self.outcome.arrived[class] += 1.0;
        }
        self.next_arrival = self.now + self.about(1.0 / (self.rate)(self.now));
        self.make_ready(Job::Begin(request), request.thread, shedding);
    }

    fn resume(&mut self, shedding: &mut dyn Shedding) {
        if let Some(Reverse(Waiting { request, .. })) = self.waiting.pop() {
            self.make_ready(Job::Second(request), request.thread, shedding);
        }
    }

    fn make_ready(&mut self, job: Job, thread: usize, shedding: &mut dyn Shedding) {
        let each = &mut self.loops[thread];
        each.ready.push(job);
        if each.job.is_none() {
            each.idle += self.now - each.idle_since;
            self.go_on(thread, shedding);
        }
    }

    /// The loop takes the next callback, or polls.
    fn go_on(&mut self, thread: usize, shedding: &mut dyn Shedding) {
        let now = self.now;
        let each = &mut self.loops[thread];
        if each.begun == each.lap.len() {
            if !each.lap.is_empty() {
                shedding.lap_ended(thread, each.lap_began, now);
            }
            each.lap.clear();
            std::mem::swap(&mut each.lap, &mut each.ready);
            (each.begun, each.turn, each.lap_began) = (0, each.turn + 1, now);
        }
        let Some(job) = each.lap.get(each.begun).copied() else {
            (each.job, each.idle_since) = (None, now);
            return;
        };
        each.begun += 1;
        let at = Place { thread, turn: each.turn, idle: each.idle };
        let job = decided(job, at, now, shedding);
        let each = &mut self.loops[thread];
        each.left = match job {
            Job::Refuse(_) => PARSE + REFUSE,
            Job::First(request) => PARSE + request.first,
            Job::Begin(request) | Job::Second(request) => request.second,
        };
        each.job = Some(job);
    }

    fn finish(&mut self, thread: usize, shedding: &mut dyn Shedding) {
        match self.loops[thread].job.take() {
            Some(Job::Refuse(request)) if request.arrived >= self.settling => {
                self.outcome.refused[request.class] += 1.0;
            }
            Some(Job::First(request)) if self.server.wait > 0.0 => self.wait(request),
            Some(Job::First(request) | Job::Second(request)) => {
                shedding.answered(self.now - request.begun, self.now);
                self.answer(request);
            }
            _ => {}
        }
        self.go_on(thread, shedding);
    }

    fn wait(&mut self, request: Request) {
        let until = self.now + self.about(self.server.wait);
        self.numbers += 1;
        self.waiting.push(Reverse(Waiting { until, number: self.numbers, request }));
    }

    fn answer(&mut self, request: Request) {
        let latency = self.now - request.arrived;
        if request.arrived >= self.settling && latency <= DEADLINE {
            self.outcome.good[request.class] += 1.0;
            self.outcome.latencies.push(latency);
        }
    }

    fn about(&mut self, mean: f64) -> f64 {
        -(1.0 - self.random.f64()).ln() * mean
    }
}

fn decided(job: Job, at: Place, now: f64, shedding: &mut dyn Shedding) -> Job {
    let Job::Begin(request) = job else { return job };
    let priority = [Priority::High, Priority::Normal, Priority::Low][request.class];
    if shedding.admits(priority, at, now) {
        Job::First(Request { begun: now, ..request })
    } else {
        Job::Refuse(request)
    }
}
