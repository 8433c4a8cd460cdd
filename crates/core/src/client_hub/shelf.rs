//! How much is kept, and what goes when there is no room.

use std::collections::VecDeque;

use super::slot::GaveWay;
use crate::runtime::key_hash::KeyHash;

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
        // A value that was there before a reset may be told of after it.
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::key_hash::hash_str;

    const LIMITS: Limits = Limits { entries: 3, bytes: 100 };

    fn ticket(version: u64) -> Ticket {
        Ticket { key: hash_str("key"), version }
    }

    /// With values of ten bytes, versions 1 to `count`.
    fn shelf(count: u64) -> Shelf {
        let mut shelf = Shelf::default();
        (1..=count).for_each(|version| shelf.add(ticket(version), 10, |_| true));
        shelf
    }

    fn versions(shelf: &Shelf) -> Vec<u64> {
        shelf.tickets.iter().map(|ticket| ticket.version).collect()
    }

    #[test]
    fn who_is_in_use_goes_to_the_back() {
        let mut shelf = shelf(3);
        shelf.make_room(10, LIMITS, |ticket, _| match ticket.version {
            1 => GaveWay::InUse,
            _ => GaveWay::Evicted(10),
        });
        assert_eq!((versions(&shelf), shelf.entries(), shelf.bytes()), (vec![3, 1], 2, 20));
    }

    #[test]
    fn when_all_are_in_use_one_goes_all_the_same() {
        let mut shelf = shelf(3);
        let mut asked = 0;
        shelf.make_room(10, LIMITS, |_, must| {
            asked += 1;
            if must { GaveWay::Evicted(10) } else { GaveWay::InUse }
        });
        assert_eq!((asked, shelf.entries()), (PASSED_OVER + 1, 2));
    }

    #[test]
    fn as_many_go_as_the_bytes_need() {
        let mut shelf = shelf(3);
        shelf.make_room(85, LIMITS, |_, _| GaveWay::Expired(10));
        assert_eq!((versions(&shelf), shelf.bytes()), (vec![3], 10));
    }

    #[test]
    fn tickets_of_what_is_gone_do_not_pile_up() {
        let mut shelf = Shelf::default();
        for version in 1..=1_000 {
            shelf.add(ticket(version), 1, |ticket| ticket.version + 2 > version);
            if version > 2 {
                shelf.remove(1);
            }
        }
        assert!(shelf.tickets.len() <= FEW_OUTDATED + 5, "{}", shelf.tickets.len());
        assert_eq!((shelf.entries(), shelf.bytes()), (2, 2));
    }
}
