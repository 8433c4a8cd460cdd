//! The atomics and locks of every cell: the standard library's, or loom's while a model is checked.
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
    use loom::sync::{self, MutexGuard};

    /// loom's lock, used as parking_lot's.
    #[derive(Debug)]
    pub(crate) struct Mutex<T>(sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().expect("a model that panics has failed")
        }
    }
}
