//! Statistics of a monitor.

/// Counts over all threads since creation, and the current size of the set of clients and of the history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityMonitorStats {
    /// Events recorded.
    pub recorded: u64,
    /// Alerts raised, those that ban among them.
    pub alerts: u64,
    /// Events that met a muted rule, once per rule.
    pub muted: u64,
    /// Bans requested by rules.
    pub bans: u64,
    /// Of them, those that were not carried out.
    pub bans_failed: u64,
    /// Clients tracked now.
    pub clients: u64,
    /// Clients evicted for new ones.
    pub evictions: u64,
    /// Events in the history.
    pub history_size: u64,
    /// Events that are no longer in it.
    pub history_forgotten: u64,
}
