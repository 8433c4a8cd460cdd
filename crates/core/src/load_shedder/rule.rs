//! Which requests are shed: the rule of one thread.
//!
//! 1. The thread is behind while each lap takes longer than the target, for an interval or more ([`laps`](super::laps)).
//! 2. A request is shed when the lap is older than the target while behind, or than four targets at any time; twice as
//!    much for a high priority. This bounds what a request waits, at once.
//! 3. A part of the share that was shed in an interval is shed beforehand in the next, from the lowest priority first.
//!    This makes the priorities strict. What is left to (2) shows whether it is still needed.

use fastrand::Rng;

use super::priority::{CLASSES, Priority};
use crate::runtime::clock::MS;

/// An interval of the rule; also how long laps are too long before a thread is behind.
pub(super) const INTERVAL: u64 = 100 * MS;

/// Of the share that was shed in an interval, what is shed beforehand in the next.
const KEPT: f64 = 0.8;

/// A share below this is none.
const LEAST: f64 = 0.01;

/// Targets that any request may wait, also where the thread is not behind.
const BURST: u64 = 4;

/// How much longer a request of a high priority may wait.
const PATIENCE: u64 = 2;

/// Requests of an interval from which on it says as much about the shares of priorities as all before.
const TELLING: f64 = 50.0;

/// The shares of priorities before any request was seen.
const ASSUMED: [f64; CLASSES] = [0.2, 0.6, 0.2];

/// The lap in which a request is decided on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lap {
    /// How much of it has passed.
    pub age: u64,
    /// Whether the thread is behind.
    pub is_behind: bool,
}

/// The state of the rule. `LATE` is its second part, `BEFOREHAND` the third: a test shows that neither can be left out.
#[derive(Clone, Debug)]
pub(super) struct Rule<const LATE: bool, const BEFOREHAND: bool> {
    /// When the current interval ends.
    ends: u64,
    asked: [u32; CLASSES],
    shed: u32,
    /// The share of requests that is shed beforehand.
    beforehand: f64,
    /// The shares of priorities among recent requests.
    shares: [f64; CLASSES],
    random: Rng,
}

impl<const LATE: bool, const BEFOREHAND: bool> Rule<LATE, BEFOREHAND> {
    pub(super) fn new(seed: u64) -> Self {
        let random = Rng::with_seed(seed);
        Self { ends: 0, asked: [0; CLASSES], shed: 0, beforehand: 0.0, shares: ASSUMED, random }
    }

    /// Whether a request is shed. Times are nanoseconds.
    #[inline]
    pub(super) fn sheds(&mut self, priority: Priority, lap: Lap, target: u64, now: u64) -> bool {
        let Some(class) = priority.class() else { return false };
        if now >= self.ends {
            self.end_interval(now);
        }
        self.asked[class] += 1;
        let is_shed =
            (BEFOREHAND && self.sheds_beforehand(class)) || (LATE && is_late(priority, lap, target));
        self.shed += u32::from(is_shed);
        is_shed
    }

    /// The thread had nothing to do for longer than an interval: what was before says nothing about now.
    pub(super) fn forget(&mut self) {
        self.ends = 0;
        self.asked = [0; CLASSES];
        self.shed = 0;
        self.beforehand = 0.0;
    }

    #[inline]
    fn sheds_beforehand(&mut self, class: usize) -> bool {
        if self.beforehand == 0.0 || class == 0 {
            return false;
        }
        let of_lower: f64 = self.shares[class + 1..].iter().sum();
        let rest = self.beforehand - of_lower;
        // The priority at the edge is shed by chance.
        rest > 0.0 && self.random.f64() * self.shares[class] < rest
    }

    fn end_interval(&mut self, now: u64) {
        let asked = f64::from(self.asked.iter().sum::<u32>());
        let share = if asked > 0.0 { KEPT * f64::from(self.shed) / asked } else { 0.0 };
        self.beforehand = if share < LEAST { 0.0 } else { share };
        if asked > 0.0 {
            let weight = 0.5 * (asked / TELLING).min(1.0);
            for (share, asked_of) in self.shares.iter_mut().zip(self.asked) {
                *share += weight * (f64::from(asked_of) / asked - *share);
            }
        }
        self.asked = [0; CLASSES];
        self.shed = 0;
        self.ends = now + INTERVAL;
    }
}

#[inline]
fn is_late(priority: Priority, lap: Lap, target: u64) -> bool {
    let bound = if lap.is_behind { target } else { BURST * target };
    let patience = if priority == Priority::High { PATIENCE } else { 1 };
    lap.age > bound * patience
}
