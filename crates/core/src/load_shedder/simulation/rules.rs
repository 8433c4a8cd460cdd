//! The rule that sheds, and others that are in use.

use super::server::{Place, Shedding};
use crate::load_shedder::laps::{EventLoop, Laps};
use crate::load_shedder::priority::Priority;
use crate::load_shedder::rule::Rule;
use crate::runtime::clock::MS;

/// Refuses nothing.
pub(super) struct Nothing;

impl Shedding for Nothing {
    fn admits(&mut self, _: Priority, _: Place, _: f64) -> bool {
        true
    }
}

/// How laps are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measured {
    /// By the turns and the idle time of the loop.
    ByTurns,
    /// By a callback at the end of each lap.
    ByEnds,
}

/// The rule of the shedder, as each thread has it.
pub(super) struct ByLaps<const LATE: bool = true, const BEFOREHAND: bool = true> {
    target: u64,
    measured: Measured,
    threads: Vec<(Rule<LATE, BEFOREHAND>, Laps)>,
}

impl<const LATE: bool, const BEFOREHAND: bool> ByLaps<LATE, BEFOREHAND> {
    pub(super) fn new(threads: usize, target_ms: f64, measured: Measured, seed: u64) -> Self {
        let threads = threads as u64;
        let thread = |number| (Rule::new(seed * threads + number), Laps::default());
        Self { target: nanos(target_ms), measured, threads: (0..threads).map(thread).collect() }
    }
}

impl<const LATE: bool, const BEFOREHAND: bool> Shedding for ByLaps<LATE, BEFOREHAND> {
    fn admits(&mut self, priority: Priority, at: Place, now: f64) -> bool {
        let now = nanos(now);
        let (rule, laps) = &mut self.threads[at.thread];
        if laps.follow(&at, self.target, now).is_some_and(|began| began.is_after_pause) {
            rule.forget();
        }
        !rule.sheds(priority, laps.lap(now), self.target, now)
    }

    fn lap_ended(&mut self, thread: usize, _: f64, now: f64) {
        if self.measured == Measured::ByEnds {
            self.threads[thread].1.end(self.target, nanos(now));
        }
    }
}

impl EventLoop for Place {
    fn turn(&self) -> u64 {
        self.turn
    }

    fn idle(&self) -> u64 {
        nanos(self.idle)
    }
}

fn nanos(ms: f64) -> u64 {
    (ms * MS as f64) as u64
}

/// All or nothing, by the mean lap of the last second.
pub(super) struct Sampled {
    most: f64,
    threads: Vec<Sample>,
}

#[derive(Clone, Debug)]
struct Sample {
    ends: f64,
    laps: f64,
    time: f64,
    mean: f64,
}

impl Sampled {
    pub(super) fn new(threads: usize, most: f64) -> Self {
        Self { most, threads: vec![Sample { ends: 1_000.0, laps: 0.0, time: 0.0, mean: 0.0 }; threads] }
    }
}

impl Shedding for Sampled {
    fn admits(&mut self, _: Priority, at: Place, now: f64) -> bool {
        let sample = &mut self.threads[at.thread];
        if now >= sample.ends {
            let mean = if sample.laps > 0.0 { sample.time / sample.laps } else { 0.0 };
            *sample = Sample { ends: now + 1_000.0, laps: 0.0, time: 0.0, mean };
        }
        sample.mean <= self.most
    }

    fn lap_ended(&mut self, thread: usize, began: f64, now: f64) {
        let sample = &mut self.threads[thread];
        (sample.laps, sample.time) = (sample.laps + 1.0, sample.time + now - began);
    }
}

/// A limit of requests in flight that follows the latency of handlers, as Netflix's Gradient2 does: it falls where the
/// latency of a window exceeds its long-term mean.
pub(super) struct Gradient {
    limit: f64,
    in_flight: f64,
    long: f64,
    window: (f64, f64),
    most_in_flight: f64,
    ends: f64,
}

impl Gradient {
    const LEAST: f64 = 1.0;
    const MOST: f64 = 1_000.0;
    const QUEUE: f64 = 4.0;
    const SMOOTHING: f64 = 0.2;
    const TOLERANCE: f64 = 1.5;
    const WINDOWS: f64 = 600.0;

    pub(super) fn new() -> Self {
        Self {
            limit: 20.0,
            in_flight: 0.0,
            long: 0.0,
            window: (0.0, 0.0),
            most_in_flight: 0.0,
            ends: 1_000.0,
        }
    }

    fn end_window(&mut self) {
        let mean = self.window.0 / self.window.1;
        let weight = if self.long == 0.0 { 1.0 } else { 2.0 / (Self::WINDOWS + 1.0) };
        self.long += weight * (mean - self.long);
        if self.most_in_flight >= self.limit / 2.0 {
            let gradient = (Self::TOLERANCE * self.long / mean).clamp(0.5, 1.0);
            let wanted = self.limit * gradient + Self::QUEUE;
            let next = self.limit * (1.0 - Self::SMOOTHING) + wanted * Self::SMOOTHING;
            self.limit = next.clamp(Self::LEAST, Self::MOST);
        }
        (self.window, self.most_in_flight) = ((0.0, 0.0), self.in_flight);
    }
}

impl Shedding for Gradient {
    fn admits(&mut self, _: Priority, _: Place, _: f64) -> bool {
        let admits = self.in_flight < self.limit.floor();
        self.in_flight += f64::from(u8::from(admits));
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        admits
    }

    fn answered(&mut self, took: f64, now: f64) {
        self.in_flight -= 1.0;
        self.window = (self.window.0 + took, self.window.1 + 1.0);
        if now >= self.ends && self.window.1 >= 10.0 {
            self.end_window();
            self.ends = now + 1_000.0;
        }
    }
}
