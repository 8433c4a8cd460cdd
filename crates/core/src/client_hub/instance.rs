//! A hub as a named instance.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::hub::ClientHub;
use super::options::ClientHubConfig;
use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};

impl Instance for ClientHub {
    const KIND: &'static str = "ClientHub";
    type Config = ClientHubConfig;

    fn create(name: &str, config: ClientHubConfig) -> Self {
        Self::new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &ClientHubConfig) -> OptionList {
        config.list_given()
    }

    fn list_all(config: &ClientHubConfig) -> OptionList {
        config.list()
    }

    /// Notifies every call that leads or waits.
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.empty();
    }

    /// Values beyond lower limits are evicted when the next value is kept.
    fn reconfigure(&self, _: &str, config: ClientHubConfig, is_empty: bool) -> Result<Option<Arc<Self>>> {
        let mut limits = self.limits.lock();
        *limits = if is_empty { config.limits() } else { config.limits_or(*limits) };
        Ok(None)
    }

    fn reset(&self) {
        self.empty();
        self.counters.reset();
    }

    fn thread_ended(&self, thread: ThreadId, now: u64) {
        Self::thread_ended(self, thread, now);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back.now);
    }
}
