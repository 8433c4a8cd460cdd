//! Repairs after the death of a process, in a thread of their own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::shared::Shared;

/// One repair of an instance at a time.
#[derive(Debug, Default)]
pub(crate) struct Repairs {
    is_running: Arc<AtomicBool>,
}

impl Repairs {
    /// Has `mend` called in another thread, if there is anything to mend. It answers whether it did.
    pub(crate) fn begin(&self, shared: &Arc<Shared>, mend: impl FnOnce() -> bool + Send + 'static) {
        if !shared.processes().to_repair().is_needed() || self.is_running.swap(true, Ordering::SeqCst) {
            return;
        }
        let (shared, is_running) = (Arc::clone(shared), Arc::clone(&self.is_running));
        let repairs = thread::Builder::new().name("sluice-repair".to_owned()).spawn(move || {
            repair(&shared, mend);
            is_running.store(false, Ordering::SeqCst);
        });
        if repairs.is_err() {
            // The next look finds the same.
            self.is_running.store(false, Ordering::SeqCst);
        }
    }
}

/// Mends what dead processes left, in the calling thread.
pub(crate) fn repair(shared: &Shared, mend: impl FnOnce() -> bool) {
    let needed = shared.processes().to_repair();
    if needed.is_needed() && mend() {
        shared.processes().repaired(needed);
    }
}
