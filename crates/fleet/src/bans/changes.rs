//! Changes of this process that the server does not have yet. No I/O.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use sluice_core::FOREVER;

/// Changes that are held. Each is of another client or range.
const MOST_CHANGES: usize = 200_000;
/// Clients whose failures are held.
const MOST_CLIENTS: usize = 10_000;

/// The end of the last of the bans that were lifted since the server was told, by the clock of this process; `None` where
/// none was. What is sent is the ban in force then.
pub(super) type Lifted = Option<u64>;

/// Failures of a client that the server does not have yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failures {
    /// Those before were forgiven.
    pub(super) are_forgiven: bool,
    pub(super) count: u64,
    pub(super) reason: Option<Arc<str>>,
}

/// What is to be sent.
#[derive(Debug, Default)]
pub(super) struct Changes {
    order: VecDeque<String>,
    unsent: HashMap<String, Lifted>,
    /// Sent and not answered, by how often.
    sent: HashMap<String, u32>,
    clients: VecDeque<String>,
    failures: HashMap<String, Failures>,
    dropped: u64,
}

impl Changes {
    /// What was counted before led to the ban, or does not count beside it.
    pub(super) fn banned(&mut self, target: String) {
        if let Some(failures) = self.failures.get_mut(&target) {
            *failures = Failures::default();
        }
        self.add(target, None);
    }

    /// A ban was lifted that would have ended at `until`.
    pub(super) fn lifted(&mut self, target: String, until: u64) {
        self.add(target, Some(until));
    }

    fn add(&mut self, target: String, lifted: Lifted) {
        if let Some(known) = self.unsent.get_mut(&target) {
            *known = (*known).max(lifted);
            return;
        }
        if self.order.len() >= MOST_CHANGES {
            self.dropped += 1;
            return;
        }
        self.order.push_back(target.clone());
        self.unsent.insert(target, lifted);
    }

    /// The next to be sent; it is pending until [`done`](Self::done).
    pub(super) fn next(&mut self) -> Option<(String, Lifted)> {
        let target = self.order.pop_front()?;
        let lifted = self.unsent.remove(&target)?;
        *self.sent.entry(target.clone()).or_default() += 1;
        Some((target, lifted))
    }

    /// The server has answered a change, or there was nothing to send.
    pub(super) fn done(&mut self, target: &str) {
        if let Some(count) = self.sent.get_mut(target) {
            *count -= 1;
            if *count == 0 {
                self.sent.remove(target);
            }
        }
    }

    /// Whether the server has run a change is not known, or it has not.
    pub(super) fn put_back(&mut self, target: String, lifted: Lifted) {
        self.done(&target);
        self.add(target, lifted);
    }

    /// Whether a change of the target is on its way: it comes after what others did before.
    pub(super) fn has(&self, target: &str) -> bool {
        self.unsent.contains_key(target) || self.sent.contains_key(target)
    }

    pub(super) fn failed(&mut self, client: String, count: u64, reason: Option<&str>) {
        if let Some(failures) = self.failures_of(client) {
            failures.count = failures.count.saturating_add(count);
            failures.reason = reason.map(Arc::from);
        }
    }

    pub(super) fn forgiven(&mut self, client: String) {
        if let Some(failures) = self.failures_of(client) {
            *failures = Failures { are_forgiven: true, ..Failures::default() };
        }
    }

    /// The server has not forgiven what was before the failures that are to be sent now.
    pub(super) fn put_back_forgiven(&mut self, client: String) {
        if let Some(failures) = self.failures_of(client) {
            failures.are_forgiven = true;
        }
    }

    fn failures_of(&mut self, client: String) -> Option<&mut Failures> {
        if !self.failures.contains_key(&client) {
            if self.clients.len() >= MOST_CLIENTS {
                self.dropped += 1;
                return None;
            }
            self.clients.push_back(client.clone());
        }
        Some(self.failures.entry(client).or_default())
    }

    /// The next failures to be sent. They are sent once.
    pub(super) fn next_failures(&mut self) -> Option<(String, Failures)> {
        let client = self.clients.pop_front()?;
        let failures = self.failures.remove(&client)?;
        Some((client, failures))
    }

    /// Failures without the server count in the process only.
    pub(super) fn forget_failures(&mut self) {
        self.clients.clear();
        self.failures.clear();
    }

    pub(super) fn pending(&self) -> usize {
        self.unsent.len() + self.sent.len()
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }
}

/// Whether a ban that was lifted would be over by now.
pub(super) fn is_over(until: u64, now: u64) -> bool {
    until != FOREVER && until <= now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_one_target_are_sent_once_and_in_the_order_of_the_first() {
        let mut changes = Changes::default();
        changes.banned("a".to_owned());
        changes.lifted("b".to_owned(), 7);
        changes.lifted("a".to_owned(), 5);
        changes.banned("a".to_owned());
        assert_eq!(changes.next(), Some(("a".to_owned(), Some(5))));
        assert_eq!(changes.next(), Some(("b".to_owned(), Some(7))));
        assert_eq!(changes.next(), None);
        assert!(changes.has("a") && changes.pending() == 2, "sent, and not answered");
        changes.done("a");
        assert!(!changes.has("a") && changes.has("b"));
    }

    #[test]
    fn a_change_that_may_not_have_been_run_joins_what_came_after_it() {
        let mut changes = Changes::default();
        changes.lifted("a".to_owned(), 9);
        let (target, lifted) = changes.next().expect("one");
        changes.banned("a".to_owned());
        changes.put_back(target, lifted);
        assert_eq!(
            changes.next(),
            Some(("a".to_owned(), Some(9))),
            "a ban in the place of one that was lifted"
        );
        changes.done("a");
        assert!(!changes.has("a"));
    }

    #[test]
    fn failures_are_summed_and_begin_anew_where_they_are_forgiven() {
        let mut changes = Changes::default();
        changes.failed("a".to_owned(), 2, None);
        changes.failed("a".to_owned(), 3, Some("password"));
        let failures = Failures { are_forgiven: false, count: 5, reason: Some("password".into()) };
        assert_eq!(changes.next_failures(), Some(("a".to_owned(), failures)));
        changes.failed("a".to_owned(), 2, None);
        changes.forgiven("a".to_owned());
        changes.failed("a".to_owned(), 1, None);
        let failures = Failures { are_forgiven: true, count: 1, reason: None };
        assert_eq!(changes.next_failures(), Some(("a".to_owned(), failures)));
        assert_eq!(changes.next_failures(), None);
    }

    #[test]
    fn holds_a_bounded_number() {
        let mut changes = Changes::default();
        for n in 0..MOST_CLIENTS + 3 {
            changes.failed(n.to_string(), 1, None);
        }
        assert_eq!(changes.dropped(), 3);
    }

    #[test]
    fn a_ban_uses_up_the_failures_before_it() {
        let mut changes = Changes::default();
        changes.failed("a".to_owned(), 4, None);
        changes.banned("a".to_owned());
        assert_eq!(changes.next_failures(), Some(("a".to_owned(), Failures::default())));
        changes.failed("a".to_owned(), 4, None);
        changes.banned("a".to_owned());
        changes.failed("a".to_owned(), 1, None);
        assert_eq!(changes.next_failures().map(|(_, failures)| failures.count), Some(1));
    }

    #[test]
    fn what_was_not_forgiven_yet_leaves_the_failures_after_it() {
        let mut changes = Changes::default();
        changes.failed("a".to_owned(), 2, None);
        changes.put_back_forgiven("a".to_owned());
        let failures = Failures { are_forgiven: true, count: 2, reason: None };
        assert_eq!(changes.next_failures(), Some(("a".to_owned(), failures)));
    }
}
