//! The algorithms that decide a limit, behind one set of pure functions.
//!
//! Each keeps what it knows of a key in one 64-bit word. All functions of this file hold to:
//!
//! - 0 is the word of a new key, and a word whose [`reset_after`](Algorithm::reset_after) is 0 equals 0.
//! - `now` may be older than the word: a thread may be suspended between reading the clock and deciding. That never
//!   admits more.
//! - Concurrent calls admit nothing that the same calls would not admit one after the other.

use super::fixed_window::FixedWindow;
use super::gcra::Gcra;
use super::sliding_window::SlidingWindow;

/// How late a thread may be between reading its clock and deciding: an hour, in nanoseconds. A window's word that seems
/// to be further ahead than that is an old one.
pub(super) const LATE: u64 = 3_600_000_000_000;

/// Why a call was refused: how long until it conforms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refused {
    /// It conforms after this many nanoseconds, if nothing else arrives.
    For(u64),
    /// It asks for more than is ever available at once, and never conforms.
    Ever,
}

/// When a charge was made, and when its key has its full quota again if nothing else arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChargedAt {
    pub(crate) at: u64,
    pub(crate) settles: u64,
}

/// A rate, with the algorithm that decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Gcra(Gcra),
    FixedWindow(FixedWindow),
    SlidingWindow(SlidingWindow),
}

macro_rules! by_algorithm {
    ($self:expr, $rate:ident => $call:expr) => {
        match $self {
            Algorithm::Gcra($rate) => $call,
            Algorithm::FixedWindow($rate) => $call,
            Algorithm::SlidingWindow($rate) => $call,
        }
    };
}

impl Algorithm {
    /// Most units that can be available at once.
    #[inline]
    pub(crate) fn capacity(&self) -> u64 {
        by_algorithm!(self, rate => rate.capacity())
    }

    /// The state after admitting `cost` units, or why not. A refusal changes nothing.
    #[inline]
    pub(crate) fn decide(&self, state: u64, now: u64, cost: u64) -> Result<u64, Refused> {
        match self {
            Self::Gcra(rate) if cost <= rate.capacity() => {
                rate.decide(state, now, cost).map_err(Refused::For)
            }
            Self::Gcra(_) => Err(Refused::Ever),
            _ => self.decide_by_windows(state, now, cost),
        }
    }

    /// As [`decide`](Self::decide), where the cost is at most the capacity, and without the reason.
    #[inline(always)]
    pub(crate) fn admit(&self, state: u64, now: u64, cost: u64) -> Option<u64> {
        by_algorithm!(self, rate => rate.decide(state, now, cost).ok())
    }

    /// Out of line, so that what the common algorithm needs stays in registers.
    #[inline(never)]
    fn decide_by_windows(&self, state: u64, now: u64, cost: u64) -> Result<u64, Refused> {
        if cost > self.capacity() {
            return Err(Refused::Ever);
        }
        by_algorithm!(self, rate => rate.decide(state, now, cost).map_err(Refused::For))
    }

    /// The state after charging without a decision, down to an empty quota.
    pub(crate) fn penalize(&self, state: u64, now: u64, cost: u64) -> u64 {
        by_algorithm!(self, rate => rate.penalize(state, now, cost.min(rate.capacity())))
    }

    /// The state after returning units; never above the capacity.
    pub(crate) fn refund(&self, state: u64, now: u64, cost: u64) -> u64 {
        by_algorithm!(self, rate => rate.refund(state, now, cost.min(rate.capacity())))
    }

    /// The state after taking back a charge of `cost` that was made at `charge.at`. What time or a new window has
    /// returned since is not returned twice.
    pub(crate) fn undo(&self, state: u64, now: u64, cost: u64, charge: ChargedAt) -> u64 {
        match self {
            Self::Gcra(rate) => rate.undo(state, now, cost, charge.settles),
            Self::FixedWindow(rate) => rate.undo(state, now, cost, charge.settles),
            Self::SlidingWindow(rate) => rate.undo(state, now, cost, charge.at),
        }
    }

    /// The state that other parameters have left, for these: what was used stays used, as far as these parameters could
    /// have left it. So a lower rate locks no key out for as long as the old rate would have.
    pub(crate) fn adopt(&self, state: u64, now: u64) -> u64 {
        match self {
            Self::Gcra(rate) => rate.adopt(state, now),
            Self::FixedWindow(rate) => rate.adopt(state, now),
            // Its windows keep their length, and counts mean the same under any limit.
            Self::SlidingWindow(_) => state,
        }
    }

    /// How far ahead the end of a window may be, in its own units; 0 where words do not depend on earlier parameters.
    pub(super) fn reach(&self) -> u64 {
        match self {
            Self::FixedWindow(rate) => rate.reach(),
            Self::Gcra(_) | Self::SlidingWindow(_) => 0,
        }
    }

    /// The same rate, which reads the words of parameters with that reach, too.
    pub(super) fn reaching(self, reach: u64) -> Self {
        match self {
            Self::FixedWindow(rate) => Self::FixedWindow(rate.reaching(reach)),
            Self::Gcra(_) | Self::SlidingWindow(_) => self,
        }
    }

    /// Units that would be admitted now.
    #[inline(always)]
    pub(crate) fn remaining(&self, state: u64, now: u64) -> u64 {
        by_algorithm!(self, rate => rate.remaining(state, now))
    }

    /// Nanoseconds until the key has its full quota.
    #[inline(always)]
    pub(crate) fn reset_after(&self, state: u64, now: u64) -> u64 {
        by_algorithm!(self, rate => rate.reset_after(state, now))
    }

    /// Nanoseconds until at least one unit more is available; 0 when none is missing.
    #[inline(always)]
    pub(crate) fn until_more(&self, state: u64, now: u64) -> u64 {
        by_algorithm!(self, rate => rate.until_more(state, now))
    }
}
