//! What the engine asks of the file that its state lies in.

use crate::runtime::key_hash::KeyHasher;

/// The file of state that processes share, and what the system knows of them.
pub trait Host: Send + Sync {
    /// The time that all processes decide by, in nanoseconds.
    fn now(&self) -> u64;

    /// The time for a call, on whose way the processes are looked after where that is due.
    fn now_for_call(&self) -> u64 {
        self.now()
    }

    /// The hash function of keys, the same in each process.
    fn hasher(&self) -> &KeyHasher;

    /// Finds out which processes died, at most once a millisecond. True where one was found.
    fn look_after(&self) -> bool;
}
