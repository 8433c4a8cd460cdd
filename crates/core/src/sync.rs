//! The atomics of every cell: the standard library's, or loom's while a model is checked.
//!
//! This is the only place that knows the difference. Build with `--cfg sluice_loom` for the models.

#[cfg(not(sluice_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(sluice_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
