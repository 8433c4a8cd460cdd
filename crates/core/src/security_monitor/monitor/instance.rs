//! The monitor as a named instance.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::SecurityMonitor;
use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::security_monitor::options::SecurityMonitorConfig;

impl Instance for SecurityMonitor {
    const KIND: &'static str = "SecurityMonitor";
    type Config = SecurityMonitorConfig;

    fn create(name: &str, config: SecurityMonitorConfig) -> Self {
        Self::new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &SecurityMonitorConfig) -> OptionList {
        config.list()
    }

    /// How much is kept.
    fn list_fixed(config: &SecurityMonitorConfig) -> OptionList {
        let is_fixed = |option: &str| ["history", "maxClients"].contains(&option);
        config.list().into_iter().filter(|(option, _)| is_fixed(option)).collect()
    }

    /// Rules that count as before keep their state; others begin empty.
    fn reconfigure(
        &self,
        _: &str,
        config: SecurityMonitorConfig,
        is_empty: bool,
    ) -> Result<Option<Arc<Self>>> {
        let _turn = self.changing.lock();
        let state = self.state.load();
        let next = if is_empty { state.emptied(config) } else { state.judged_by(config) };
        self.state.store(Arc::new(next));
        if is_empty {
            state.free();
        }
        Ok(None)
    }

    fn reset(&self) {
        let _turn = self.changing.lock();
        let state = self.state.load();
        self.state.store(Arc::new(state.emptied(state.config.clone())));
        state.free();
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.subscribers.end();
        self.state.load().free();
    }

    fn thread_ended(&self, thread: ThreadId, _: u64) {
        Self::thread_ended(self, thread);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back.now);
    }
}

impl fmt::Debug for SecurityMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityMonitor").field("name", &self.name).finish_non_exhaustive()
    }
}
