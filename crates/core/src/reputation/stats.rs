//! Statistics of a reputation.

/// Counts over all threads since creation, and the state now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReputationStats {
    /// Failures counted, by weight.
    pub failures: u64,
    /// Automatic bans.
    pub bans: u64,
    /// Manual bans.
    pub manual_bans: u64,
    /// Bans ended by `unban`.
    pub unbans: u64,
    /// Failures and bans that were not stored, as every place was held by a banned client.
    pub untracked: u64,
    /// Clients evicted while their failures or past bans still counted.
    pub evicted: u64,
    /// Clients banned now.
    pub banned: u64,
    /// Ranges banned now.
    pub ranges: u64,
    /// Ranges in the allow list.
    pub allow: u64,
    /// Ranges in the deny list.
    pub deny: u64,
    /// Clients tracked now.
    pub size: u64,
    /// Most clients tracked at once.
    pub capacity: u64,
}
