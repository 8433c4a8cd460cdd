//! What is told of a hub.

/// Sums over all threads since creation, and what there is now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHubStats {
    /// Calls answered with a fresh value.
    pub hits: u64,
    /// Calls answered with a stale one.
    pub stale: u64,
    /// Calls that had to wait for an initialiser, their own or another's.
    pub misses: u64,
    /// Initialisers that were begun.
    pub initialisations: u64,
    /// Initialisers that failed.
    pub failures: u64,
    /// Initialisers that took too long.
    pub timeouts: u64,
    /// How often a waiter took over from an initialiser that was not to finish.
    pub handovers: u64,
    /// Values pushed out by others.
    pub evictions: u64,
    /// Values whose time was over when somebody asked for them, or when a place was needed.
    pub expired: u64,
    /// Values that alone are larger than all that may be kept.
    pub too_large: u64,
    /// Calls rejected with a remembered error.
    pub rejected: u64,
    /// Remembered errors; an expired one counts until its key is asked for.
    pub remembered: u64,
    /// Values kept now, those whose time is over among them until somebody comes by.
    pub entries: u64,
    /// Bytes of these and of their keys.
    pub bytes: u64,
    /// Calls that wait for the initialiser of another call, now.
    pub waiting: u64,
    /// Initialisers that run now.
    pub initialising: u64,
}
