//! What subscribers hear of bans.

use super::verdict::Ban;

/// What put a ban in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanCause {
    /// The failures of its client.
    Failures,
    /// A rule of a security monitor.
    Rule,
    /// A call of `ban`.
    Manual,
    /// A file that was loaded.
    File,
    /// Another process that shares the bans.
    Fleet,
}

/// What happened to a ban.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BanChange {
    /// It is in force.
    Banned {
        /// In place of a ban that would have ended earlier.
        is_extended: bool,
    },
    /// `unban` ended it.
    Unbanned,
    /// Its time has passed.
    Expired,
}

/// A ban that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanEvent {
    /// No other change of the process has it.
    pub number: u64,
    /// What happened.
    pub change: BanChange,
    /// The ban.
    pub ban: Ban,
    /// What put it in force.
    pub cause: BanCause,
    /// By how much the date is ahead of the times of the ban, in nanoseconds, where these are not of the clock of this
    /// process.
    pub date_ahead: Option<i64>,
}
