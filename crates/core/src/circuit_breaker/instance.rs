//! A breaker as a named instance.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::breaker::CircuitBreaker;
use super::options::CircuitBreakerConfig;
use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};

impl Instance for CircuitBreaker {
    const KIND: &'static str = "CircuitBreaker";
    type Config = CircuitBreakerConfig;

    fn create(name: &str, config: CircuitBreakerConfig) -> Self {
        Self::new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &CircuitBreakerConfig) -> OptionList {
        config.options.list()
    }

    fn list_fixed(config: &CircuitBreakerConfig) -> OptionList {
        config.options.list_fixed()
    }

    /// Circuits keep their state. Later calls are judged by the new options.
    fn reconfigure(&self, _: &str, config: CircuitBreakerConfig, _: bool) -> Result<Option<Arc<Self>>> {
        self.targets.set_capacity(config.capacity());
        self.timeout_ms.store(config.options.timeout_ms.unwrap_or(0), Ordering::Relaxed);
        self.config.store(Arc::new(config));
        Ok(None)
    }

    /// Removes all circuits, without events. Their permits report to none.
    fn reset(&self) {
        self.targets.clear();
        self.counters.reset();
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.subscribers.end();
    }

    fn thread_ended(&self, thread: ThreadId, _: u64) {
        Self::thread_ended(self, thread);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back.now);
    }
}
