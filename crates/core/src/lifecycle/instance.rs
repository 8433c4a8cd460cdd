//! A lifecycle as a named instance of the process.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Lifecycle;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::{Result, ThreadId};

impl Instance for Lifecycle {
    const KIND: &'static str = "Lifecycle";
    type Config = ();

    fn create(name: &str, (): ()) -> Self {
        Self::new(name)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options((): &()) -> OptionList {
        OptionList::new()
    }

    fn reconfigure(&self, _: &str, (): (), _: bool) -> Result<Option<Arc<Self>>> {
        Ok(None)
    }

    /// The lifecycle is starting again. Members stay, and are notified.
    fn reset(&self) {
        let mut membership = self.membership.lock();
        membership.shutdown = None;
        self.tokens.reset();
        self.resets.fetch_add(1, Ordering::AcqRel);
        self.state.reset();
        membership.notify();
    }

    fn close(&self) {
        let mut membership = self.membership.lock();
        self.state.destroy();
        // A member that awaits something finds the lifecycle destroyed.
        membership.notify();
        membership.members.clear();
        self.subscribers.end();
    }

    fn thread_ended(&self, thread: ThreadId, now: u64) {
        Self::thread_ended(self, thread, now);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back);
    }
}
