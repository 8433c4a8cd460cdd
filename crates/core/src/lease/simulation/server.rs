//! A server as the scripts make it, of one client. Times are nanoseconds of true time.

use crate::lease::grant::{GrantId, GrantShare, TakenBack};
use crate::lease::planted::mistaken;
use crate::lease::returned::Returned;

pub(super) const US: u64 = 1_000;
pub(super) const MS: u64 = 1_000_000;
pub(super) const S: u64 = 1_000_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Gcra,
    Fixed,
    Sliding,
}

/// A limit, whose burst is its limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) algorithm: Algorithm,
    pub(super) limit: u64,
    pub(super) window: u64,
}

impl Limit {
    /// Between two units.
    pub(super) fn interval(&self) -> u64 {
        self.window.div_ceil(self.limit)
    }

    pub(super) fn capacity(&self) -> u64 {
        self.interval() * self.limit
    }
}

/// What the server answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    pub(super) decided: u64,
    /// Units, those beside the call's own among them.
    pub(super) granted: u64,
    /// Until the last of the units lapses.
    pub(super) length: u64,
    /// Until a refused call is admitted.
    pub(super) wait: u64,
    pub(super) follows: u64,
    pub(super) id: GrantId,
}

impl Answer {
    /// What a lease is told of it, where calls have used so many units.
    pub(super) fn share(&self, used: u64) -> GrantShare {
        let Self { length, follows, id, granted, .. } = *self;
        GrantShare { length, kept: granted - used, follows, id }
    }
}

/// A server of several limits: it charges all of them or none.
pub(super) struct Servers(Vec<Server>);

/// What it answers.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    /// Calls that are admitted.
    pub(super) calls: u64,
    /// By each limit.
    pub(super) each: Vec<Answer>,
}

impl Servers {
    pub(super) fn new(limits: &[Limit]) -> Self {
        Self(limits.iter().map(|limit| Server::new(*limit)).collect())
    }

    /// Grants what calls need by all limits, and at most half of what remains beside. Of the limits that have units to
    /// spare, so many fewer are charged.
    pub(super) fn lease(&mut self, now: u64, need: u64, want: u64, spare: &[u64]) -> Answers {
        let rooms: Vec<_> = self.0.iter_mut().map(|server| server.room(now)).collect();
        let calls = rooms.iter().fold(need, |calls, room| calls.min(*room));
        let beside = rooms
            .iter()
            .zip(spare)
            .fold(want, |beside, (room, spare)| beside.min((room - calls) / 2 + spare));
        let charge =
            |(server, spare): (&mut Server, &u64)| server.charge(now, calls + beside.saturating_sub(*spare));
        Answers { calls, each: self.0.iter_mut().zip(spare).map(charge).collect() }
    }

    pub(super) fn take_back(&mut self, now: u64, returned: &Returned<()>) -> Vec<TakenBack> {
        let Returned { units, at, states, .. } = returned;
        let given = units.iter().zip(states);
        let backs = self.0.iter_mut().zip(given).map(|(server, (units, state))| {
            let (follows, is_window) = (server.row().row_end, server.limit.algorithm != Algorithm::Gcra);
            let id = GrantId { at: *at, state: *state, row_end: 0, is_window };
            let (units, id) = server.take_back(now, *units, id);
            TakenBack { units, follows, id }
        });
        let mut backs: Vec<_> = backs.collect();
        // The key has one time for all limits.
        if backs.iter().any(|back| back.units > 0) {
            for (server, back) in self.0.iter_mut().zip(&mut backs).filter(|(_, back)| !back.id.is_window) {
                server.drain(now);
                back.id = server.row();
            }
        }
        backs
    }

    /// The windows of each limit that began.
    pub(super) fn windows(&self) -> impl Iterator<Item = (&Limit, &[(u64, u64)])> {
        self.0.iter().map(|server| (&server.limit, &server.windows[..]))
    }
}

pub(super) struct Server {
    limit: Limit,
    /// GCRA: when written, and the debt then.
    at: u64,
    debt: u64,
    /// Fixed window: units, and the end. Sliding window: its number and units, and those of the one before.
    count: u64,
    end: u64,
    index: u64,
    previous: u64,
    /// Of fixed windows that began: from when to when.
    pub(super) windows: Vec<(u64, u64)>,
}

impl Server {
    pub(super) fn new(limit: Limit) -> Self {
        let windows = Vec::new();
        Self { limit, at: 0, debt: 0, count: 0, end: 0, index: 0, previous: 0, windows }
    }

    /// Grants what calls need, and at most half of what remains beside.
    pub(super) fn lease(&mut self, now: u64, need: u64, want: u64) -> Answer {
        let room = self.room(now);
        let granted = need.min(room);
        let beside = want.min((room - granted) / 2);
        self.charge(now, granted + beside)
    }

    fn room(&mut self, now: u64) -> u64 {
        let Limit { limit, window, .. } = self.limit;
        match self.limit.algorithm {
            Algorithm::Gcra => {
                self.drain(now);
                (self.limit.capacity() - self.debt) / self.limit.interval()
            }
            Algorithm::Fixed => {
                if now >= self.end {
                    self.count = 0;
                }
                limit - self.count
            }
            Algorithm::Sliding => {
                let index = now / window;
                if index != self.index {
                    self.previous = if index == self.index + 1 { self.count } else { 0 };
                    (self.count, self.index) = (0, index);
                }
                let ahead = u128::from(window - now % window);
                let weighted = (u128::from(self.previous) * ahead).div_ceil(u128::from(window)) as u64;
                limit.saturating_sub(self.count + weighted)
            }
        }
    }

    fn drain(&mut self, now: u64) {
        let now = now / US * US;
        self.debt = self.debt.saturating_sub(now.saturating_sub(self.at));
        self.at = now;
    }

    fn charge(&mut self, now: u64, units: u64) -> Answer {
        let Limit { window, .. } = self.limit;
        let interval = self.limit.interval();
        let (follows, id) = (self.at + self.debt, GrantId::default());
        let answer = Answer { decided: now, granted: 0, length: 0, wait: MS, follows, id };
        let answer = match self.limit.algorithm {
            Algorithm::Gcra => {
                self.debt += units * interval;
                let wait = (self.debt + interval).saturating_sub(self.limit.capacity());
                let id = self.row();
                Answer { decided: self.at, length: self.debt, wait, id, ..answer }
            }
            Algorithm::Fixed => {
                if self.count == 0 && units > 0 {
                    self.end = now + window;
                    self.windows.push((now, self.end));
                }
                self.count += units;
                let left = self.end.saturating_sub(now);
                Answer { length: left, wait: left, id: window_id(now, self.end), ..answer }
            }
            Algorithm::Sliding => {
                self.count += units;
                Answer { length: window - now % window, id: window_id(now, self.index), ..answer }
            }
        };
        Answer { granted: units, ..answer }
    }

    /// What the key is left at, by GCRA.
    fn row(&self) -> GrantId {
        GrantId { at: self.at, state: self.debt, row_end: self.at + self.debt, is_window: false }
    }

    /// Takes units back where nothing was granted since, or in the same window; how many, and what the key is left at.
    pub(super) fn take_back(&mut self, now: u64, units: u64, id: GrantId) -> (u64, GrantId) {
        match self.limit.algorithm {
            Algorithm::Gcra => {
                let is_last = (self.at, self.debt) == (id.at, id.state);
                if is_last || mistaken!(ReturnedUnchecked) {
                    self.drain(now);
                    let units = units.min(self.debt / self.limit.interval());
                    self.debt -= units * self.limit.interval();
                    return (units, self.row());
                }
            }
            Algorithm::Fixed if now < self.end && self.end == id.state => {
                self.count = self.count.saturating_sub(units);
            }
            Algorithm::Sliding if now / self.limit.window == id.state && self.index == id.state => {
                self.count = self.count.saturating_sub(units);
            }
            _ => {}
        }
        // Of windows nothing depends on the answer.
        (0, id)
    }
}

fn window_id(at: u64, state: u64) -> GrantId {
    GrantId { at, state, row_end: 0, is_window: true }
}
