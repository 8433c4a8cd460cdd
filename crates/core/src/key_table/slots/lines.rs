//! The lines of a key, in order.

use super::{Candidates, Slots, scale};
use crate::runtime::planted::planted;

/// Pairs of the far part that a key may use.
const FAR_PAIRS: usize = 3;
/// A key's lines of the near part, and its home.
const NEAR_AND_HOME: usize = 3;

/// The lines of a key, each once. Both lines of a pair come one after the other.
#[derive(Clone, Debug)]
pub(in crate::key_table) struct Lines {
    /// The first line of each pair.
    pairs: [usize; FAR_PAIRS + 1],
    next: usize,
    count: usize,
}

/// Where the near pair comes among the others, in a table that has a near part.
#[derive(Clone, Copy)]
enum Near {
    First,
    AfterHome,
    Last,
}

impl Iterator for Lines {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.next == self.count {
            return None;
        }
        let line = self.pairs[self.next / 2] ^ (self.next % 2);
        self.next += 1;
        Some(line)
    }
}

impl Slots {
    /// The lines of a key, in an order that never changes.
    pub(in crate::key_table) fn lines_of(&self, key: &Candidates) -> Lines {
        if planted!(ClaimIgnoresNear) && self.near > 0 && self.is_crowded() {
            return Lines { count: 2 * FAR_PAIRS, ..self.lines(key, Near::Last) };
        }
        self.lines(key, Near::First)
    }

    /// The lines of a key, the one first in which it is most likely found.
    pub(in crate::key_table) fn lines_by_likelihood(&self, key: &Candidates) -> Lines {
        self.lines(key, if self.is_crowded() { Near::AfterHome } else { Near::First })
    }

    /// The lines of a new key, and how many of them it fills one after the other, before it chooses the emptiest of those
    /// that follow. In a crowded table the near part is the last resort.
    pub(in crate::key_table) fn lines_to_fill(&self, key: &Candidates) -> (Lines, usize) {
        if self.is_crowded() {
            (self.lines(key, Near::Last), 1)
        } else {
            (self.lines(key, Near::First), NEAR_AND_HOME)
        }
    }

    fn lines(&self, key: &Candidates, order: Near) -> Lines {
        let [home, second, third] = self.far_pairs(key);
        if self.near == 0 {
            let count = 2 * FAR_PAIRS.min(self.far / 2);
            return Lines { pairs: [home, second, third, third], next: 0, count };
        }
        let near = self.near(key);
        let pairs = match order {
            Near::First => [near, home, second, third],
            Near::AfterHome => [home, near, second, third],
            Near::Last => [home, second, third, near],
        };
        Lines { pairs, next: 0, count: 2 * pairs.len() }
    }

    /// The first line of each pair in the far part. Where there are fewer than three pairs, the others mean nothing.
    fn far_pairs(&self, key: &Candidates) -> [usize; FAR_PAIRS] {
        let (home, pairs) = (self.home(key), self.far / 2);
        // Every bit of the half that chose the home affects the others.
        let step = |odd: u64, count: usize| scale(key.low.wrapping_mul(odd), count);
        let second = 1 + step(0x9e37_79b9_7f4a_7c15, pairs - 1);
        let third = 1 + step(0xd6e8_feb8_6659_fd93, pairs.saturating_sub(2));
        let third = third + usize::from(third >= second);
        let after = |step: usize| {
            let line = home + 2 * step;
            if line < self.near + self.far { line } else { line - self.far }
        };
        [home, after(second), after(third)]
    }
}
