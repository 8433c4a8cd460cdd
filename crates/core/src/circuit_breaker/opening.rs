//! For how long a circuit opens.

use std::hash::{BuildHasher, RandomState};

/// `first · factor^k`, at most `most`, then shortened by a random share of up to `jitter`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Opening {
    /// Nanoseconds of the first opening.
    pub(super) first: u64,
    /// By how much each opening in a row is longer than the last.
    pub(super) factor: f64,
    /// Nanoseconds at most.
    pub(super) most: u64,
    /// The share that chance may take off: circuits that opened together need not be tried together.
    pub(super) jitter: f64,
}

impl Opening {
    /// Nanoseconds of an opening after `reopened` others in a row. `chance` is from 0 to 1.
    pub(super) fn duration(&self, reopened: u32, chance: f64) -> u64 {
        // Beyond the range of integers the conversion stops at their end, and `most` below it.
        let grown = self.first as f64 * self.factor.powi(i32::try_from(reopened).unwrap_or(i32::MAX));
        let capped = (grown as u64).min(self.most);
        let taken_off = (capped as f64 * self.jitter * chance) as u64;
        // Never 0: a circuit that opens refuses for a moment at least.
        capped.saturating_sub(taken_off).max(1)
    }
}

/// A random number from 0 to 1.
pub(crate) fn chance() -> f64 {
    // Each `RandomState` has keys of its own, from the operating system's randomness.
    let random = RandomState::new().hash_one(0_u8);
    (random >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOUBLING: Opening = Opening { first: 1_000, factor: 2.0, most: 5_000, jitter: 0.0 };

    #[test]
    fn grows_by_its_factor_up_to_its_most() {
        let durations: Vec<_> = (0..5).map(|reopened| DOUBLING.duration(reopened, 0.5)).collect();
        assert_eq!(durations, [1_000, 2_000, 4_000, 5_000, 5_000]);
        assert_eq!(DOUBLING.duration(u32::MAX, 0.5), 5_000);
        assert_eq!(Opening { factor: 1.0, ..DOUBLING }.duration(u32::MAX, 0.5), 1_000);
    }

    #[test]
    fn jitter_shortens_within_its_bounds() {
        let opening = Opening { jitter: 0.25, ..DOUBLING };
        assert_eq!([0.0, 0.5, 1.0].map(|chance| opening.duration(1, chance)), [2_000, 1_750, 1_500]);
        assert_eq!(Opening { jitter: 1.0, ..DOUBLING }.duration(0, 1.0), 1);
    }

    #[test]
    fn chances_differ_and_stay_in_range() {
        let chances: Vec<f64> = (0..1_000).map(|_| chance()).collect();
        assert!(chances.iter().all(|chance| (0.0..=1.0).contains(chance)));
        let mean = chances.iter().sum::<f64>() / 1_000.0;
        assert!((0.4..0.6).contains(&mean), "{mean}");
    }
}
