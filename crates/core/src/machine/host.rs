//! What the engine asks of the file that its state lies in.

use crate::runtime::key_hash::KeyHasher;

/// The file of state that processes share, and what the system knows of them.
pub trait Host: Send + Sync {
    /// The time that all processes decide by, in nanoseconds.
    fn now(&self) -> u64;

    /// The hash function of keys, the same in each process.
    fn hasher(&self) -> &KeyHasher;

    /// Finds out which processes died, at most once a millisecond. True where one was found.
    fn look_after(&self) -> bool;
}
