//! Numbers of changes that several threads hear of, so that they can be told apart.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that no other change of the process has.
#[must_use]
pub(crate) fn next_change() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only that it is another one matters.
    NEXT.fetch_add(1, Ordering::Relaxed)
}
