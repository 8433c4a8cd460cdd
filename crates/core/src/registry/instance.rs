//! The registry as a named instance.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Registry, Shown};
use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};

impl Instance for Registry {
    const KIND: &'static str = "Registry";
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

    /// Removes every value, without events. The version goes on, so no thread takes an old value for a new one.
    fn reset(&self) {
        let _writers = self.writing.lock();
        let version = self.snapshot.load().version + 1;
        self.publish(version, HashMap::new());
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        // After the last write, so that it stays closed.
        let _writers = self.writing.lock();
        for Shown { cells, at, .. } in self.shown.lock().drain(..) {
            cells.show_closed(at);
        }
        self.subscribers.end();
    }

    fn thread_ended(&self, thread: ThreadId, _: u64) {
        self.subscribers.thread_ended(thread);
        self.shown.lock().retain(|shown| shown.thread != thread);
    }

    /// A registry has no times.
    fn clock_was_set_back(&self, _: SetBack) {}
}
