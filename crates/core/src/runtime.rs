//! What all components build on: threads and how they are woken, named instances, counters, time.
//!
//! Nothing here knows a component, except the mailbox, whose items are the components' events.

pub mod arena;
pub(crate) mod barrier;
pub(crate) mod change_number;
pub(crate) mod chunks;
pub mod clock;
pub(crate) mod component;
pub mod counter;
pub(crate) mod instances;
pub mod key_hash;
pub(crate) mod latency_histogram;
pub mod mailbox;
pub mod memory;
pub mod options;
pub(crate) mod planted;
pub(crate) mod region;
pub(crate) mod retire;
pub(crate) mod sharded_counters;
pub(crate) mod subscribers;
pub(crate) mod sync;
pub(crate) mod thread_id;
pub(crate) mod version_cells;

pub use component::Component;
pub use instances::{Change as OptionChange, Instance, Instances, OnMismatch, OptionList};
pub use latency_histogram::{
    BOUNDS as LATENCY_BOUNDS, BUCKETS as LATENCY_BUCKETS, LatencyCounts, LatencyHistogram,
};
pub use thread_id::ThreadId;
pub use version_cells::VersionCells;
