//! How much is kept, and what goes when there is no room.

use std::collections::VecDeque;

use super::slot::GaveWay;
use crate::key_hash::KeyHash;

/// Values in use that are passed over for one newcomer; the next goes all the same.
const PASSED_OVER: usize = 64;

/// Outdated tickets that are not worth a pass over all of them.
const FEW_OUTDATED: usize = 64;

/// Values in the order in which they came, a queue in which one that was read since it was last looked at goes to the
/// back instead (a second chance, as a clock's hand gives). Whoever keeps a value holds its lock; who drops one takes
/// the lock afterwards, so the sums are never below what is kept.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    /// One for each value; and some of values that are gone.
    tickets: VecDeque<Ticket>,
    entries: u64,
    bytes: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket {
    pub(super) key: KeyHash,
    pub(super) version: u64,
}

/// Most of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

impl Shelf {
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes room for one value more. `ask` takes a value away, unless it is in use and need not go.
    pub(super) fn make_room(
        &mut self,
        weight: u64,
        limits: Limits,
        mut ask: impl FnMut(Ticket, bool) -> GaveWay,
    ) {
        let mut passed_over = 0;
        while self.entries >= limits.entries || self.bytes.saturating_add(weight) > limits.bytes {
            let Some(ticket) = self.tickets.pop_front() else { return };
            match ask(ticket, passed_over >= PASSED_OVER) {
                GaveWay::Gone => {}
                GaveWay::InUse => {
                    passed_over += 1;
                    self.tickets.push_back(ticket);
                }
                GaveWay::Expired(weight) | GaveWay::Evicted(weight) => {
                    self.remove(weight);
                    passed_over = 0;
                }
            }
        }
    }

    /// A value is kept. `is_kept` tells of a ticket whether its value still is.
    pub(super) fn add(&mut self, ticket: Ticket, weight: u64, is_kept: impl Fn(&Ticket) -> bool) {
        self.entries += 1;
        self.bytes += weight;
        self.tickets.push_back(ticket);
        let kept = usize::try_from(self.entries).unwrap_or(usize::MAX);
        if self.tickets.len() > kept.saturating_mul(2).saturating_add(FEW_OUTDATED) {
            self.tickets.retain(is_kept);
        }
    }

    /// A value is no longer kept.
    pub(super) fn remove(&mut self, weight: u64) {
        self.entries -= 1;
        self.bytes -= weight;
    }

    #[cfg(test)]
    pub(super) fn tickets(&self) -> usize {
        self.tickets.len()
    }
}
