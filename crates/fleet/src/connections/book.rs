//! What this process holds and asks for. No I/O.
//!
//! A call says in full what is held of its clients, and replaces what was said before. So one call is out at a time: its
//! answer is known before the next one is written. Whatever was lost on the way, an answer or a connection, the next call
//! for the client puts right.

mod settling;

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use sluice_core::ThreadId;

pub(super) use self::settling::{Grant, Grants, Verdict};
use crate::answer::Ticket;
use crate::client_name::ClientName;

/// Clients of one call.
const MOST_CLIENTS: usize = 256;
/// Clients of one call that questions may take while others are to be told of.
const MOST_CLIENTS_ASKED: usize = MOST_CLIENTS / 2;
/// Questions of one call.
const MOST_ASKS: usize = 1_024;
/// Questions that a process holds.
const MOST_WAITING: usize = 10_000;
/// Beats after which the server has forgotten what it was not told of again.
const FORGOTTEN_AFTER: u8 = 4;

/// A place that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    pub(super) holding: Holding,
    pub(super) thread: ThreadId,
    pub(super) ticket: Ticket,
    pub(super) deadline: Instant,
    pub(super) tries: u8,
}

/// What a connection holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holding {
    /// `None` for a connection that counts for no client.
    pub(super) client: Option<ClientName>,
    /// Whether it counts in total: not where a connection that is open begins to count for a client.
    pub(super) in_total: bool,
}

/// What becomes of a question at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Pending,
    /// Too many are pending.
    Full,
    /// Nothing is counted together any more.
    Closed,
}

/// One client of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) client: ClientName,
    pub(super) held: u64,
    pub(super) opens: u64,
    pub(super) joins: u64,
}

/// What a call says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) entries: Vec<Entry>,
    pub(super) held: u64,
    /// Places that count for no client.
    pub(super) plain: u64,
    /// After which nothing waits for the answer any more; `None` where nothing does.
    pub(super) deadline: Option<Instant>,
}

#[derive(Debug, Default)]
struct Client {
    held: u64,
    /// The server is to be told.
    is_dirty: bool,
    /// Its name is in the queue, once.
    is_queued: bool,
    /// Beats since nothing is held.
    idle_beats: u8,
}

/// A call that was sent.
#[derive(Debug)]
struct Out {
    clients: Vec<ClientName>,
    /// With the place of its client among the entries.
    asks: Vec<(Ask, Option<usize>)>,
}

/// What is held, asked for and out.
#[derive(Debug, Default)]
pub(super) struct Book {
    clients: HashMap<ClientName, Client>,
    /// Clients that the server is to be told of, and some that it was told of since.
    queue: VecDeque<ClientName>,
    total: u64,
    total_is_dirty: bool,
    waiting: VecDeque<Ask>,
    out: Option<Out>,
    /// Places that were granted, until the thread that asked takes them.
    unclaimed: HashMap<u64, (Holding, ThreadId)>,
    last_place: u64,
    /// Threads that have ended since the last beat: a question may be under decision, and then is in no list.
    ended: Vec<ThreadId>,
    is_closed: bool,
}

impl Book {
    pub(super) fn ask(&mut self, ask: Ask) -> Asked {
        if self.is_closed {
            return Asked::Closed;
        }
        if self.pending() >= MOST_WAITING {
            return Asked::Full;
        }
        self.waiting.push_back(ask);
        Asked::Pending
    }

    /// Nothing is asked any more; what was asked and not answered.
    pub(super) fn close(&mut self) -> Vec<Ask> {
        self.is_closed = true;
        let mut asks = self.lost();
        asks.extend(self.take_waiting());
        asks
    }

    /// Connections of this process in total.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn pending(&self) -> usize {
        self.waiting.len() + self.out.as_ref().map_or(0, |out| out.asks.len())
    }

    pub(super) fn is_out(&self) -> bool {
        self.out.is_some()
    }

    /// The moment at which the first question is overdue.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let out = self.out.iter().flat_map(|out| out.asks.iter().map(|(ask, _)| ask));
        self.waiting.iter().chain(out).map(|ask| ask.deadline).min()
    }

    /// The next call, where none is out and there is anything to say. Without `tells`, only where something is asked.
    pub(super) fn compose(&mut self, tells: bool) -> Option<Batch> {
        if self.out.is_some() || (self.waiting.is_empty() && !tells) {
            return None;
        }
        let mut batch = Batch { entries: Vec::new(), held: self.total, plain: 0, deadline: None };
        let mut out = Out { clients: Vec::new(), asks: Vec::new() };
        let mut places = HashMap::new();
        let most_asked = if tells && !self.queue.is_empty() { MOST_CLIENTS_ASKED } else { MOST_CLIENTS };
        while let Some(ask) = self.waiting.pop_front() {
            let place = ask.holding.client.as_ref().map(|client| {
                *places.entry(client.clone()).or_insert_with(|| self.add_entry(&mut batch, client))
            });
            match place {
                Some(place) if ask.holding.in_total => batch.entries[place].opens += 1,
                Some(place) => batch.entries[place].joins += 1,
                None => batch.plain += 1,
            }
            batch.deadline = batch.deadline.max(Some(ask.deadline));
            out.asks.push((ask, place));
            if batch.entries.len() >= most_asked || out.asks.len() >= MOST_ASKS {
                break;
            }
        }
        while tells && batch.entries.len() < MOST_CLIENTS {
            let Some(client) = self.queue.pop_front() else { break };
            let Some(known) = self.clients.get_mut(&client) else { continue };
            known.is_queued = false;
            if known.is_dirty {
                self.add_entry(&mut batch, &client);
            } else {
                self.forget_if_clean(&client);
            }
        }
        if out.asks.is_empty() && batch.entries.is_empty() && !self.total_is_dirty {
            return None;
        }
        self.total_is_dirty = false;
        out.clients = batch.entries.iter().map(|entry| entry.client.clone()).collect();
        self.out = Some(out);
        Some(batch)
    }

    fn add_entry(&mut self, batch: &mut Batch, client: &ClientName) -> usize {
        let known = self.clients.entry(client.clone()).or_default();
        known.is_dirty = false;
        batch.entries.push(Entry { client: client.clone(), held: known.held, opens: 0, joins: 0 });
        batch.entries.len() - 1
    }

    /// Removes the questions that are overdue.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Ask> {
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
    pub(super) fn take_waiting(&mut self) -> Vec<Ask> {
        std::mem::take(&mut self.waiting).into()
    }

    /// Removes the questions of a thread that has ended, and gives back what was granted to it and not taken.
    pub(super) fn thread_ended(&mut self, thread: ThreadId) {
        self.ended.push(thread);
        self.waiting.retain(|ask| ask.thread != thread);
        if let Some(out) = &mut self.out {
            out.asks.retain(|(ask, _)| ask.thread != thread);
        }
        self.give_back_unclaimed(|of| of == thread);
    }

    /// Drops every question, and gives back what was granted and not taken.
    pub(super) fn forget_asks(&mut self) {
        self.waiting.clear();
        if let Some(out) = &mut self.out {
            out.asks.clear();
        }
        self.give_back_unclaimed(|_| true);
    }

    fn give_back_unclaimed(&mut self, is_it: impl Fn(ThreadId) -> bool) {
        let given_back: Vec<_> = self
            .unclaimed
            .extract_if(|_, (_, thread)| is_it(*thread))
            .map(|(_, (holding, _))| holding)
            .collect();
        for holding in given_back {
            self.lower(&holding);
        }
    }

    /// Takes a place that was granted.
    pub(super) fn claim(&mut self, place: u64) -> Option<Holding> {
        self.unclaimed.remove(&place).map(|(holding, _)| holding)
    }

    /// A place without the server, which is told of it. `None` for a thread that has ended, and where nothing is counted
    /// together any more: it would never be given back.
    pub(super) fn hold_without_server(&mut self, holding: Holding, thread: ThreadId) -> Option<u64> {
        if self.is_closed || self.ended.contains(&thread) {
            return None;
        }
        let client = holding.client.clone();
        let place = self.hold(holding, thread);
        if let Some(client) = &client {
            self.mark(client);
        }
        self.total_is_dirty = true;
        Some(place)
    }

    fn hold(&mut self, holding: Holding, thread: ThreadId) -> u64 {
        if let Some(client) = &holding.client {
            let known = self.clients.entry(client.clone()).or_default();
            known.held += 1;
            known.idle_beats = 0;
        }
        self.total += u64::from(holding.in_total);
        self.last_place += 1;
        self.unclaimed.insert(self.last_place, (holding, thread));
        self.last_place
    }

    /// A connection was closed.
    pub(super) fn lower(&mut self, holding: &Holding) {
        if let Some(client) = &holding.client {
            if let Some(known) = self.clients.get_mut(client) {
                known.held = known.held.saturating_sub(1);
            }
            self.mark(client);
        }
        self.total = self.total.saturating_sub(u64::from(holding.in_total));
        self.total_is_dirty = true;
    }

    /// Nothing is held or asked any more; what was asked and not answered. What the call that is out is granted goes back
    /// with the next one.
    pub(super) fn finish(&mut self) -> Vec<Ask> {
        self.is_closed = true;
        let mut asks = self.take_waiting();
        if let Some(out) = &mut self.out {
            asks.extend(out.asks.drain(..).map(|(ask, _)| ask));
        }
        self.unclaimed.clear();
        for client in self.clients.values_mut() {
            client.held = 0;
        }
        self.total = 0;
        self.total_is_dirty = true;
        self.tell_all();
        asks
    }

    /// The server is to be told of everything that is held: it may have lost it, or it counts for a while only.
    pub(super) fn tell_all(&mut self) {
        let held: Vec<_> = self.clients.keys().cloned().collect();
        for client in held {
            self.mark(&client);
        }
        self.total_is_dirty |= self.total > 0;
    }

    /// What is held is to be told again. What was given up long ago the server has forgotten by itself. Called while no
    /// question is under decision.
    pub(super) fn beat(&mut self) {
        self.ended.clear();
        self.clients.retain(|_, client| {
            client.idle_beats = if client.held == 0 { client.idle_beats + 1 } else { 0 };
            client.idle_beats < FORGOTTEN_AFTER
        });
        self.queue.retain(|client| self.clients.contains_key(client));
        if self.total > 0 {
            self.tell_all();
        }
    }

    /// The server is asked whether it answers.
    pub(super) fn probe(&mut self) {
        self.total_is_dirty = true;
    }

    fn mark(&mut self, client: &ClientName) {
        let known = self.clients.entry(client.clone()).or_default();
        known.is_dirty = true;
        if !known.is_queued {
            known.is_queued = true;
            self.queue.push_back(client.clone());
        }
        self.total_is_dirty = true;
    }

    fn forget_if_clean(&mut self, client: &ClientName) {
        let is_clean = |known: &Client| known.held == 0 && !known.is_dirty && !known.is_queued;
        if self.clients.get(client).is_some_and(is_clean) {
            self.clients.remove(client);
        }
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

#[cfg(test)]
mod tests;
