//! Security events of clients: counted over all threads, judged by rules in sliding windows, and kept in a history.

mod alert;
mod client;
mod clients;
mod dates;
mod detail;
mod events;
mod history;
mod local;
mod monitor;
mod options;
mod rule;
mod stats;
mod window;

pub use alert::Alert;
pub use detail::MAX_DETAIL_BYTES;
pub use events::{EventId, MAX_EVENTS};
pub use history::{HistoryEntry, HistoryQuery};
pub use local::LocalMonitor;
pub use monitor::{Approached, SecurityMonitor};
pub use options::{RuleOptions, SecurityMonitorConfig, SecurityMonitorOptions};
pub use rule::Action;
pub use stats::SecurityMonitorStats;
