//! The atomics and locks of every cell: the usual ones, or loom's while a model is checked.
//!
//! This is the only place that knows the difference. Build with `--cfg sluice_loom` for the models.

#[cfg(not(sluice_loom))]
pub(crate) use parking_lot::Mutex;
#[cfg(not(sluice_loom))]
pub(crate) use std::sync::atomic::{AtomicU64, Ordering};

#[cfg(sluice_loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(sluice_loom)]
pub(crate) use modelled::Mutex;

#[cfg(sluice_loom)]
mod modelled {
    /// loom's mutex with the interface of `parking_lot`'s.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().expect("no model panics under a lock")
        }
    }
}
