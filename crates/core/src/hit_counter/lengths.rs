//! The lengths of windows that a counter has had, from which the age of an evicted key is told.

use super::window::WindowLength;
use crate::runtime::clock::MS;
use crate::runtime::sync::{AtomicU64, Ordering};

/// Most lengths that are noted; those of calls beyond count as the next longer one.
const MOST: usize = 8;

/// A word does not keep the length of its window, and calls of one counter may name several: the length of an entry is
/// taken to be the shortest that can have so much left. Lengths are never removed.
#[derive(Debug, Default)]
pub(super) struct WindowLengths([AtomicU64; MOST]);

/// Whose window has a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Hit = 0,
    Rule = 1,
}

impl WindowLengths {
    #[inline]
    pub(super) fn note(&self, of: Of, window: WindowLength) {
        let WindowLength::Ms(ms) = window else { return };
        let length = ms.min(WindowLength::MOST_MS) << 1 | of as u64;
        // Relaxed: a length stands alone, and only ranks evictions.
        if self.0[0].load(Ordering::Relaxed) != length {
            self.note_further(length);
        }
    }

    fn note_further(&self, length: u64) {
        for slot in &self.0 {
            let noted = slot.load(Ordering::Relaxed);
            if noted == length {
                return;
            }
            // Slots fill in order, so the first free one ends the search. Relaxed: as above.
            if noted == 0 {
                match slot.compare_exchange(0, length, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => return,
                    Err(other) if other == length => return,
                    Err(_) => {}
                }
            }
        }
    }

    /// Nanoseconds of the window of an entry that has `left` to run. `None` where it has more left than the windows of all
    /// hits: a rule has begun its window, or it never ends.
    pub(super) fn of_entry(&self, left: u64) -> Option<u64> {
        let noted = self.0.iter().map(|slot| slot.load(Ordering::Relaxed)).take_while(|noted| *noted > 0);
        let (mut shortest, mut is_hit) = (None::<u64>, false);
        for noted in noted {
            let length = (noted >> 1) * MS;
            if length >= left {
                shortest = Some(shortest.map_or(length, |shortest| shortest.min(length)));
                is_hit |= noted & 1 == Of::Hit as u64;
            }
        }
        shortest.filter(|_| is_hit)
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;

    fn noted(lengths: &[(Of, u64)]) -> WindowLengths {
        let all = WindowLengths::default();
        for (of, ms) in lengths {
            all.note(*of, WindowLength::Ms(*ms));
        }
        all
    }

    #[test]
    fn an_entry_has_the_shortest_window_that_can_have_so_much_left() {
        let lengths = noted(&[(Of::Hit, 3_600), (Of::Hit, 60), (Of::Hit, 3_600), (Of::Rule, 600)]);
        let of_entry = |ms| lengths.of_entry(ms * MS).map(|length| length / MS);
        assert_eq!([1, 60, 61, 601, 3_601].map(of_entry), [Some(60), Some(60), Some(600), Some(3_600), None]);
    }

    #[test]
    fn a_window_of_a_rule_that_is_longer_than_those_of_hits_is_none_of_them() {
        let lengths = noted(&[(Of::Hit, 60), (Of::Rule, 600)]);
        assert_eq!(lengths.of_entry(61 * MS), None);
    }

    #[test]
    fn lengths_beyond_the_most_count_as_the_next_longer() {
        let all: Vec<_> = (1..=MOST as u64 + 1).rev().map(|minute| (Of::Hit, minute * 60)).collect();
        assert_eq!(noted(&all).of_entry(60 * MS), Some(120 * MS));
    }
}
