//! Sliding windows over the events of one client, for one rule.
//!
//! A window keeps the times of the newest `most` events, in order, which suffices to count exactly up to `most`, in time
//! logarithmic in `most` for events and linear for details. An event is in the window while its age is below the window's
//! length. Times must not decrease.

use smallvec::SmallVec;

use crate::runtime::key_hash::KeyHash;

/// Times of events: a ring once there are `most`, in which the newest replaces the oldest. Short windows need no
/// allocation.
#[derive(Debug, Default)]
pub(super) struct EventWindow {
    times: SmallVec<[u64; 5]>,
    /// Where the oldest is.
    oldest: usize,
}

impl EventWindow {
    /// Adds an event. Returns how many are in the window then, up to `most`.
    pub(super) fn add(&mut self, now: u64, length: u64, most: usize) -> usize {
        if self.newest().is_some_and(|newest| !is_within(newest, now, length)) {
            self.clear();
        }
        if self.times.len() < most {
            self.times.push(now);
        } else {
            self.times[self.oldest] = now;
            self.oldest += 1;
            if self.oldest == most {
                self.oldest = 0;
            }
        }
        self.count(now, length)
    }

    /// Removes everything; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.times.clear();
        self.oldest = 0;
    }

    /// Moves later times to `latest`.
    pub(super) fn cut(&mut self, latest: u64) {
        self.times.iter_mut().for_each(|time| *time = latest.min(*time));
    }

    fn newest(&self) -> Option<u64> {
        let before = self.oldest.checked_sub(1).or(self.times.len().checked_sub(1))?;
        Some(self.times[before])
    }

    fn count(&self, now: u64, length: u64) -> usize {
        if self.times.get(self.oldest).is_some_and(|oldest| is_within(*oldest, now, length)) {
            return self.times.len();
        }
        let gone = |times: &[u64]| times.partition_point(|time| !is_within(*time, now, length));
        // Both halves are sorted, and the first has the later times.
        let (later, earlier) = self.times.split_at(self.oldest);
        self.times.len() - gone(earlier) - gone(later)
    }
}

/// Different details and when each was last seen, the latest at the back.
#[derive(Debug, Default)]
pub(super) struct DetailWindow(SmallVec<[Seen; 2]>);

#[derive(Debug)]
struct Seen {
    detail: KeyHash,
    time: u64,
}

impl DetailWindow {
    /// Adds a detail, or updates when it was last seen. Returns how many different ones are in the window then, up to
    /// `most`.
    pub(super) fn add(&mut self, detail: KeyHash, now: u64, length: u64, most: usize) -> usize {
        let gone = self.0.partition_point(|seen| !is_within(seen.time, now, length));
        if gone > 0 {
            self.0.drain(..gone);
        }
        if let Some(known) = self.0.iter().rposition(|seen| seen.detail == detail) {
            self.0.remove(known);
        } else if self.0.len() == most {
            self.0.remove(0);
        }
        self.0.push(Seen { detail, time: now });
        self.0.len()
    }

    /// Removes everything; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Moves later times to `latest`.
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
    use crate::runtime::key_hash::hash_bytes;

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
