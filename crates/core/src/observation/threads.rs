//! How busy each thread is, as it reports itself.

use std::collections::BTreeMap;

use crate::runtime::ThreadId;

/// A thread's event loop in the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ThreadLoad {
    /// Node's id of the thread.
    pub thread_id: u32,
    /// The share of time that its event loop was busy, from 0 to 1.
    pub utilization: f64,
    /// How late its timers were, in milliseconds: on average, the 99th percentile and the largest.
    pub delay_ms: [f64; 3],
    /// Bytes of its heap in use.
    pub heap_bytes: f64,
    /// When it reported, in UTC milliseconds.
    pub at_ms: f64,
}

/// The latest report of each thread that lives.
#[derive(Debug, Default)]
pub struct ThreadLoads(BTreeMap<u64, ThreadLoad>);

impl ThreadLoads {
    pub(super) const fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Takes a thread's report.
    pub fn report(&mut self, ThreadId(thread): ThreadId, load: ThreadLoad) {
        self.0.insert(thread, load);
    }

    /// The latest report of each.
    #[must_use]
    pub fn all(&self) -> Vec<ThreadLoad> {
        self.0.values().copied().collect()
    }

    pub(super) fn remove(&mut self, ThreadId(thread): ThreadId) {
        self.0.remove(&thread);
    }
}
