//! The laps of a thread's event loop.

use super::rule::{INTERVAL, Lap};

/// The event loop of a thread, as its runtime tells of it.
pub trait EventLoop {
    /// A number that differs between one turn of the loop and the next, and grows.
    fn turn(&self) -> u64;
    /// How long the loop has waited for events in all, in nanoseconds; 0 where the runtime does not say.
    fn idle(&self) -> u64;
}

/// What is known of a thread's laps. A lap begins with the first request that is asked for in it, and its length is known
/// when the next begins, unless [`end`](Self::end) says it before. So an idle thread measures nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Laps {
    state: State,
    turn: u64,
    began: u64,
    /// The loop's idle time when the lap began.
    idle: u64,
    /// The length of the last whole lap; 0 after a pause.
    last: u64,
    behind_since: Option<u64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nothing was asked yet.
    #[default]
    Unknown,
    Running,
    /// The lap ended at this time, and no other has begun that was asked in.
    Ended(u64),
}

/// A lap began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Began {
    /// The length of the lap before, unless that was known already. Where requests came in some laps only, the mean length
    /// of all laps since.
    pub ended: Option<u64>,
    /// Whether the loop waited for longer than an interval before.
    pub is_after_pause: bool,
}

impl Laps {
    /// Follows the loop to the lap that runs at `now`. `None` where that has begun before.
    #[inline]
    pub(super) fn follow(&mut self, at: &impl EventLoop, target: u64, now: u64) -> Option<Began> {
        let turn = at.turn();
        if turn == self.turn && self.state == State::Running {
            return None;
        }
        Some(self.begin(turn, at.idle(), target, now))
    }

    /// The running lap ends; its length. `None` where none runs.
    pub(super) fn end(&mut self, target: u64, now: u64) -> Option<u64> {
        if self.state != State::Running {
            return None;
        }
        self.state = State::Ended(now);
        let length = now.saturating_sub(self.began);
        self.settle(length, target, now);
        Some(length)
    }

    /// The lap in which a request is decided on.
    #[inline]
    pub(super) fn lap(&self, now: u64) -> Lap {
        let age = if self.state == State::Running { now.saturating_sub(self.began) } else { 0 };
        Lap { age, is_behind: self.is_behind(now) }
    }

    /// Whether each lap took longer than the target, for an interval or more.
    #[inline]
    pub(super) fn is_behind(&self, now: u64) -> bool {
        !self.is_paused(now) && self.behind_since.is_some_and(|since| now.saturating_sub(since) >= INTERVAL)
    }

    /// How long a request that comes at `now` waits for the loop, as far as is known.
    pub(super) fn delay(&self, now: u64) -> u64 {
        if self.is_paused(now) { 0 } else { self.last.max(self.lap(now).age) }
    }

    /// Whether the last lap ended longer ago than an interval, with none after it.
    #[inline]
    fn is_paused(&self, now: u64) -> bool {
        matches!(self.state, State::Ended(at) if now.saturating_sub(at) > INTERVAL)
    }

    fn begin(&mut self, turn: u64, idle: u64, target: u64, now: u64) -> Began {
        let (ended, waited) = match self.state {
            State::Unknown => (None, 0),
            State::Ended(at) => (None, now.saturating_sub(at)),
            State::Running => {
                let waited = idle.saturating_sub(self.idle);
                let turns = turn.wrapping_sub(self.turn).max(1);
                let length = now.saturating_sub(self.began).saturating_sub(waited) / turns;
                self.settle(length, target, now);
                (Some(length), waited)
            }
        };
        let is_after_pause = waited > INTERVAL;
        if is_after_pause {
            (self.last, self.behind_since) = (0, None);
        }
        (self.state, self.turn, self.began, self.idle) = (State::Running, turn, now, idle);
        Began { ended, is_after_pause }
    }

    fn settle(&mut self, length: u64, target: u64, now: u64) {
        self.last = length;
        if length <= target {
            self.behind_since = None;
        } else {
            self.behind_since.get_or_insert(now);
        }
    }
}
