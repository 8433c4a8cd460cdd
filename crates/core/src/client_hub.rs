//! Values that are costly to come by, made once for all threads.
//!
//! The state of one key and its rules, one run of an initialiser and how runs follow each other, what of the values is
//! kept, and what threads are told: each in a file of its own.

mod back_off;
mod failure;
mod hub;
mod initialisation;
mod kept;
mod news;
mod options;
mod retention;
mod runs;
mod shelf;
mod slot;
mod stats;

pub use failure::{Failed, HubFailure};
pub use hub::{ClientHub, Joined};
pub use initialisation::{CallId, Caller};
pub use kept::{HubValue, Retention};
pub use news::HubNews;
pub use options::{ClientHubConfig, ClientHubOptions};
pub use runs::Finished;
pub use stats::ClientHubStats;
