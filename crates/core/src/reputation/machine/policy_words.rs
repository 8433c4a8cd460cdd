//! The options that may change as words, for other processes. Lists change otherwise: see `published_ranges`.

use crate::machine::CELL_WORDS;
use crate::rate_limiter::shared_config::{ConfigWords, InCells};
use crate::reputation::options::ReputationConfig;

/// `maxFailures`, `findTime`, `banTime`, `maxBanTime` in milliseconds; the bits of `banFactor` and `jitter`.
const WORDS: usize = 6;

impl InCells for ReputationConfig {
    const FIRST_CELL: usize = 0;

    fn count_words(&self) -> usize {
        WORDS
    }

    fn to_words(&self) -> ConfigWords {
        let options = self.options();
        let mut words = [0; CELL_WORDS];
        words[..WORDS].copy_from_slice(&[
            options.max_failures,
            options.find_time_ms,
            options.ban_time_ms,
            options.max_ban_time_ms,
            options.ban_factor.to_bits(),
            options.jitter.to_bits(),
        ]);
        words
    }

    fn from_words(words: &ConfigWords, created: &Self, generation: u64) -> Option<Self> {
        let mut options = created.options().clone();
        let [max_failures, find_time_ms, ban_time_ms, max_ban_time_ms, ban_factor, jitter, ..] = *words;
        (options.max_failures, options.find_time_ms) = (max_failures, find_time_ms);
        (options.ban_time_ms, options.max_ban_time_ms) = (ban_time_ms, max_ban_time_ms);
        (options.ban_factor, options.jitter) = (f64::from_bits(ban_factor), f64::from_bits(jitter));
        let config = Self::try_from(options).ok()?;
        Some(config.with_moments(created.policy.most_moments).at_generation(generation))
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn at_generation(&self, generation: u64) -> Self {
        let mut config = self.clone();
        config.generation = generation;
        config
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;
    use crate::reputation::options::ReputationOptions;

    fn config(options: ReputationOptions) -> ReputationConfig {
        options.try_into().expect("valid")
    }

    #[test]
    fn what_may_change_is_read_as_it_was_written() {
        let created = config(ReputationOptions::new(5, 60_000, 1_000, 10_000)).with_moments(5);
        let other = ReputationOptions { jitter: 0.25, ban_factor: 1.5, ..ReputationOptions::new(9, 7, 8, 9) };
        let read = ReputationConfig::from_words(&config(other).to_words(), &created, 3).expect("valid");
        assert_eq!((read.policy.max_failures, read.policy.jitter, read.generation), (9, 0.25, 3));
        assert_eq!(read.policy.most_moments, 5, "as many as there is room for");
    }

    #[test]
    fn words_of_no_options_are_none() {
        let created = config(ReputationOptions::new(5, 60_000, 1_000, 10_000));
        for bits in [0, u64::MAX, 1 << 63] {
            assert!(ReputationConfig::from_words(&[bits; CELL_WORDS], &created, 1).is_none());
        }
    }
}
