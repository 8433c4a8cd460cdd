//! The atomics and locks of every cell: the standard library's, or those of a model checker.
//!
//! This is the only place that knows the difference. Build with the feature `loom` for every interleaving
//! of small cases, with `shuttle` for random ones of larger cases.

#[cfg(not(any(sluice_loom, sluice_shuttle)))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

#[cfg(sluice_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

#[cfg(sluice_shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

#[cfg(not(any(sluice_loom, sluice_shuttle)))]
pub(crate) use parking_lot::Mutex;

#[cfg(any(sluice_loom, sluice_shuttle))]
pub(crate) use modelled::Mutex;

#[cfg(sluice_loom)]
pub(crate) use loom::cell::UnsafeCell;

#[cfg(not(sluice_loom))]
pub(crate) use unsafe_cell::UnsafeCell;

/// The standard library's cell, used as loom's.
#[cfg(not(sluice_loom))]
mod unsafe_cell {
    #[derive(Debug)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline(always)]
        pub(crate) fn with<R>(&self, body: impl FnOnce(*const T) -> R) -> R {
            body(self.0.get())
        }

        #[inline(always)]
        pub(crate) fn with_mut<R>(&self, body: impl FnOnce(*mut T) -> R) -> R {
            body(self.0.get())
        }
    }
}

#[cfg(any(sluice_loom, sluice_shuttle))]
mod modelled {
    #[cfg(sluice_loom)]
    use loom::sync::{self, MutexGuard};
    #[cfg(sluice_shuttle)]
    use shuttle::sync::{self, MutexGuard};

    /// The checker's lock, used as parking_lot's.
    #[derive(Debug, Default)]
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

/// Orders a store before the loads that follow, where both are `SeqCst` anyway: loom takes `SeqCst` accesses
/// for weaker ones and needs the fence, processors do not.
#[inline]
pub(crate) fn full_barrier() {
    #[cfg(sluice_loom)]
    fence(Ordering::SeqCst);
}

/// Another thread came between.
#[inline]
pub(crate) fn pause() {
    #[cfg(not(any(sluice_loom, sluice_shuttle)))]
    std::hint::spin_loop();
    #[cfg(sluice_loom)]
    loom::thread::yield_now();
    #[cfg(sluice_shuttle)]
    shuttle::thread::yield_now();
}

/// Another thread has to run before the caller can go on.
#[inline]
pub(crate) fn step_aside() {
    #[cfg(not(any(sluice_loom, sluice_shuttle)))]
    std::thread::yield_now();
    #[cfg(any(sluice_loom, sluice_shuttle))]
    pause();
}
