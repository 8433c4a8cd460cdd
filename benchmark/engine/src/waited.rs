//! The time that a thread waits for locks: each lock is tried first, and only a wait is timed.

use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::harness::tick;

/// Ticks of the processor's counter that one thread has waited.
#[derive(Clone, Copy, Debug, Default)]
pub struct Waited(pub u64);

impl Waited {
    pub fn lock<'a, T>(&mut self, lock: &'a Mutex<T>) -> MutexGuard<'a, T> {
        lock.try_lock().unwrap_or_else(|_| self.during(|| lock.lock().expect("not poisoned")))
    }

    pub fn read<'a, T>(&mut self, lock: &'a RwLock<T>) -> RwLockReadGuard<'a, T> {
        lock.try_read().unwrap_or_else(|_| self.during(|| lock.read().expect("not poisoned")))
    }

    pub fn write<'a, T>(&mut self, lock: &'a RwLock<T>) -> RwLockWriteGuard<'a, T> {
        lock.try_write().unwrap_or_else(|_| self.during(|| lock.write().expect("not poisoned")))
    }

    #[cold]
    pub fn during<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let before = tick();
        let result = wait();
        self.0 += tick().saturating_sub(before);
        result
    }
}
