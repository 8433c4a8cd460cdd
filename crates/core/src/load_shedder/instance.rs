//! The shedder as a named instance.

use std::sync::Arc;

use super::options::LoadShedderConfig;
use super::shedder::LoadShedder;
use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};

impl Instance for LoadShedder {
    const KIND: &'static str = "LoadShedder";
    type Config = LoadShedderConfig;

    fn create(name: &str, config: LoadShedderConfig) -> Self {
        Self::new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &LoadShedderConfig) -> OptionList {
        config.list()
    }

    fn close(&self) {
        Self::close(self);
    }

    fn reconfigure(&self, _: &str, config: LoadShedderConfig, _: bool) -> Result<Option<Arc<Self>>> {
        self.replace(config);
        Ok(None)
    }

    fn reset(&self) {
        self.forget_counts();
        self.begin_anew();
    }

    /// Handles are dropped with their thread, and their reports with them.
    fn thread_ended(&self, _: ThreadId, _: u64) {}

    /// Laps and intervals of before would never end.
    fn clock_was_set_back(&self, _: SetBack) {
        self.begin_anew();
    }
}
