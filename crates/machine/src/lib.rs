//! Limits that the processes of a machine share: a file in memory (tmpfs), mapped by each of them.
//!
//! The state in the file, and how it is changed, is the engine's; here is the file. It is created complete or not at all,
//! refused where it is not what it should be, and replaced where no process uses it. A process that is attached holds the
//! kernel's lock of one byte, which the kernel releases when no instruction of that process can run any more. So the
//! living are known without a heartbeat, and nothing needs to be cleaned up by a process that ends. A child that is forked
//! without exec shares the lock: its parent counts as living until both have ended.
//!
//! For Linux. Elsewhere this crate is empty.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod clock;
mod creation;
mod departure;
mod directory;
mod error;
mod file;
mod header;
mod instance;
mod instance_file;
mod limiter;
mod listing;
mod local;
mod locks;
mod look_after;
mod range_files;
mod repairs;
mod reputation;
mod shared;
mod shared_instance;
mod system;
mod terms;
mod tracker;
mod tracker_instance;

pub use directory::Directory;
pub use error::{Error, Result};
pub use file::Wanted;
pub use limiter::{SharedLimiter, SharedLimiterConfig};
pub use listing::{Content, Listed, list, remove};
pub use local::LocalSharedLimiter;
pub use reputation::{SharedReputation, SharedReputationConfig};
pub use shared::{Attached, Shared};
pub use shared_instance::SharedInstance;
pub use tracker::{SharedTracker, SharedTrackerConfig};
