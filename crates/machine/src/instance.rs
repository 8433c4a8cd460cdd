//! The limiter of all processes as a named instance of one.

use std::sync::Arc;

use sluice_core::runtime::clock::SetBack;
use sluice_core::{Instance, OnMismatch, OptionList, RateLimiter, Result, ThreadId};

use crate::directory::Directory;
use crate::limiter::{SharedLimiter, SharedLimiterConfig};

impl Instance for SharedLimiter {
    const KIND: &'static str = RateLimiter::KIND;
    type Config = SharedLimiterConfig;

    fn create(name: &str, config: SharedLimiterConfig) -> Self {
        Self::try_create(name, config).expect("a file that can be shared")
    }

    fn try_create(name: &str, config: SharedLimiterConfig) -> Result<Self> {
        let SharedLimiterConfig { directory, config, on_mismatch } = config;
        let directory = Directory::open(directory)?;
        Ok(Self::open_with(&directory, name, config, on_mismatch)?)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &SharedLimiterConfig) -> OptionList {
        RateLimiter::list_options(&config.config)
    }

    fn close(&self) {
        self.detach();
    }

    fn list_fixed(config: &SharedLimiterConfig) -> OptionList {
        RateLimiter::list_fixed(&config.config)
    }

    /// After a test's reset the limiter may be replaced by one of any options, if no other process is attached.
    fn reconfigure(
        &self,
        name: &str,
        config: SharedLimiterConfig,
        is_empty: bool,
    ) -> Result<Option<Arc<Self>>> {
        let is_changeable =
            RateLimiter::list_fixed(&self.limiter().config()) == RateLimiter::list_fixed(&config.config);
        let is_alone = self.shared().attached().len() <= 1;
        let is_wanted = is_alone || config.on_mismatch == OnMismatch::Reconfigure;
        if !is_empty || (is_changeable && is_wanted) {
            self.reconfigure_to(config.config)?;
            return Ok(None);
        }
        // An error where other processes are attached; this one stays attached then.
        if self.directory != config.directory || !is_alone {
            let successor = Self::try_create(name, config)?;
            self.detach();
            return Ok(Some(self.succeed_by(successor)));
        }
        // The file is replaced only where this process gives it back before.
        self.detach();
        Ok(Some(self.succeed_by(Self::try_create(name, config)?)))
    }

    /// What processes share stays as it is.
    fn reset(&self) {}

    fn thread_ended(&self, _: ThreadId, _: u64) {}

    /// The clock of a file is never set.
    fn clock_was_set_back(&self, _: SetBack) {}
}
