//! Options of a semaphore.

use crate::runtime::instances::OptionList;
use crate::runtime::options::{Accepts, options};
use crate::{Error, Result};

options! {
    /// Options as a user gives them.
    pub struct SemaphoreOptions of "Semaphore" {
        /// Permits for each key; without keys there is one.
        permits: u64 = "permits", Accepts::up_to(1_000_000_000), required as permits;
        /// Most calls that wait at once, over all keys and threads.
        max_waiting: u64 = "maxWaiting", Accepts::up_to(1_000_000), default 10_000;
    }
}

/// Valid options.
#[derive(Clone, Debug)]
pub struct SemaphoreConfig {
    pub(super) options: SemaphoreOptions,
}

impl TryFrom<SemaphoreOptions> for SemaphoreConfig {
    type Error = Error;

    fn try_from(options: SemaphoreOptions) -> Result<Self> {
        options.check_ranges()?;
        Ok(Self { options })
    }
}

impl SemaphoreConfig {
    /// The options as the user would read them.
    pub(super) fn list(&self) -> OptionList {
        self.options.list()
    }
}
