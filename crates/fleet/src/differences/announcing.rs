//! When a process says which options it has.

use std::time::Instant;

use super::{SAID_AGAIN, SAID_EVERY};

/// When the options are due over one connection: at the time given, a second later, and every 20 s from then on.
#[derive(Debug, Default)]
pub(crate) struct Announcing {
    next: Option<Instant>,
    has_said: bool,
}

impl Announcing {
    /// The first time; later calls change nothing.
    pub(crate) fn begin(&mut self, at: Instant) {
        self.next.get_or_insert(at);
    }

    /// Whether the options are due. The caller says them.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        if self.next.is_none_or(|next| now < next) {
            return false;
        }
        let again = if self.has_said { SAID_EVERY } else { SAID_AGAIN };
        (self.next, self.has_said) = (Some(now + again), true);
        true
    }

    /// When they are due next; `None` before [`begin`](Self::begin).
    pub(crate) fn next(&self) -> Option<Instant> {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_due_at_first_soon_again_and_then_now_and_then() {
        let (mut announcing, start) = (Announcing::default(), Instant::now());
        assert!(!announcing.take_due(start), "not begun");
        announcing.begin(start);
        assert!(announcing.take_due(start));
        assert!(!announcing.take_due(start), "once");
        let again = start + SAID_AGAIN;
        assert_eq!(announcing.next(), Some(again));
        assert!(announcing.take_due(again));
        for n in 1..=2 {
            assert_eq!(announcing.next(), Some(again + n * SAID_EVERY));
            assert!(announcing.take_due(again + n * SAID_EVERY));
        }
    }

    #[test]
    fn it_begins_once() {
        let (mut announcing, start) = (Announcing::default(), Instant::now());
        announcing.begin(start + SAID_AGAIN);
        announcing.begin(start);
        assert!(!announcing.take_due(start));
        assert_eq!(announcing.next(), Some(start + SAID_AGAIN));
    }
}
