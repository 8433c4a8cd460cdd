//! Places that are asked for, until they are answered.

use std::collections::VecDeque;
use std::time::Instant;

use sluice_core::ThreadId;

use super::{Book, Holding};
use crate::answer::Ticket;

/// Questions that a process holds.
pub(super) const MOST_WAITING: usize = 10_000;

/// A place that is asked for.
#[derive(Clone, Debug)]
pub(in crate::connections) struct Ask {
    pub(in crate::connections) holding: Holding,
    pub(in crate::connections) thread: ThreadId,
    pub(in crate::connections) ticket: Ticket,
    pub(in crate::connections) deadline: Instant,
    pub(in crate::connections) tries: u8,
}

/// What becomes of a question at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::connections) enum Asked {
    Pending,
    /// Too many are pending.
    Full,
    /// Nothing is counted together any more.
    Closed,
}

impl Book {
    pub(in crate::connections) fn ask(&mut self, ask: Ask) -> Asked {
        if self.is_closed {
            return Asked::Closed;
        }
        if self.pending() >= MOST_WAITING {
            return Asked::Full;
        }
        self.waiting.push_back(ask);
        Asked::Pending
    }

    /// The moment at which the first question is overdue.
    pub(in crate::connections) fn next_deadline(&self) -> Option<Instant> {
        let out = self.out.iter().flat_map(|out| out.asks.iter().map(|(ask, _)| ask));
        self.waiting.iter().chain(out).map(|ask| ask.deadline).min()
    }

    /// Removes the questions that are overdue.
    pub(in crate::connections) fn expire(&mut self, now: Instant) -> Vec<Ask> {
        if self.next_deadline().is_none_or(|deadline| deadline > now) {
            return Vec::new();
        }
        let mut expired = Vec::new();
        if let Some(out) = &mut self.out {
            expired.extend(out.asks.extract_if(.., |(ask, _)| ask.deadline <= now).map(|(ask, _)| ask));
        }
        let waiting = std::mem::take(&mut self.waiting);
        let (late, waiting): (Vec<_>, VecDeque<_>) = split(waiting, |ask| ask.deadline <= now);
        self.waiting = waiting;
        expired.extend(late);
        expired
    }

    /// Removes every question that was not sent.
    pub(in crate::connections) fn take_waiting(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.waiting).into()
    }
}

fn split(asks: VecDeque<Ask>, is_it: impl Fn(&Ask) -> bool) -> (Vec<Ask>, VecDeque<Ask>) {
    let (mut taken, mut left) = (Vec::new(), VecDeque::new());
    for ask in asks {
        if is_it(&ask) {
            taken.push(ask);
        } else {
            left.push_back(ask);
        }
    }
    (taken, left)
}
