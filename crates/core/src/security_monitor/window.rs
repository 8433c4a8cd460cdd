//! Sliding windows: what one client did lately, as far as one rule looks.
//!
//! A window keeps the times of the newest `most` sightings, in order, which is all it takes to tell whether there are
//! `most` of them: exact, in constant time for events and in time linear in `most` for details. Something is in the
//! window while it is younger than the window is long. Times are given in order.

use std::collections::VecDeque;

use crate::key_hash::KeyHash;

/// Times of events.
#[derive(Debug, Default)]
pub(super) struct EventWindow(VecDeque<u64>);

impl EventWindow {
    /// One more; how many there are then, up to `most`.
    pub(super) fn add(&mut self, now: u64, length: u64, most: usize) -> usize {
        while self.0.front().is_some_and(|first| !is_within(*first, now, length)) {
            self.0.pop_front();
        }
        if self.0.len() == most {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len()
    }

    /// Nothing happened, as far as is known; the memory stays.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Nothing happened later than this.
    pub(super) fn cut(&mut self, latest: u64) {
        self.0.iter_mut().for_each(|time| *time = latest.min(*time));
    }
}

/// Different details and when each was last seen, the latest at the back.
#[derive(Debug, Default)]
pub(super) struct DetailWindow(VecDeque<Seen>);

#[derive(Debug)]
struct Seen {
    detail: KeyHash,
    time: u64,
}

impl DetailWindow {
    /// One was seen, perhaps again; how many different ones there are then, up to `most`.
    pub(super) fn add(&mut self, detail: KeyHash, now: u64, length: u64, most: usize) -> usize {
        while self.0.front().is_some_and(|first| !is_within(first.time, now, length)) {
            self.0.pop_front();
        }
        if let Some(known) = self.0.iter().rposition(|seen| seen.detail == detail) {
            self.0.remove(known);
        } else if self.0.len() == most {
            self.0.pop_front();
        }
        self.0.push_back(Seen { detail, time: now });
        self.0.len()
    }

    /// Nothing happened, as far as is known; the memory stays.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Nothing happened later than this.
    pub(super) fn cut(&mut self, latest: u64) {
        self.0.iter_mut().for_each(|seen| seen.time = latest.min(seen.time));
    }
}

fn is_within(time: u64, now: u64, length: u64) -> bool {
    now.saturating_sub(time) < length
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::key_hash::hash_bytes;

    fn detail(name: u8) -> KeyHash {
        hash_bytes(&[name])
    }

    #[test]
    fn an_event_leaves_when_it_is_as_old_as_the_window() {
        let mut window = EventWindow::default();
        let counts = [0, 50, 99, 100, 149, 150, 250].map(|now| window.add(now, 100, 9));
        assert_eq!(counts, [1, 2, 3, 3, 4, 4, 1]);
    }

    #[test]
    fn a_detail_counts_once_from_when_it_was_last_seen() {
        let mut window = DetailWindow::default();
        let counts = [(1, 0), (2, 10), (1, 20), (3, 99), (4, 110)];
        assert_eq!(
            counts.map(|(name, now)| window.add(detail(name), now, 100, 9)),
            [1, 2, 2, 3, 3],
            "detail 2 has left when detail 4 comes"
        );
        assert_eq!(window.add(detail(3), 120, 100, 9), 2, "and detail 1 with the next");
    }

    proptest! {
        #[test]
        fn agrees_with_a_log_of_everything(
            steps in prop::collection::vec((0_u64..40, 0_u8..6), 1..200),
            length in 1_u64..100,
            most in 1_usize..8,
        ) {
            let (mut events, mut details) = (EventWindow::default(), DetailWindow::default());
            let mut log = Vec::new();
            let mut now = 0;
            for (wait, name) in steps {
                now += wait;
                log.push((now, name));
                let within: Vec<u8> =
                    log.iter().filter(|(time, _)| now - time < length).map(|(_, name)| *name).collect();
                let different = within.iter().collect::<std::collections::BTreeSet<_>>().len();
                prop_assert_eq!(events.add(now, length, most), within.len().min(most));
                prop_assert_eq!(details.add(detail(name), now, length, most), different.min(most));
            }
        }
    }
}
