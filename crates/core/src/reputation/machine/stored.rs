//! The options of a reputation as a file of shared state keeps them: for people, and once more to be read back.

use crate::reputation::options::{ReputationConfig, ReputationOptions};
use crate::runtime::instances::OptionList;

/// The option that is read back. It says what the others say, but for the lists: these are in force by files.
const CREATION: &str = "creation";

/// Options of one process, in which the others need not agree.
const OF_A_PROCESS: [&str; 2] = ["scope", "persist"];

impl ReputationConfig {
    /// The options in which all processes agree that share a reputation.
    #[must_use]
    pub fn stored(&self) -> OptionList {
        let mut list = self.list();
        list.retain(|(option, _)| !OF_A_PROCESS.contains(option));
        list.push((CREATION, encode(self.options())));
        list
    }

    /// What is fixed at creation, in all processes that share a reputation.
    #[must_use]
    pub fn stored_fixed(&self) -> OptionList {
        let mut list = self.list_fixed();
        list.retain(|(option, _)| !OF_A_PROCESS.contains(option));
        list
    }

    /// The config of which a file keeps these options, without its lists; `None` where they are those of none.
    #[must_use]
    pub fn of_stored(stored: &[(String, String)]) -> Option<Self> {
        let (_, text) = stored.iter().find(|(option, _)| option == CREATION)?;
        decode(text)?.try_into().ok()
    }

    /// This config, with the lists of another.
    #[must_use]
    pub fn with_lists_of(mut self, other: &Self) -> Self {
        self.lists = other.lists.clone();
        self
    }
}

/// Numbers in the order of the options; those with a fraction by their bits.
fn encode(options: &ReputationOptions) -> String {
    let numbers = [
        options.max_failures,
        options.find_time_ms,
        options.ban_time_ms,
        options.ban_factor.to_bits(),
        options.max_ban_time_ms,
        options.jitter.to_bits(),
        options.ipv6_prefix.into(),
        options.max_clients,
    ];
    numbers.map(|number| number.to_string()).join(" ")
}

fn decode(text: &str) -> Option<ReputationOptions> {
    let numbers: Vec<u64> = text.split(' ').map(|number| number.parse().ok()).collect::<Option<_>>()?;
    let [max_failures, find_time, ban_time, ban_factor, max_ban_time, jitter, ipv6_prefix, max_clients] =
        *numbers
    else {
        return None;
    };
    Some(ReputationOptions {
        ban_factor: f64::from_bits(ban_factor),
        jitter: f64::from_bits(jitter),
        ipv6_prefix: ipv6_prefix.try_into().ok()?,
        max_clients,
        ..ReputationOptions::new(max_failures, find_time, ban_time, max_ban_time)
    })
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;
    use crate::reputation::options::PersistOptions;

    fn stored(config: &ReputationConfig) -> Vec<(String, String)> {
        config.stored().into_iter().map(|(option, value)| (option.to_owned(), value)).collect()
    }

    #[test]
    fn options_are_read_as_they_were_stored() {
        let options = ReputationOptions {
            ban_factor: 1.7,
            jitter: 0.3,
            ipv6_prefix: 56,
            max_clients: 77,
            ..ReputationOptions::new(5, 60_000, 1_000, 10_000)
        };
        let config = ReputationConfig::try_from(options).expect("valid");
        let read = ReputationConfig::of_stored(&stored(&config)).expect("its own");
        assert_eq!(read.stored(), config.stored());
        assert_eq!(read.stored_fixed(), config.stored_fixed());
    }

    #[test]
    fn options_of_one_process_are_not_stored() {
        let persist = Some(PersistOptions { path: "/tmp/a".to_owned(), every_ms: 1_000 });
        let options = ReputationOptions { persist, ..ReputationOptions::new(5, 60_000, 1_000, 10_000) };
        let config = ReputationConfig::try_from(options).expect("valid");
        assert!(config.is_persisted());
        assert!(config.stored().iter().all(|(option, _)| *option != "persist"));
    }

    #[test]
    fn other_texts_are_options_of_no_reputation() {
        let read = |text: &str| ReputationConfig::of_stored(&[(CREATION.to_owned(), text.to_owned())]);
        let whole = encode(&ReputationOptions::new(5, 60_000, 1_000, 10_000));
        assert!(read(&whole).is_some());
        for text in
            ["", "5", &whole[1..], &format!("{whole} 1"), &whole.replace("64", "999"), "x 1 1 1 1 1 1 1"]
        {
            assert!(read(text).is_none(), "{text}");
        }
        assert!(ReputationConfig::of_stored(&[]).is_none());
    }
}
