//! What this process holds, and which of it the server is to be told of.

use sluice_core::ThreadId;

use super::{Book, Client, Holding};
use crate::client_name::ClientName;

/// Beats after which the server has forgotten what it was not told of again.
pub(super) const FORGOTTEN_AFTER: u8 = 4;

impl Book {
    /// Takes a place that was granted.
    pub(in crate::connections) fn claim(&mut self, place: u64) -> Option<Holding> {
        self.unclaimed.remove(&place).map(|(holding, _)| holding)
    }

    /// A place without the server, which is told of it. `None` for a thread that has ended, and where nothing is counted
    /// together any more: it would never be given back.
    pub(in crate::connections) fn hold_without_server(
        &mut self,
        holding: Holding,
        thread: ThreadId,
    ) -> Option<u64> {
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

    pub(super) fn hold(&mut self, holding: Holding, thread: ThreadId) -> u64 {
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
    pub(in crate::connections) fn lower(&mut self, holding: &Holding) {
        if let Some(client) = &holding.client {
            if let Some(known) = self.clients.get_mut(client) {
                known.held = known.held.saturating_sub(1);
            }
            self.mark(client);
        }
        self.total = self.total.saturating_sub(u64::from(holding.in_total));
        self.total_is_dirty = true;
    }

    /// The server is to be told of everything that is held: it may have lost it, or it counts for a while only.
    pub(in crate::connections) fn tell_all(&mut self) {
        let held: Vec<_> = self.clients.keys().cloned().collect();
        for client in held {
            self.mark(&client);
        }
        self.total_is_dirty |= self.total > 0;
    }

    /// What is held is to be told again. What was given up long ago the server has forgotten by itself. Called while no
    /// question is under decision.
    pub(in crate::connections) fn beat(&mut self) {
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
    pub(in crate::connections) fn probe(&mut self) {
        self.total_is_dirty = true;
    }

    pub(super) fn mark(&mut self, client: &ClientName) {
        let known = self.clients.entry(client.clone()).or_default();
        known.is_dirty = true;
        if !known.is_queued {
            known.is_queued = true;
            self.queue.push_back(client.clone());
        }
        self.total_is_dirty = true;
    }

    pub(super) fn forget_if_clean(&mut self, client: &ClientName) {
        let is_clean = |known: &Client| known.held == 0 && !known.is_dirty && !known.is_queued;
        if self.clients.get(client).is_some_and(is_clean) {
            self.clients.remove(client);
        }
    }
}
