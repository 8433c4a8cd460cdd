//! The limiter as a named instance.

use std::sync::Arc;

use super::config::RateLimiterConfig;
use super::limiter::RateLimiter;
use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::{self, SetBack};
use crate::runtime::instances::{Instance, OptionList};

impl Instance for RateLimiter {
    const KIND: &'static str = "RateLimiter";
    type Config = RateLimiterConfig;

    fn create(name: &str, config: RateLimiterConfig) -> Self {
        Self::new(name, config)
    }

    fn try_create(name: &str, config: RateLimiterConfig) -> Result<Self> {
        Self::try_new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &RateLimiterConfig) -> OptionList {
        config.list()
    }

    fn close(&self) {
        self.in_force.close();
        // After: a call that joins a line later finds the limiter closed.
        if let Some(contents) = self.contents.enter() {
            contents.lines.close();
        }
        self.contents.retire();
    }

    /// What the table is made for.
    fn list_fixed(config: &RateLimiterConfig) -> OptionList {
        config.list_fixed()
    }

    fn reconfigure(
        &self,
        name: &str,
        config: RateLimiterConfig,
        is_empty: bool,
    ) -> Result<Option<Arc<Self>>> {
        let in_force = self.config();
        if !is_empty {
            Self::reconfigure(self, config.options, clock::read)?;
            return Ok(None);
        }
        // An empty limiter takes any options. Where its words cannot hold them, another limiter replaces it.
        let fits = in_force.list_fixed() == config.list_fixed();
        if fits && Self::reconfigure(self, config.options.clone(), clock::read).is_ok() {
            return Ok(None);
        }
        let generation = in_force.generation + 1;
        let successor = Arc::new(Self::try_new(name, RateLimiterConfig { generation, ..config })?);
        // It is closed after its successor can be found.
        let successor = self.successor.get_or_init(|| successor);
        Instance::close(self);
        Ok(Some(Arc::clone(successor)))
    }

    /// What processes share stays as it is: others count on it, and have counters that this one cannot set.
    fn reset(&self) {
        if self.in_force.is_shared() {
            return;
        }
        if let Some(contents) = self.contents.enter() {
            contents.reset();
            self.counts_of_handles.reset();
        }
    }

    /// Thread-local handles are dropped with their thread, and charges belong to keys. Calls that wait leave.
    fn thread_ended(&self, thread: ThreadId, now: u64) {
        self.end_waits_of(thread, now);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back);
    }
}
