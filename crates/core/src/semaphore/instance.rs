//! A semaphore as a named instance.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::calls::Semaphore;
use super::options::SemaphoreConfig;
use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};

impl Instance for Semaphore {
    const KIND: &'static str = "Semaphore";
    type Config = SemaphoreConfig;

    fn create(name: &str, config: SemaphoreConfig) -> Self {
        Self::new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &SemaphoreConfig) -> OptionList {
        config.list()
    }

    /// Notifies every call that waits.
    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.empty(false);
    }

    /// Permits that are held stay held, even if they are more than the new options allow.
    fn reconfigure(&self, _: &str, config: SemaphoreConfig, _: bool) -> Result<Option<Arc<Self>>> {
        self.adopt(config);
        Ok(None)
    }

    fn reset(&self) {
        self.empty(true);
        self.counters.reset();
    }

    fn thread_ended(&self, thread: ThreadId, _: u64) {
        Self::thread_ended(self, thread);
    }

    /// The time of a hand-over is that of the clock that no test moves.
    fn clock_was_set_back(&self, _: SetBack) {}
}
