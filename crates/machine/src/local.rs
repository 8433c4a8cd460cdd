//! A thread's own handle to a limiter of all processes of a machine.

use std::fmt;
use std::sync::Arc;

use sluice_core::runtime::key_hash::KeyHasher;
use sluice_core::{LocalHandle, RateLimiter};

use crate::limiter::SharedLimiter;
use crate::shared::Shared;

/// One thread's handle to a limiter: what the calls of a process need, and whatever becomes due on their way.
pub struct LocalSharedLimiter {
    shared: Arc<SharedLimiter>,
    /// The file of `shared`, which every call needs.
    file: Arc<Shared>,
    local: LocalHandle,
}

impl LocalSharedLimiter {
    /// A handle for the calling thread.
    #[must_use]
    pub fn new(shared: Arc<SharedLimiter>) -> Self {
        let local = LocalHandle::new(Arc::clone(shared.limiter()));
        let file = Arc::clone(shared.shared());
        Self { shared, file, local }
    }

    /// The limiter, with the file that it is in.
    #[must_use]
    pub fn shared(&self) -> &Arc<SharedLimiter> {
        &self.shared
    }

    /// The hash function of its keys.
    #[inline]
    #[must_use]
    pub fn hasher(&self) -> &KeyHasher {
        self.file.hasher()
    }

    /// Begins a call: does what is due on its way. The time that all processes decide by.
    #[inline]
    pub fn begin(&mut self) -> u64 {
        let now = self.file.now();
        if self.shared.is_due(now) { self.look(now) } else { now }
    }

    /// Runs a call that [`begin`](Self::begin) has begun.
    #[inline]
    pub fn call<R>(&mut self, body: impl FnOnce(&mut LocalHandle) -> R) -> R {
        body(&mut self.local)
    }

    /// Moves to the limiter that replaced this one, if any did.
    pub fn follow(&mut self) {
        while let Some(successor) = self.shared.successor() {
            *self = Self::new(Arc::clone(successor));
        }
    }

    #[cold]
    #[inline(never)]
    fn look(&mut self, now: u64) -> u64 {
        self.follow();
        self.shared.look_after_if_due(now);
        self.file.now()
    }

    /// The engine of the limiter.
    #[must_use]
    pub fn limiter(&self) -> &Arc<RateLimiter> {
        self.shared.limiter()
    }
}

impl fmt::Debug for LocalSharedLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSharedLimiter").field("shared", &self.shared).finish_non_exhaustive()
    }
}
