//! The options of a tracker as words, for other processes.

use super::in_force::InForce;
use super::options::{ConnectionTrackerConfig, ConnectionTrackerOptions};
use crate::Quota;
use crate::machine::{CELL_WORDS, SMALL_CELL_WORDS};
use crate::rate_limiter::shared_config::{ConfigWords, InCells};

/// `max`, `maxPerClient`, `idleTimeout`: 0 where there is none. Then three quotas of [`QUOTA_WORDS`].
const NUMBERS: usize = 3;
/// `limit`, which is 0 where there is no quota, `window` in milliseconds, `burst + 1` or 0.
const QUOTA_WORDS: usize = 3;
pub(super) const WORDS: usize = NUMBERS + 3 * QUOTA_WORDS;
const _: () = assert!(WORDS <= SMALL_CELL_WORDS);

/// What of the options may change.
pub(super) fn to_words(options: &ConnectionTrackerOptions) -> [u64; WORDS] {
    let mut words = [0; WORDS];
    let numbers = [options.max, options.max_per_client, options.idle_timeout_ms];
    words[..NUMBERS].copy_from_slice(&numbers.map(Option::unwrap_or_default));
    let quotas = [options.opens, options.messages, options.bytes];
    for (words, quota) in words[NUMBERS..].chunks_exact_mut(QUOTA_WORDS).zip(quotas) {
        words.copy_from_slice(&quota.map_or([0; QUOTA_WORDS], quota_to_words));
    }
    words
}

/// The config of these words, where `other` has what does not change; `None` if they stand for none.
pub(super) fn from_words(
    words: &[u64; WORDS],
    other: &ConnectionTrackerOptions,
) -> Option<ConnectionTrackerConfig> {
    let number = |word: u64| (word > 0).then_some(word);
    let [max, max_per_client, idle_timeout_ms, quotas @ ..] = words;
    let mut quotas = quotas.chunks_exact(QUOTA_WORDS).map(quota_from_words);
    let options = ConnectionTrackerOptions {
        max: number(*max),
        max_per_client: number(*max_per_client),
        idle_timeout_ms: number(*idle_timeout_ms),
        opens: quotas.next()?,
        messages: quotas.next()?,
        bytes: quotas.next()?,
        ..other.clone()
    };
    ConnectionTrackerConfig::try_from(options).and_then(ConnectionTrackerConfig::shared).ok()
}

fn quota_to_words(quota: Quota) -> [u64; QUOTA_WORDS] {
    [quota.limit, quota.window_ms, quota.burst.map_or(0, |burst| burst.saturating_add(1))]
}

fn quota_from_words(words: &[u64]) -> Option<Quota> {
    let [limit, window_ms, burst] = *words else { return None };
    (limit > 0).then(|| Quota { limit, window_ms, burst: burst.checked_sub(1) })
}

impl InCells for InForce {
    /// The limiter behind `opens` has the others.
    const FIRST_CELL: usize = 2;

    fn count_words(&self) -> usize {
        WORDS
    }

    fn to_words(&self) -> ConfigWords {
        let mut words = [0; CELL_WORDS];
        words[..WORDS].copy_from_slice(&to_words(&self.config.options));
        words
    }

    fn from_words(words: &ConfigWords, created: &Self, generation: u64) -> Option<Self> {
        let words = words.first_chunk()?;
        let config = from_words(words, &created.config.options)?;
        Some(Self { config, generation, ..created.clone() })
    }

    fn generation(&self) -> u64 {
        self.generation
    }

    fn at_generation(&self, generation: u64) -> Self {
        Self { generation, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_the_options_that_they_were_made_of() {
        let quota = |burst| Some(Quota { limit: 5, window_ms: 1_000, burst });
        let none = ConnectionTrackerOptions::default();
        let all = ConnectionTrackerOptions {
            max: Some(7),
            max_per_client: Some(3),
            idle_timeout_ms: Some(9),
            opens: quota(Some(2)),
            messages: quota(None),
            bytes: quota(Some(5)),
            ipv6_prefix: 48,
            ..none.clone()
        };
        for options in [none, all] {
            let read = from_words(&to_words(&options), &options).expect("valid");
            assert_eq!(read.options, options);
        }
    }

    #[test]
    fn words_of_no_options_are_refused() {
        let options = ConnectionTrackerOptions::default();
        assert!(from_words(&[u64::MAX; WORDS], &options).is_none());
        let mut words = [0; WORDS];
        words[NUMBERS] = 5;
        assert!(from_words(&words, &options).is_none(), "a quota without a window");
    }
}
