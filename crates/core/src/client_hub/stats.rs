//! Statistics of a hub.

/// Sums over all threads since creation. `remembered` and the last four are of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientHubStats {
    /// Calls answered with a fresh value.
    pub hits: u64,
    /// Calls answered with a stale value.
    pub stale: u64,
    /// Calls that waited for an initialiser, their own or another call's.
    pub misses: u64,
    /// Runs of initialisers that began.
    pub initialisations: u64,
    /// Runs that failed.
    pub failures: u64,
    /// Runs that took too long.
    pub timeouts: u64,
    /// Runs that passed from a leader that did not finish to a pending call.
    pub handovers: u64,
    /// Values evicted for others.
    pub evictions: u64,
    /// Expired values removed, by a call for their key or by an eviction.
    pub expired: u64,
    /// Values not kept because each alone exceeds `maxBytes`.
    pub too_large: u64,
    /// Calls rejected with a remembered error.
    pub rejected: u64,
    /// Remembered errors. An expired one counts until its key is asked for.
    pub remembered: u64,
    /// Values kept. An expired one counts until it is removed.
    pub entries: u64,
    /// Bytes of these values and of their keys.
    pub bytes: u64,
    /// Calls pending on the initialiser of another call.
    pub waiting: u64,
    /// Initialisers that run.
    pub initialising: u64,
}
