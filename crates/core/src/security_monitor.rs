//! What happened, by whom: counted over all threads, judged by rules, remembered for a while.
//!
//! A rule judges the events of one client in a sliding window; how, kept where, remembered how: each in a file of
//! its own.

mod alert;
mod client;
mod clients;
mod detail;
mod events;
mod history;
mod monitor;
mod options;
mod rule;
mod window;

pub use alert::Alert;
pub use events::{EventId, MAX_EVENTS};
pub use history::{HistoryEntry, HistoryQuery};
pub use monitor::{SecurityMonitor, SecurityMonitorStats};
pub use options::{RuleOptions, SecurityMonitorConfig, SecurityMonitorOptions};
pub use rule::Action;
