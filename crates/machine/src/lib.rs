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
mod directory;
mod error;
mod file;
mod header;
mod limiter;
mod locks;
mod repairs;
mod shared;
mod system;
mod tracker;

pub use directory::Directory;
pub use error::{Error, Result};
pub use file::Wanted;
pub use limiter::SharedLimiter;
pub use shared::{Attached, Shared};
pub use tracker::SharedTracker;
