//! The options of a limiter as a file of shared state keeps them: for people, and once more to be read back.

use super::config::RateLimiterConfig;
use super::options::{AlgorithmKind, LimitOptions, RateLimiterOptions};
use super::quota::Quota;
use crate::key_table::Overflow;
use crate::runtime::instances::OptionList;

/// The option that is read back. It says what the others say.
const CREATION: &str = "creation";

/// Options of one process, in which the others need not agree.
const OF_A_PROCESS: [&str; 2] = ["scope", "maxWaiting"];

const ALGORITHMS: [AlgorithmKind; 3] =
    [AlgorithmKind::Gcra, AlgorithmKind::FixedWindow, AlgorithmKind::SlidingWindow];
const OVERFLOWS: [Overflow; 3] = [Overflow::Evict, Overflow::Deny, Overflow::Allow];

impl RateLimiterConfig {
    /// The options in which all processes agree that share a limiter.
    #[must_use]
    pub fn stored(&self) -> OptionList {
        let mut list = self.list();
        list.retain(|(option, _)| !OF_A_PROCESS.contains(option));
        list.push((CREATION, encode(&self.options)));
        list
    }

    /// What is fixed at creation, in all processes that share a limiter.
    #[must_use]
    pub fn stored_fixed(&self) -> OptionList {
        let mut list = self.list_fixed();
        list.retain(|(option, _)| !OF_A_PROCESS.contains(option));
        list
    }

    /// The config of which a file keeps these options; `None` where they are those of none.
    #[must_use]
    pub fn of_stored(stored: &[(String, String)]) -> Option<Self> {
        let (_, text) = stored.iter().find(|(option, _)| option == CREATION)?;
        decode(text)?.try_into().ok()
    }

    /// This config, with the options of `other` that are of one process.
    #[must_use]
    pub fn in_process_of(mut self, other: &Self) -> Self {
        self.options.scope = other.options.scope.clone();
        self.options.max_waiting = other.options.max_waiting;
        self
    }
}

/// `maxKeys overflow dryRun`, then `name limit window burst algorithm` of each limit. Names are in hexadecimal, so that no
/// name is taken for anything else.
fn encode(options: &RateLimiterOptions) -> String {
    let RateLimiterOptions { limits, max_keys, overflow, dry_run, .. } = options;
    let mut text = format!("{max_keys} {overflow} {dry_run}");
    for LimitOptions { name, quota: Quota { limit, window_ms, burst }, algorithm } in limits {
        let burst = burst.map_or_else(|| "none".to_owned(), |burst| burst.to_string());
        text.push_str(&format!(" {} {limit} {window_ms} {burst} {algorithm}", to_hex(name)));
    }
    text
}

fn decode(text: &str) -> Option<RateLimiterOptions> {
    let mut words = text.split(' ');
    let max_keys = words.next()?.parse().ok()?;
    let overflow = of_text(&OVERFLOWS, words.next()?)?;
    let dry_run = words.next()?.parse().ok()?;
    let mut limits = Vec::new();
    while let Some(name) = words.next() {
        let (name, limit, window_ms) =
            (of_hex(name)?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let burst = match words.next()? {
            "none" => None,
            burst => Some(burst.parse().ok()?),
        };
        let algorithm = of_text(&ALGORITHMS, words.next()?)?;
        limits.push(LimitOptions { name, quota: Quota { burst, ..Quota::new(limit, window_ms) }, algorithm });
    }
    Some(RateLimiterOptions { max_keys, overflow, dry_run, ..RateLimiterOptions::new(limits) })
}

fn of_text<T: Copy + ToString>(values: &[T], text: &str) -> Option<T> {
    values.iter().copied().find(|value| value.to_string() == text)
}

fn to_hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn of_hex(text: &str) -> Option<String> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let bytes = pairs.iter().map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    String::from_utf8(bytes.collect::<Option<_>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(config: &RateLimiterConfig) -> Vec<(String, String)> {
        config.stored().into_iter().map(|(option, value)| (option.to_owned(), value)).collect()
    }

    fn several() -> RateLimiterOptions {
        let limits = ["per second", "", "é; a: 1 per 2 ms by \"gcra\""].into_iter().zip(ALGORITHMS);
        let limits = limits.map(|(name, algorithm)| LimitOptions {
            name: name.to_owned(),
            quota: Quota { burst: (algorithm == AlgorithmKind::Gcra).then_some(7), ..Quota::new(10, 1_000) },
            algorithm,
        });
        RateLimiterOptions::new(limits.collect())
    }

    #[test]
    fn options_are_read_as_they_were_stored() {
        for algorithm in ALGORITHMS {
            for overflow in OVERFLOWS {
                let options = RateLimiterOptions::by(algorithm, 100, 60_000);
                let options = RateLimiterOptions { overflow, max_keys: 77, dry_run: true, ..options };
                let config = RateLimiterConfig::try_from(options).expect("valid");
                assert_eq!(RateLimiterConfig::of_stored(&stored(&config)), Some(config));
            }
        }
        let config = RateLimiterConfig::try_from(several()).expect("valid");
        assert_eq!(RateLimiterConfig::of_stored(&stored(&config)), Some(config));
    }

    #[test]
    fn options_of_a_process_are_not_stored() {
        let options = RateLimiterOptions { max_waiting: 5, ..several() };
        let config = RateLimiterConfig::try_from(options).expect("valid");
        assert!(stored(&config).iter().all(|(option, _)| option != "maxWaiting" && option != "scope"));
        let read = RateLimiterConfig::of_stored(&stored(&config)).expect("its own");
        assert_eq!(read.options.max_waiting, 10_000);
        assert_eq!(read.in_process_of(&config).options.max_waiting, 5);
    }

    #[test]
    fn other_texts_are_options_of_no_limiter() {
        let read = |text: &str| RateLimiterConfig::of_stored(&[(CREATION.to_owned(), text.to_owned())]);
        assert!(read("1000 \"evict\" false 61 10 1000 none \"gcra\"").is_some());
        for text in [
            "",
            "1000",
            "1000 \"evict\" false",
            "1000 \"evict\" false 61 10 1000 none",
            "1000 \"evict\" false 6 10 1000 none \"gcra\"",
            "1000 \"evict\" false ff 10 1000 none \"gcra\"",
            "1000 \"evict\" false zz 10 1000 none \"gcra\"",
            "1000 \"evict\" false 61 0 1000 none \"gcra\"",
            "1000 \"keep\" false 61 10 1000 none \"gcra\"",
            "1000 \"evict\" false 61 10 1000 none \"other\"",
            "99999999999 \"evict\" false 61 10 1000 none \"gcra\"",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(RateLimiterConfig::of_stored(&[]), None);
    }
}
