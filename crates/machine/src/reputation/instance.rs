//! The reputation of all processes as a named instance of one.

use std::sync::Arc;

use sluice_core::runtime::clock::SetBack;
use sluice_core::{Error, Instance, OptionList, Reputation, Result, ThreadId};

use super::{SharedReputation, SharedReputationConfig};
use crate::directory::Directory;

impl Instance for SharedReputation {
    const KIND: &'static str = Reputation::KIND;
    type Config = SharedReputationConfig;

    fn create(name: &str, config: SharedReputationConfig) -> Self {
        Self::try_create(name, config).expect("a file that can be shared")
    }

    fn try_create(name: &str, config: SharedReputationConfig) -> Result<Self> {
        let created_with = Self::list_options(&config);
        let SharedReputationConfig { directory, config, on_mismatch } = config;
        let directory = Directory::open(directory)?;
        Ok(Self { created_with, ..Self::open_with(&directory, name, config, on_mismatch)? })
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    /// With the scope, in which all threads agree.
    fn list_options(config: &SharedReputationConfig) -> OptionList {
        in_scope(Reputation::list_options(&config.config), config)
    }

    fn list_fixed(config: &SharedReputationConfig) -> OptionList {
        in_scope(Reputation::list_fixed(&config.config), config)
    }

    fn close(&self) {
        self.detach();
    }

    /// What is fixed at creation stays so after a test's reset: other processes may use it.
    fn reconfigure(
        &self,
        name: &str,
        config: SharedReputationConfig,
        is_empty: bool,
    ) -> Result<Option<Arc<Self>>> {
        let fixed = Self::list_fixed(&config);
        let differs = |(option, given): &(&'static str, String)| {
            let existing = self.created_with.iter().find(|(known, _)| known == option)?.1.clone();
            (existing != *given).then(|| (*option, existing, given.clone()))
        };
        match fixed.iter().find_map(differs) {
            Some((option, existing, given)) if is_empty => {
                let given = format!("{given}, which is fixed at creation");
                Err(Error::ConfigMismatch { name: name.to_owned(), option, existing, given })
            }
            _ => Instance::reconfigure(&**self.reputation(), name, config.config, false).map(|_| None),
        }
    }

    /// What processes share stays as it is.
    fn reset(&self) {}

    /// Its subscriptions.
    fn thread_ended(&self, thread: ThreadId, now: u64) {
        Instance::thread_ended(&**self.reputation(), thread, now);
    }

    /// The clock of a file is never set.
    fn clock_was_set_back(&self, _: SetBack) {}
}

/// The options, with the scope of the machine.
fn in_scope(mut list: OptionList, config: &SharedReputationConfig) -> OptionList {
    list.retain(|(option, _)| *option != "scope");
    list.push(("scope", format!("shared {:?}", config.directory.display().to_string())));
    list
}
