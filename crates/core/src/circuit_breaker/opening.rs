//! How long a circuit stays open.

use std::hash::{BuildHasher, RandomState};

/// The duration of an opening after `k` others in a row: `min(first · factor^k, most)`, shortened by a random share of
/// up to `jitter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Opening {
    /// Nanoseconds of the first opening.
    pub(super) first: u64,
    /// The factor by which consecutive openings grow.
    pub(super) factor: f64,
    /// Nanoseconds at most.
    pub(super) most: u64,
    /// The share that jitter may remove, so that circuits that opened together are not tried together.
    pub(super) jitter: f64,
}

impl Opening {
    /// Nanoseconds of an opening after `reopened` others in a row. `chance` is from 0 to 1.
    pub(super) fn duration(&self, reopened: u32, chance: f64) -> u64 {
        // The conversion saturates beyond the range of integers, and `most` is below its end.
        let grown = self.first as f64 * self.factor.powi(i32::try_from(reopened).unwrap_or(i32::MAX));
        let capped = (grown as u64).min(self.most);
        let removed = (capped as f64 * self.jitter * chance) as u64;
        // At least 1: a circuit that opens refuses for a moment.
        capped.saturating_sub(removed).max(1)
    }
}

/// A random number from 0 to 1.
pub(crate) fn chance() -> f64 {
    // Each `RandomState` has its own keys, derived from randomness of the operating system.
    let random = RandomState::new().hash_one(0_u8);
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOUBLING: Opening = Opening { first: 1_000, factor: 2.0, most: 5_000, jitter: 0.0 };

    #[test]
    fn openings_grow_by_the_factor_up_to_the_longest() {
        let durations: Vec<_> = (0..5).map(|reopened| DOUBLING.duration(reopened, 0.5)).collect();
        assert_eq!(durations, [1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(DOUBLING.duration(u32::MAX, 0.5), 5_000);
        assert_eq!(Opening { factor: 1.0, ..DOUBLING }.duration(u32::MAX, 0.5), 1_000);
    }

    #[test]
    fn jitter_removes_its_share_at_most() {
        let opening = Opening { jitter: 0.25, ..DOUBLING };
        assert_eq!([0.0, 0.5, 1.0].map(|chance| opening.duration(1, chance)), [2_000, 1_750, 1_500]);
        assert_eq!(Opening { jitter: 1.0, ..DOUBLING }.duration(0, 1.0), 1);
    }

    #[test]
    fn random_numbers_differ_and_stay_in_range() {
        let chances: Vec<f64> = (0..1_000).map(|_| chance()).collect();
        assert!(chances.iter().all(|chance| (0.0..=1.0).contains(chance)));
        let mean = chances.iter().sum::<f64>() / 1_000.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
    }
}
