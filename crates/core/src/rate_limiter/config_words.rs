//! A config as words, for other processes: what of it may change, and what old words of keys depend on.

use super::config::RateLimiterConfig;
use super::options::MAX_LIMITS;
use super::shared_config::{ConfigWords, InCells};
use crate::machine::CELL_WORDS;

/// Of a limit: `limit`, `window` in milliseconds, `burst + 1` or 0, and how far ahead the end of a window may be.
const LIMIT_WORDS: usize = 4;
const _: () = assert!(count_words(MAX_LIMITS) <= CELL_WORDS);

impl InCells for RateLimiterConfig {
    const FIRST_CELL: usize = 0;

    fn count_words(&self) -> usize {
        count_words(self.rules.len())
    }

    fn to_words(&self) -> ConfigWords {
        to_words(self)
    }

    fn from_words(words: &ConfigWords, created: &Self, generation: u64) -> Option<Self> {
        from_words(words, created, generation)
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn at_generation(&self, generation: u64) -> Self {
        Self { generation, ..self.clone() }
    }
}

/// The words of a limiter of so many limits.
const fn count_words(limits: usize) -> usize {
    1 + limits * LIMIT_WORDS
}

fn to_words(config: &RateLimiterConfig) -> ConfigWords {
    let mut words = [0; CELL_WORDS];
    let [dry_run, limits @ ..] = &mut words;
    *dry_run = config.options.dry_run.into();
    let options = config.options.limits.iter().map(|limit| limit.quota).zip(&config.rules);
    for (words, (quota, rule)) in limits.chunks_exact_mut(LIMIT_WORDS).zip(options) {
        let burst = quota.burst.map_or(0, |burst| burst.saturating_add(1));
        words.copy_from_slice(&[quota.limit, quota.window_ms, burst, rule.algorithm.reach()]);
    }
    words
}

/// The config that the words stand for, in a limiter that was created with `created`; `None` if they stand for none.
fn from_words(
    words: &ConfigWords,
    created: &RateLimiterConfig,
    generation: u64,
) -> Option<RateLimiterConfig> {
    let [dry_run, limits @ ..] = words;
    let mut options = created.options.clone();
    options.dry_run = *dry_run != 0;
    for (words, limit) in limits.chunks_exact(LIMIT_WORDS).zip(&mut options.limits) {
        (limit.quota.limit, limit.quota.window_ms) = (words[0], words[1]);
        limit.quota.burst = words[2].checked_sub(1);
    }
    let mut config = created.replaced_by(options).ok()?;
    for (words, rule) in limits.chunks_exact(LIMIT_WORDS).zip(&mut config.rules) {
        rule.algorithm = rule.algorithm.reaching(words[3]);
    }
    Some(RateLimiterConfig { generation, ..config }.with_ordinary())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rate_limiter::{AlgorithmKind, RateLimiterOptions};

    fn config(algorithm: AlgorithmKind, limit: u64, window_ms: u64) -> RateLimiterConfig {
        RateLimiterOptions::by(algorithm, limit, window_ms).try_into().expect("valid")
    }

    #[test]
    fn words_are_the_config_that_they_were_made_of() {
        for algorithm in [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow] {
            let created = config(algorithm, 10, 1_000);
            let mut options = config(algorithm, 7, 1_000).options;
            options.dry_run = true;
            if algorithm == AlgorithmKind::Gcra {
                options.limits[0].quota.burst = Some(3);
            }
            let replaced = created.replaced_by(options).expect("changeable");
            assert_eq!(from_words(&to_words(&replaced), &created, 1), Some(replaced));
        }
    }

    #[test]
    fn a_window_that_was_longer_once_stays_readable() {
        let created = config(AlgorithmKind::FixedWindow, 10, 1_000);
        let replace = |config: &RateLimiterConfig, window| {
            let mut options = config.options.clone();
            options.limits[0].quota.window_ms = window;
            config.replaced_by(options).expect("changeable")
        };
        let again_short = replace(&replace(&created, 60_000), 1_000);
        assert_ne!(again_short.rules, created.rules, "it reads the words of a longer window");
        assert_eq!(from_words(&to_words(&again_short), &created, 2), Some(again_short));
    }

    #[test]
    fn words_of_no_config_are_refused() {
        let created = config(AlgorithmKind::FixedWindow, 10, 1_000);
        for word in [0, u64::MAX] {
            assert_eq!(from_words(&[word; CELL_WORDS], &created, 1), None);
        }
        let mut words = to_words(&created);
        words[4] = u64::MAX;
        let read = from_words(&words, &created, 1).expect("valid options");
        assert!(read.rules[0].algorithm.reach() < u64::MAX / 2, "a reach that fits in the word");
    }
}
