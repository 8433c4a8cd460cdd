//! A thread's own handle to a limiter of all processes of a machine.

use std::fmt;
use std::sync::Arc;

use sluice_core::runtime::key_hash::KeyHasher;
use sluice_core::{LocalHandle, RateLimiter};

use crate::limiter::{LOOK_EVERY, SharedLimiter};
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

    /// The time that all processes decide by; `None` where something is due first, which [`look`](Self::look) does.
    #[inline(always)]
    pub fn now(&self) -> Option<u64> {
        let now = self.file.now();
        if self.file.lookout().is_due(now, LOOK_EVERY) { None } else { Some(now) }
    }

    /// Does what is due on the way of a call: it may move to another limiter, which has another hash function. The time then.
    #[cold]
    #[inline(never)]
    pub fn look(&mut self) -> u64 {
        self.follow();
        self.shared.look_after_if_due(self.file.now());
        self.file.now()
    }

    /// What runs calls.
    #[inline]
    pub fn handle(&mut self) -> &mut LocalHandle {
        &mut self.local
    }

    /// Moves to the limiter that replaced this one, if any did.
    pub fn follow(&mut self) {
        while let Some(successor) = self.shared.successor() {
            *self = Self::new(Arc::clone(successor));
        }
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
