//! Statistics of a semaphore.

use std::collections::BTreeMap;

use crate::runtime::ThreadId;

/// Sums over all threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SemaphoreStats {
    /// Permits of each key, as they are in force.
    pub permits: u64,
    /// Permits held now.
    pub held: u64,
    /// Calls that wait now.
    pub waiting: u64,
    /// Keys of which permits are held or awaited now.
    pub keys: u64,
    /// Calls that received their permits, since creation.
    pub acquired: u64,
    /// Calls that did not: refused, or timed out.
    pub refused: u64,
    /// Hand-overs that were taken back from a thread that did not look in time.
    pub taken_back: u64,
    /// Permits held now, by thread.
    pub per_thread: BTreeMap<ThreadId, u64>,
}
