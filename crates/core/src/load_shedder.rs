//! Sheds load by how long requests wait for the event loop of their thread.
//!
//! A lap is one turn of a thread's event loop, without its wait for events. A request that is asked for at some age of a
//! lap has waited at least that long, whatever it waited for. So the rule needs neither a model nor a limit that adapts:
//! the thread is behind while its laps are too long, and sheds what has waited too long; what was shed in one interval is
//! shed beforehand in the next, from the lowest priority first.
//!
//! Each thread decides for itself: its loop is a queue of its own, and a request that it has accepted cannot move.

mod instance;
mod laps;
mod local;
mod options;
mod priority;
mod rule;
mod shedder;
#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod simulation;
#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;

pub use laps::EventLoop;
pub use local::LocalShedder;
pub use options::{LoadShedderConfig, LoadShedderOptions};
pub use priority::Priority;
pub use shedder::{LoadShedder, LoadShedderStats};
