//! A tracker as a named instance of the process.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arc_swap::Guard;

use super::ConnectionTracker;
use super::options::ConnectionTrackerConfig;
use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};

/// Options that say how clients are named, and with which machines they are counted: those that are connected have names.
const FIXED: [&str; 3] = ["clients", "ipv6Prefix", "scope"];

impl Instance for ConnectionTracker {
    const KIND: &'static str = "ConnectionTracker";
    type Config = ConnectionTrackerConfig;

    fn create(name: &str, config: ConnectionTrackerConfig) -> Self {
        Self::new(name, config)
    }

    fn try_create(name: &str, config: ConnectionTrackerConfig) -> Result<Self> {
        Self::try_new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &ConnectionTrackerConfig) -> OptionList {
        config.list()
    }

    fn list_fixed(config: &ConnectionTrackerConfig) -> OptionList {
        config.list().into_iter().filter(|(option, _)| FIXED.contains(option)).collect()
    }

    /// Open connections stay open, even if they are more than the new options allow.
    fn reconfigure(&self, name: &str, config: ConnectionTrackerConfig, _: bool) -> Result<Option<Arc<Self>>> {
        loop {
            let in_force = Guard::into_inner(self.in_force());
            let next = in_force.replaced_by(name, config.clone())?;
            match &self.sharing {
                Some(sharing) if !sharing.replace(&self.in_force, &in_force, &next)? => {}
                Some(_) => return Ok(None),
                None => {
                    self.in_force.store(Arc::new(next));
                    return Ok(None);
                }
            }
        }
    }

    /// Sockets stay open, and no longer count. What processes share stays: others count on it.
    fn reset(&self) {
        for connection in self.select(|_| true) {
            self.forget(&connection);
        }
        if self.sharing.is_some() {
            return;
        }
        if let Some(opens) = &self.in_force.load().opens {
            Instance::reset(&**opens);
        }
        self.counters.reset();
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if self.sharing.is_some() {
            // Other processes go on, and would count them.
            for connection in self.select(|_| true) {
                self.forget(&connection);
            }
        }
        if let Some(opens) = &self.in_force.load().opens {
            Instance::close(&**opens);
        }
        self.subscribers.end();
        for (sink, subscription) in self.draining.lock().drain(..) {
            sink.destroyed(subscription);
        }
    }

    fn thread_ended(&self, thread: ThreadId, _: u64) {
        Self::thread_ended(self, thread);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back);
    }
}
