//! Shared memory in which a thread reads the versions of its instances without a call.

use std::sync::atomic::{AtomicI32, Ordering};

/// What an instance shows that is no more.
const CLOSED: i32 = -1;

/// Versions, each in a place that the reading thread gave its instance. A version is shown by its lowest 31 bits:
/// a reader compares it with the one it saw before, and two thousand million changes between two reads are none.
#[derive(Debug)]
pub struct VersionCells(Box<[AtomicI32]>);

impl VersionCells {
    /// Versions that a cell tells apart: it shows the remainder.
    pub const DISTINCT: u64 = 1 << 31;

    /// So many places.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self((0..count).map(|_| AtomicI32::new(CLOSED)).collect())
    }

    /// Where the cells lie: integers of 32 bits, which others may read.
    #[must_use]
    pub fn as_ptr(&self) -> *const AtomicI32 {
        self.0.as_ptr()
    }

    /// How many places there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there are always some")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes a version; ignored beyond the last cell. Release: a thread that reads it finds the value.
    pub(crate) fn show(&self, at: usize, version: u64) {
        if let Some(cell) = self.0.get(at) {
            cell.store((version % Self::DISTINCT) as i32, Ordering::Release);
        }
    }

    pub(crate) fn show_closed(&self, at: usize) {
        if let Some(cell) = self.0.get(at) {
            cell.store(CLOSED, Ordering::Release);
        }
    }
}
