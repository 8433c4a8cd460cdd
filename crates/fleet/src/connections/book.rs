//! What this process holds and asks for. No I/O.
//!
//! A call says in full what is held of its clients, and replaces what was said before. So one call is out at a time: its
//! answer is known before the next one is written. Whatever was lost on the way, an answer or a connection, the next call
//! for the client puts right.

mod asking;
mod composing;
mod held;
mod settling;

use std::collections::{HashMap, VecDeque};

use sluice_core::ThreadId;

pub(super) use self::asking::{Ask, Asked};
pub(super) use self::composing::Batch;
#[cfg(test)]
pub(super) use self::composing::Entry;
pub(super) use self::settling::{Grant, Grants, Verdict};
use crate::client_name::ClientName;

/// What a connection holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holding {
    /// `None` for a connection that counts for no client.
    pub(super) client: Option<ClientName>,
    /// Whether it counts in total: not where a connection that is open begins to count for a client.
    pub(super) in_total: bool,
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
}

#[cfg(test)]
mod tests;
