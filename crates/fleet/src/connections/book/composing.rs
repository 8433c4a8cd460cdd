//! What the next call says.

use std::collections::HashMap;
use std::time::Instant;

use super::{Ask, Book, Out};
use crate::client_name::ClientName;

/// Clients of one call.
const MOST_CLIENTS: usize = 256;
/// Clients of one call that questions may take while others are to be told of.
pub(super) const MOST_CLIENTS_ASKED: usize = MOST_CLIENTS / 2;
/// Questions of one call.
pub(super) const MOST_ASKS: usize = 1_024;

/// One client of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::connections) struct Entry {
    pub(in crate::connections) client: ClientName,
    pub(in crate::connections) held: u64,
    pub(in crate::connections) opens: u64,
    pub(in crate::connections) joins: u64,
}

/// What a call says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::connections) struct Batch {
    pub(in crate::connections) entries: Vec<Entry>,
    pub(in crate::connections) held: u64,
    /// Places that count for no client.
    pub(in crate::connections) plain: u64,
    /// After which nothing waits for the answer any more; `None` where nothing does.
    pub(in crate::connections) deadline: Option<Instant>,
}

impl Book {
    /// The next call, where none is out and there is anything to say. Without `tells`, only where something is asked.
    pub(in crate::connections) fn compose(&mut self, tells: bool) -> Option<Batch> {
        if self.out.is_some() || (self.waiting.is_empty() && !tells) {
            return None;
        }
        let mut batch = Batch { entries: Vec::new(), held: self.total, plain: 0, deadline: None };
        let most_asked = if tells && !self.queue.is_empty() { MOST_CLIENTS_ASKED } else { MOST_CLIENTS };
        let asks = self.add_asks(&mut batch, most_asked);
        if tells {
            self.add_queued(&mut batch);
        }
        if asks.is_empty() && batch.entries.is_empty() && !self.total_is_dirty {
            return None;
        }
        self.total_is_dirty = false;
        let clients = batch.entries.iter().map(|entry| entry.client.clone()).collect();
        self.out = Some(Out { clients, asks });
        Some(batch)
    }

    /// Adds the questions whose turn it is. With the place of its client among the entries.
    fn add_asks(&mut self, batch: &mut Batch, most_clients: usize) -> Vec<(Ask, Option<usize>)> {
        let (mut asks, mut places) = (Vec::new(), HashMap::new());
        while let Some(ask) = self.waiting.pop_front() {
            let place =
                ask.holding.client.as_ref().map(|client| {
                    *places.entry(client.clone()).or_insert_with(|| self.add_entry(batch, client))
                });
            match place {
                Some(place) if ask.holding.in_total => batch.entries[place].opens += 1,
                Some(place) => batch.entries[place].joins += 1,
                None => batch.plain += 1,
            }
            batch.deadline = batch.deadline.max(Some(ask.deadline));
            asks.push((ask, place));
            if batch.entries.len() >= most_clients || asks.len() >= MOST_ASKS {
                break;
            }
        }
        asks
    }

    /// Adds the clients that the server is to be told of.
    fn add_queued(&mut self, batch: &mut Batch) {
        while batch.entries.len() < MOST_CLIENTS {
            let Some(client) = self.queue.pop_front() else { break };
            let Some(known) = self.clients.get_mut(&client) else { continue };
            known.is_queued = false;
            if known.is_dirty {
                self.add_entry(batch, &client);
            } else {
                self.forget_if_clean(&client);
            }
        }
    }

    fn add_entry(&mut self, batch: &mut Batch, client: &ClientName) -> usize {
        let known = self.clients.entry(client.clone()).or_default();
        known.is_dirty = false;
        batch.entries.push(Entry { client: client.clone(), held: known.held, opens: 0, joins: 0 });
        batch.entries.len() - 1
    }
}
