//! Failures that ban clients, bans that grow, and lists of ranges; one state for all threads.

mod ban_events;
mod ban_lines;
mod ban_watch;
mod bans;
mod cell;
mod client;
mod clients;
mod file;
mod history;
mod ledger;
mod machine;
mod options;
mod policy;
mod ranges;
mod shared_ranges;
mod stats;
mod store;
mod verdict;

pub use ban_events::{BanCause, BanChange, BanEvent};
pub use ledger::{FailureSink, Reputation, SharedBan};
pub use machine::RangeFiles;
pub use options::{PersistOptions, ReputationConfig, ReputationOptions};
pub use stats::ReputationStats;
pub use verdict::{Ban, ReputationRule, Verdict};

/// The end of a permanent ban.
pub const FOREVER: u64 = u64::MAX;
