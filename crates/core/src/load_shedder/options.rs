//! Options of a shedder and their validation.

use crate::runtime::instances::OptionList;
use crate::runtime::options::{Accepts, options};
use crate::{Error, Result};

/// The shortest and the longest target, in milliseconds. A lap of a few milliseconds is ordinary; a client waits seconds
/// at most.
const RANGE_MS: std::ops::RangeInclusive<u64> = 5..=10_000;

options! {
    /// Options of a shedder.
    #[derive(Eq)]
    pub struct LoadShedderOptions of "LoadShedder" {
        /// How long a request may wait for its event loop while the thread is behind.
        target_delay_ms: u64 = "targetDelay", Accepts::duration(), default 50;
    }
}

/// Valid options.
#[derive(Clone, Debug)]
pub struct LoadShedderConfig {
    pub(super) options: LoadShedderOptions,
}

impl LoadShedderConfig {
    pub(super) fn list(&self) -> OptionList {
        self.options.list()
    }
}

impl TryFrom<LoadShedderOptions> for LoadShedderConfig {
    type Error = Error;

    fn try_from(options: LoadShedderOptions) -> Result<Self> {
        options.check_ranges()?;
        if !RANGE_MS.contains(&options.target_delay_ms) {
            let given = format!("{} ms", options.target_delay_ms);
            let accepted = format!("a duration from {} ms to {} ms", RANGE_MS.start(), RANGE_MS.end());
            return Err(Error::invalid_option("LoadShedder targetDelay", given, accepted));
        }
        Ok(Self { options })
    }
}
