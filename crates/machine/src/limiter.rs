//! A limiter of all processes of a machine.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use sluice_core::{Instance, RateLimiter, RateLimiterConfig};

use crate::directory::Directory;
use crate::error::Result;
use crate::file::Wanted;
use crate::shared::Shared;

/// A rate limit per key that all processes share which open the same name in the same directory.
///
/// Any number of processes and threads together admit the quota and not one unit more, for each key that was not evicted
/// while live; a process that is killed wastes at most the calls it was in.
pub struct SharedLimiter {
    limiter: Arc<RateLimiter>,
    shared: Arc<Shared>,
    is_repairing: Arc<AtomicBool>,
}

impl SharedLimiter {
    /// Attaches to the limiter, which is created where there is none.
    ///
    /// # Errors
    ///
    /// Options that differ from those of processes that are attached; a file or a directory that is
    /// refused; no room for the keys.
    pub fn open(directory: &Directory, name: &str, config: RateLimiterConfig) -> Result<Self> {
        let options = RateLimiter::list_options(&config);
        let bytes = Shared::file_bytes(RateLimiter::bytes(&config)?);
        let wanted = Wanted { kind: RateLimiter::KIND, name, options: &options, bytes };
        let shared = Arc::new(Shared::open(directory, &wanted)?);
        let limiter = RateLimiter::shared(name, config, &shared.arena(), shared.processes())?;
        let limiter = Self { limiter: Arc::new(limiter), shared, is_repairing: Arc::default() };
        limiter.look_after()?;
        Ok(limiter)
    }

    /// The limiter. Its keys are hashed by [`Shared::hasher`], and its time is [`Shared::now`].
    #[must_use]
    pub fn limiter(&self) -> &Arc<RateLimiter> {
        &self.limiter
    }

    /// The file, and the processes that are attached to it.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Finds out which processes died, and has mended in another thread what they left. How many were found.
    ///
    /// # Errors
    ///
    /// As of [`Shared::look_after`].
    pub fn look_after(&self) -> Result<usize> {
        // Whatever is wrong with the file: others may still use what it holds.
        let dead = self.shared.look_after();
        if self.shared.processes().to_repair().is_needed() && !self.is_repairing.swap(true, Ordering::SeqCst)
        {
            let (limiter, shared) = (Arc::clone(&self.limiter), Arc::clone(&self.shared));
            let is_repairing = Arc::clone(&self.is_repairing);
            let repairs = thread::Builder::new().name("sluice-repair".to_owned()).spawn(move || {
                repair(&limiter, &shared);
                is_repairing.store(false, Ordering::SeqCst);
            });
            if repairs.is_err() {
                // The next look finds the same.
                self.is_repairing.store(false, Ordering::SeqCst);
            }
        }
        dead
    }

    /// Mends what dead processes left, in the calling thread. Safe at any time.
    pub fn repair(&self) {
        repair(&self.limiter, &self.shared);
    }
}

fn repair(limiter: &RateLimiter, shared: &Shared) {
    let needed = shared.processes().to_repair();
    if needed.is_needed() && limiter.repair(|| shared.now()).is_ok() {
        shared.processes().repaired(needed);
    }
}

impl fmt::Debug for SharedLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLimiter").field("shared", &self.shared).finish_non_exhaustive()
    }
}
