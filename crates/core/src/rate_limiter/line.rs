//! The line of a key: the calls that wait for it, each with the moment at which its charge conforms.
//!
//! A moment is the first time, from that of the call before on, at which the limits admit the call by their own `decide`.
//! So the calls of a line, each at its moment, are what the limiter would admit one after the other. Nothing here reads a
//! clock or is shared between threads.

use std::collections::VecDeque;

use super::algorithm::Refused;
use super::config::Rule;
use crate::key_table::MAX_WORDS;

/// The words of a key, of any number of limits.
pub(super) type LineWords = [u64; MAX_WORDS];

/// No call waits longer than this: a year, in nanoseconds. Words hold no time that is much further ahead.
pub(super) const FARTHEST: u64 = 365 * 86_400_000_000_000;

/// A call that waits; `waiter` is what is told of its outcome.
#[derive(Debug)]
pub(super) struct Ticket<T> {
    /// Larger than that of every call before it.
    pub(super) id: u64,
    pub(super) cost: u64,
    /// The latest moment that the caller accepts.
    pub(super) latest: u64,
    pub(super) moment: u64,
    pub(super) waiter: T,
    /// The words of the key once it is charged.
    pub(super) after: LineWords,
    has_left: bool,
}

/// What becomes of a call that waits.
pub(super) enum Event<'a, T> {
    /// Its moment has come: it is charged.
    Served(Ticket<T>),
    /// Its moment has moved beyond the latest that it accepts.
    Late(Ticket<T>),
    /// It has another moment.
    Moved(&'a Ticket<T>),
    /// A test set the clock back: its moment is as far away as before.
    SetBack(&'a Ticket<T>),
}

/// Where a call would stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) moment: u64,
    pub(super) after: LineWords,
}

/// A call that asks for a place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) cost: u64,
    pub(super) now: u64,
    /// The latest moment that it accepts.
    pub(super) latest: u64,
}

/// Why a call gets no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// Its moment is later than it accepts: so many nanoseconds ahead.
    TooLate(u64),
    /// It asks for more than is ever available at once.
    Never,
}

#[derive(Debug)]
pub(super) struct Line<T> {
    /// The words before the first call that waits.
    front: LineWords,
    /// The moment of the last call that was served. None is served before an earlier one.
    floor: u64,
    /// The end of the user's block, which the hold of the key covers.
    blocked_until: u64,
    tickets: VecDeque<Ticket<T>>,
    /// From here on moments are later than they need be, as a call before has left.
    stale_from: Option<usize>,
}

impl<T> Line<T> {
    pub(super) fn new(front: LineWords, blocked_until: u64) -> Self {
        Self { front, floor: 0, blocked_until, tickets: VecDeque::new(), stale_from: None }
    }

    /// No call waits.
    pub(super) fn is_empty(&self) -> bool {
        self.tickets.is_empty()
    }

    /// A call has left since the line was laid.
    pub(super) fn is_stale(&self) -> bool {
        self.stale_from.is_some()
    }

    /// A call is due.
    pub(super) fn is_due(&self, now: u64) -> bool {
        self.tickets.front().is_some_and(|first| first.moment <= now)
    }

    /// The words after the last call.
    pub(super) fn tail(&self) -> LineWords {
        self.tickets.back().map_or(self.front, |last| last.after)
    }

    /// Until when the key is held: what is available before is given away.
    pub(super) fn held_until(&self) -> u64 {
        self.tickets.back().map_or(0, |last| last.moment).max(self.blocked_until)
    }

    /// The end of the user's block.
    pub(super) fn blocked_until(&self) -> u64 {
        self.blocked_until
    }

    pub(super) fn tickets(&self) -> impl Iterator<Item = &Ticket<T>> {
        self.tickets.iter().filter(|ticket| !ticket.has_left)
    }

    /// Takes the calls out whose moment has come. The line is not stale.
    pub(super) fn serve(&mut self, now: u64, events: &mut impl FnMut(Event<'_, T>)) {
        while self.is_due(now) {
            let Some(first) = self.tickets.pop_front() else { break };
            (self.front, self.floor) = (first.after, first.moment);
            if !first.has_left {
                events(Event::Served(first));
            }
        }
        if self.tickets.is_empty() {
            self.stale_from = None;
        }
    }

    /// Where a call would stand: behind all others. The line is not stale, and what is due was served.
    pub(super) fn place(&self, rules: &[Rule], request: &Request) -> Result<Place, NoPlace> {
        let Request { cost, now, latest } = *request;
        let from = self.tickets.back().map_or(self.floor, |last| last.moment).max(now);
        let place = lay(rules, &self.tail(), cost, from.max(self.blocked_until)).ok_or(NoPlace::Never)?;
        if place.moment > latest.min(now + FARTHEST) {
            return Err(NoPlace::TooLate(place.moment - now));
        }
        Ok(place)
    }

    /// A call joins at the place that it was given.
    pub(super) fn join(&mut self, id: u64, request: &Request, place: &Place, waiter: T) {
        let (Request { cost, latest, .. }, Place { moment, after }) = (*request, *place);
        self.tickets.push_back(Ticket { id, cost, latest, moment, waiter, after, has_left: false });
    }

    /// The call leaves; those behind move ahead with the next `settle`. False where it is charged already.
    pub(super) fn leave(&mut self, id: u64, now: u64) -> bool {
        let Ok(index) = self.tickets.binary_search_by_key(&id, |ticket| ticket.id) else { return false };
        let ticket = &mut self.tickets[index];
        if ticket.has_left || ticket.moment <= now {
            return false;
        }
        ticket.has_left = true;
        self.stale_from = Some(self.stale_from.map_or(index, |from| from.min(index)));
        true
    }

    /// Lays the line anew behind the calls that have left. Once for many that leave together, and before any other change.
    pub(super) fn settle(&mut self, rules: &[Rule], now: u64, events: &mut impl FnMut(Event<'_, T>)) {
        if let Some(from) = self.stale_from.take() {
            self.lay_from(rules, from, now, events);
        }
    }

    /// Changes what is before the line: what the key has used, and the end of its block. Then lays the line anew.
    pub(super) fn change(
        &mut self,
        rules: &[Rule],
        now: u64,
        change: impl FnOnce(&mut LineWords, &mut u64),
        events: &mut impl FnMut(Event<'_, T>),
    ) {
        change(&mut self.front, &mut self.blocked_until);
        self.lay_from(rules, 0, now, events);
    }

    /// A test set the clock back: each call waits as long as before.
    pub(super) fn set_back(
        &mut self,
        rules: &[Rule],
        moved: impl Fn(u64) -> u64,
        events: &mut impl FnMut(Event<'_, T>),
    ) {
        let adopt = |words: &mut LineWords, at| {
            rules.iter().zip(words).for_each(|(rule, word)| *word = rule.algorithm.adopt(*word, at));
        };
        self.floor = moved(self.floor);
        adopt(&mut self.front, self.floor);
        for ticket in &mut self.tickets {
            (ticket.moment, ticket.latest) = (moved(ticket.moment), moved(ticket.latest));
            adopt(&mut ticket.after, ticket.moment);
            if !ticket.has_left {
                events(Event::SetBack(ticket));
            }
        }
    }

    /// Removes every call.
    pub(super) fn into_tickets(self) -> impl Iterator<Item = Ticket<T>> {
        self.tickets.into_iter().filter(|ticket| !ticket.has_left)
    }

    fn lay_from(&mut self, rules: &[Rule], from: usize, now: u64, events: &mut impl FnMut(Event<'_, T>)) {
        let (mut words, mut at) = match from.checked_sub(1).map(|before| &self.tickets[before]) {
            Some(before) => (before.after, before.moment),
            None => (self.front, self.floor),
        };
        at = at.max(now).max(self.blocked_until);
        for mut ticket in self.tickets.split_off(from) {
            if ticket.has_left {
                continue;
            }
            match lay(rules, &words, ticket.cost, at) {
                Some(Place { moment, after }) if moment <= ticket.latest.min(now + FARTHEST) => {
                    ticket.after = after;
                    if std::mem::replace(&mut ticket.moment, moment) != moment {
                        events(Event::Moved(&ticket));
                    }
                    (words, at) = (after, moment);
                    self.tickets.push_back(ticket);
                }
                place => {
                    ticket.moment = place.map_or(u64::MAX, |place| place.moment);
                    events(Event::Late(ticket));
                }
            }
        }
        self.stale_from = None;
    }
}

/// The first moment from `at` on at which the charge conforms, and the words after it. `None`: it never does.
fn lay(rules: &[Rule], words: &LineWords, cost: u64, mut at: u64) -> Option<Place> {
    loop {
        match judge(rules, words, cost, at) {
            Ok(after) => return Some(Place { moment: at, after }),
            Err(Refused::For(wait)) => at = at.checked_add(wait.max(1))?,
            Err(Refused::Ever) => return None,
        }
    }
}

fn judge(rules: &[Rule], words: &LineWords, cost: u64, now: u64) -> Result<LineWords, Refused> {
    let mut next = *words;
    let mut refused: Option<Refused> = None;
    for (rule, word) in rules.iter().zip(&mut next) {
        match rule.algorithm.decide(*word, now, cost) {
            Ok(after) => *word = after,
            Err(wait) => refused = refused.max(Some(wait)),
        }
    }
    refused.map_or(Ok(next), Err)
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;
