//! The counter as a named instance.

use std::sync::Arc;

use super::counter::HitCounter;
use super::options::HitCounterConfig;
use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};

impl Instance for HitCounter {
    const KIND: &'static str = "HitCounter";
    type Config = HitCounterConfig;

    fn create(name: &str, config: HitCounterConfig) -> Self {
        Self::try_new(name, &config).expect("memory for its keys")
    }

    fn try_create(name: &str, config: HitCounterConfig) -> Result<Self> {
        Self::try_new(name, &config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &HitCounterConfig) -> OptionList {
        config.list()
    }

    fn close(&self) {
        self.contents.retire();
    }

    fn list_fixed(config: &HitCounterConfig) -> OptionList {
        config.list_fixed()
    }

    /// All options are fixed, so only an empty counter gets others: another one replaces it.
    fn reconfigure(&self, name: &str, config: HitCounterConfig, is_empty: bool) -> Result<Option<Arc<Self>>> {
        if !is_empty || self.fixed == config.list_fixed() {
            return Ok(None);
        }
        let successor = Arc::new(Self::try_new(name, &config)?);
        // It is closed after its successor can be found.
        let successor = self.successor.get_or_init(|| successor);
        Instance::close(self);
        Ok(Some(Arc::clone(successor)))
    }

    fn reset(&self) {
        if let Some(contents) = self.contents.enter() {
            contents.reset();
        }
    }

    /// Hits belong to keys, and thread-local handles are dropped with their thread.
    fn thread_ended(&self, _: ThreadId, _: u64) {}

    fn clock_was_set_back(&self, set_back: SetBack) {
        if let Some(contents) = self.contents.enter() {
            contents.clock_was_set_back(set_back.now);
        }
    }
}
