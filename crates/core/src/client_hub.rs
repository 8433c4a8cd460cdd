//! A cache whose values are made once for all threads: concurrent calls for a key share one run of an initialiser
//! (single flight), and a value may be served stale while it is made anew.

mod back_off;
mod events;
mod eviction_queue;
mod failure;
mod hub;
mod initialisation;
mod instance;
mod kept;
mod options;
mod retention;
mod runs;
mod slot;
mod stats;

pub use events::HubEvent;
pub use failure::{Failed, HubFailure};
pub use hub::{ClientHub, Joined};
pub use initialisation::{CallId, Caller};
pub use kept::{HubValue, Retention};
pub use options::{ClientHubConfig, ClientHubOptions};
pub use runs::Finished;
pub use stats::ClientHubStats;
