//! Options of a hub and their validation.

use super::eviction_queue::Limits;
use super::slot::Slot;
use crate::rate_limiter::MAX_SAFE_INTEGER;
use crate::runtime::instances::OptionList;
use crate::runtime::memory;
use crate::runtime::options::{Accepts, options};
use crate::{Error, Result};

const DEFAULT_MAX_ENTRIES: u64 = 10_000;

options! {
    /// Options as a user gives them. An option that is left out has its default when the hub is created, and is not
    /// compared when it exists.
    pub struct ClientHubOptions of "ClientHub" {
        /// Most values kept at once. `None`: the default, 10 000.
        max_entries: Option<u64> = "maxEntries", Accepts::up_to(10_000_000);
        /// Most bytes of values and keys kept at once. `None`: no limit.
        max_bytes: Option<u64> = "maxBytes", Accepts::up_to(MAX_SAFE_INTEGER);
    }
}

/// Valid options.
#[derive(Clone, Debug)]
pub struct ClientHubConfig {
    given: ClientHubOptions,
}

impl ClientHubConfig {
    /// The limits of a new hub.
    pub(super) fn limits(&self) -> Limits {
        self.limits_or(Limits { entries: DEFAULT_MAX_ENTRIES, bytes: u64::MAX })
    }

    /// The limits of a hub that exists: `current` where an option is left out.
    pub(super) fn limits_or(&self, current: Limits) -> Limits {
        Limits {
            entries: self.given.max_entries.unwrap_or(current.entries),
            bytes: self.given.max_bytes.unwrap_or(current.bytes),
        }
    }

    /// All options of a new hub.
    pub(super) fn list(&self) -> OptionList {
        let max_entries = self.given.max_entries.or(Some(DEFAULT_MAX_ENTRIES));
        ClientHubOptions { max_entries, ..self.given.clone() }.list()
    }

    /// The options that were given.
    pub(super) fn list_given(&self) -> OptionList {
        let is_given = [self.given.max_entries.is_some(), self.given.max_bytes.is_some()];
        let options = self.given.list().into_iter().zip(is_given);
        options.filter_map(|(option, is_given)| is_given.then_some(option)).collect()
    }
}

impl TryFrom<ClientHubOptions> for ClientHubConfig {
    type Error = Error;

    fn try_from(given: ClientHubOptions) -> Result<Self> {
        given.check_ranges()?;
        memory::check("ClientHub maxEntries", given.max_entries.unwrap_or(0), Slot::BYTES)?;
        Ok(Self { given })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_of_zero_or_beyond_its_range_is_refused() {
        for (max_entries, max_bytes) in
            [(Some(0), None), (Some(10_000_001), None), (None, Some(0)), (None, Some(MAX_SAFE_INTEGER + 1))]
        {
            let options = ClientHubOptions { max_entries, max_bytes };
            assert_eq!(ClientHubConfig::try_from(options).expect_err("refused").code(), "INVALID_OPTION");
        }
    }

    #[test]
    fn only_given_options_are_compared_with_all_options_in_force() {
        let config = ClientHubConfig::try_from(ClientHubOptions { max_entries: None, max_bytes: Some(7) });
        let config = config.expect("valid");
        assert_eq!(config.list_given(), [("maxBytes", "7".to_owned())]);
        assert_eq!(config.list(), [("maxEntries", "10000".to_owned()), ("maxBytes", "7".to_owned())]);
    }
}
