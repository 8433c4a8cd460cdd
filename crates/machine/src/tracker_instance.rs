//! The tracker of all processes as a named instance of one.

use std::sync::Arc;

use sluice_core::runtime::clock::SetBack;
use sluice_core::{ConnectionTracker, Error, Instance, OptionList, Result, ThreadId};

use crate::directory::Directory;
use crate::tracker::{SharedTracker, SharedTrackerConfig, list_fixed, list_options};

impl Instance for SharedTracker {
    const KIND: &'static str = ConnectionTracker::KIND;
    type Config = SharedTrackerConfig;

    fn create(name: &str, config: SharedTrackerConfig) -> Self {
        Self::try_create(name, config).expect("a file that can be shared")
    }

    fn try_create(name: &str, config: SharedTrackerConfig) -> Result<Self> {
        let SharedTrackerConfig { directory, config, on_mismatch } = config;
        let directory = Directory::open(directory)?;
        Ok(Self::open_with(&directory, name, config, on_mismatch)?)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &SharedTrackerConfig) -> OptionList {
        list_options(&config.config, &config.directory)
    }

    fn close(&self) {
        self.detach();
    }

    fn list_fixed(config: &SharedTrackerConfig) -> OptionList {
        list_fixed(&config.config, &config.directory)
    }

    /// Other processes may be attached, so that what is fixed stays, also after a test's reset.
    fn reconfigure(&self, name: &str, config: SharedTrackerConfig, _: bool) -> Result<Option<Arc<Self>>> {
        let before = list_fixed(&self.tracker().config(), self.directory());
        for ((option, existing), (_, given)) in before.into_iter().zip(Self::list_fixed(&config)) {
            if existing != given {
                return Err(Error::ConfigMismatch { name: name.to_owned(), option, existing, given });
            }
        }
        self.reconfigure_to(name, config.config)?;
        Ok(None)
    }

    /// Sockets stay open, and no longer count. What other processes count on stays.
    fn reset(&self) {
        Instance::reset(&**self.tracker());
    }

    fn thread_ended(&self, thread: ThreadId, now: u64) {
        Instance::thread_ended(&**self.tracker(), thread, now);
    }

    /// The clock of a file is never set.
    fn clock_was_set_back(&self, set_back: SetBack) {
        Instance::clock_was_set_back(&**self.tracker(), set_back);
    }
}
