//! Options of a hub, and what of them is valid.

use super::shelf::Limits;
use super::slot::Slot;
use crate::runtime::instances::{OptionList, or_none};
use crate::runtime::memory;
use crate::{Error, Result};

const DEFAULT_MAX_ENTRIES: u64 = 10_000;
const MOST_ENTRIES: u64 = 10_000_000;

/// Options as a user gives them. What is left out has its default where the hub is created, and is not compared
/// where it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHubOptions {
    /// Most values kept at once.
    pub max_entries: Option<u64>,
    /// Most bytes of values and keys kept at once. `None`: as many as there are.
    pub max_bytes: Option<u64>,
}

/// Valid options.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientHubConfig {
    given: ClientHubOptions,
}

impl ClientHubConfig {
    pub(super) fn max_entries(&self) -> u64 {
        self.given.max_entries.unwrap_or(DEFAULT_MAX_ENTRIES)
    }

    pub(super) fn max_bytes(&self) -> u64 {
        self.given.max_bytes.unwrap_or(u64::MAX)
    }

    /// What is given, and of the rest what was before.
    pub(super) fn limits_or(&self, before: Limits) -> Limits {
        Limits {
            entries: self.given.max_entries.unwrap_or(before.entries),
            bytes: self.given.max_bytes.unwrap_or(before.bytes),
        }
    }

    /// All options, as the hub has them.
    pub(super) fn list(&self) -> OptionList {
        vec![("maxEntries", self.max_entries().to_string()), ("maxBytes", or_none(self.given.max_bytes))]
    }

    /// Those that were given.
    pub(super) fn list_given(&self) -> OptionList {
        let ClientHubOptions { max_entries, max_bytes } = self.given;
        let given = [("maxEntries", max_entries), ("maxBytes", max_bytes)];
        given.into_iter().filter_map(|(name, value)| Some((name, value?.to_string()))).collect()
    }
}

impl TryFrom<ClientHubOptions> for ClientHubConfig {
    type Error = Error;

    fn try_from(given: ClientHubOptions) -> Result<Self> {
        check("maxEntries", given.max_entries, MOST_ENTRIES)?;
        memory::check("ClientHub maxEntries", given.max_entries.unwrap_or(0), Slot::BYTES)?;
        check("maxBytes", given.max_bytes, u64::MAX)?;
        Ok(Self { given })
    }
}

fn check(option: &str, given: Option<u64>, most: u64) -> Result<()> {
    match given {
        Some(number) if number == 0 || number > most => Err(Error::invalid_option(
            &format!("ClientHub {option}"),
            number,
            format!("an integer from 1 to {most}"),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_hub_that_keeps_nothing() {
        for options in [
            ClientHubOptions { max_entries: Some(0), max_bytes: None },
            ClientHubOptions { max_entries: Some(MOST_ENTRIES + 1), max_bytes: None },
            ClientHubOptions { max_entries: None, max_bytes: Some(0) },
        ] {
            assert_eq!(ClientHubConfig::try_from(options).expect_err("refused").code(), "INVALID_OPTION");
        }
    }

    #[test]
    fn lists_what_was_given_for_comparison_and_all_for_those_who_compare() {
        let config = ClientHubConfig::try_from(ClientHubOptions { max_entries: None, max_bytes: Some(7) });
        let config = config.expect("valid");
        assert_eq!(config.list_given(), [("maxBytes", "7".to_owned())]);
        assert_eq!(config.list(), [("maxEntries", "10000".to_owned()), ("maxBytes", "7".to_owned())]);
    }
}
