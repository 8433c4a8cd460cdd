//! What is counted.

/// Counts over all threads since creation, and the state now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReputationStats {
    /// Failures counted against somebody, by weight.
    pub failures: u64,
    /// Automatic bans.
    pub bans: u64,
    /// Bans made by hand.
    pub manual_bans: u64,
    /// Bans ended by hand.
    pub unbans: u64,
    /// Failures and bans of clients for whom there was no place, as all others are banned.
    pub untracked: u64,
    /// Clients forgotten whose failures or past bans still counted.
    pub evicted: u64,
    /// Clients banned now.
    pub banned: u64,
    /// Ranges banned now.
    pub ranges: u64,
    /// Ranges in the list of those allowed.
    pub allow: u64,
    /// Ranges in the list of those denied.
    pub deny: u64,
    /// Clients remembered now.
    pub size: u64,
    /// Most clients remembered at once.
    pub capacity: u64,
}
