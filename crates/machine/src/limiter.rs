//! A limiter of all processes of a machine.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use sluice_core::machine::Processes;
use sluice_core::runtime::arena::Arena;
use sluice_core::{Instance, OnMismatch, OptionList, RateLimiter, RateLimiterConfig};

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::file::Wanted;
use crate::repairs::{Repairs, repair};
use crate::shared::Shared;
use crate::terms::{self, Difference, Terms, as_texts};

/// How often a file is opened anew that was closed for all processes, and is about to be removed.
const ATTEMPTS: u32 = 20;
/// Nanoseconds from one look at the other processes to the next, on the way of calls.
pub(crate) const LOOK_EVERY: u64 = 100_000_000;

/// A limiter, and where it is shared.
#[derive(Clone, Debug)]
pub struct SharedLimiterConfig {
    /// The directory of its file.
    pub directory: PathBuf,
    /// Its options.
    pub config: RateLimiterConfig,
    /// What becomes of other options than those of processes that are attached.
    pub on_mismatch: OnMismatch,
}

/// A rate limit per key that all processes share which open the same name in the same directory.
///
/// Any number of processes and threads together admit the quota and not one unit more, for each key that was not evicted
/// while live; a process that is killed wastes at most the calls it was in.
pub struct SharedLimiter {
    limiter: Arc<RateLimiter>,
    shared: Arc<Shared>,
    repairs: Repairs,
    pub(crate) created_with: OptionList,
    pub(crate) directory: PathBuf,
    /// The limiter that replaced this one, after a test's reset.
    pub(crate) successor: OnceLock<Arc<Self>>,
    /// What was wrong with the file at the last look.
    trouble: Mutex<Option<Error>>,
}

impl SharedLimiter {
    /// Attaches to the limiter, which is created where there is none.
    ///
    /// # Errors
    ///
    /// Options that differ from those of processes that are attached; a file or a directory that is
    /// refused; no room for the keys.
    pub fn open(directory: &Directory, name: &str, config: RateLimiterConfig) -> Result<Self> {
        Self::open_with(directory, name, config, OnMismatch::Error)
    }

    /// As [`open`](Self::open). With [`OnMismatch::Reconfigure`] the options come into force in all processes, unless one
    /// of them is fixed at creation and differs.
    ///
    /// # Errors
    ///
    /// As of [`open`](Self::open).
    pub fn open_with(
        directory: &Directory,
        name: &str,
        config: RateLimiterConfig,
        on_mismatch: OnMismatch,
    ) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            let opened = Self::attach(directory, name, &config, on_mismatch)?;
            // What is wrong with the file is found again by the next look: the state is usable.
            let _ = opened.look_after();
            if !opened.limiter.is_closed_everywhere() {
                return opened.take_over(config, on_mismatch);
            }
            // The process that closed it removes it; this one does where that was killed.
            thread::sleep(Duration::from_millis(1));
            opened.end(true);
        }
        Err(Error::unavailable(
            directory.path(),
            format!("{name:?} is destroyed again and again"),
            "one that lasts",
        ))
    }

    fn attach(
        directory: &Directory,
        name: &str,
        config: &RateLimiterConfig,
        on_mismatch: OnMismatch,
    ) -> Result<Self> {
        let options = config.stored();
        let bytes = Shared::file_bytes(RateLimiter::bytes(config)?);
        let wanted = Wanted { kind: RateLimiter::KIND, name, options: &options, bytes };
        let accepts = |created: &[(String, String)]| check_fixed(created, config).map(|()| bytes);
        let in_force = |created: &[(String, String)], arena: &Arena, processes: &Arc<Processes>| {
            let created = RateLimiterConfig::of_stored(created)?;
            let limiter = RateLimiter::shared(name, created, arena, processes).ok()?;
            Some(as_texts(&limiter.config().stored()))
        };
        let terms = Terms { accepts: &accepts, in_force: &in_force, on_mismatch };
        let shared = Shared::open_if(directory, &wanted, Some(terms))?;
        let created = RateLimiterConfig::of_stored(shared.options())
            .ok_or_else(|| Error::corrupt(shared.path(), "its options are those of no limiter"))?;
        let created = created.in_process_of(config);
        let limiter = RateLimiter::shared(name, created, &shared.arena(), shared.processes())?;
        Ok(Self {
            limiter: Arc::new(limiter),
            shared: Arc::new(shared),
            repairs: Repairs::default(),
            created_with: RateLimiter::list_options(config),
            directory: directory.path().to_owned(),
            successor: OnceLock::new(),
            trouble: Mutex::default(),
        })
    }

    /// Brings the options into force where they are to be.
    fn take_over(self, config: RateLimiterConfig, on_mismatch: OnMismatch) -> Result<Self> {
        let is_wanted = on_mismatch == OnMismatch::Reconfigure || self.shared.takes_over();
        if is_wanted && self.limiter.config().stored() != config.stored() {
            self.reconfigure_to(config)?;
        }
        Ok(self)
    }

    pub(crate) fn reconfigure_to(&self, config: RateLimiterConfig) -> Result<()> {
        Ok(self.limiter.reconfigure(config.options().clone(), || self.shared.now())?)
    }

    /// Ends the limiter in this process. Its file is removed where no other process is attached.
    pub fn detach(&self) {
        self.end(false);
    }

    /// Ends the limiter in all processes, and removes its file.
    pub fn close_everywhere(&self) {
        let is_first = self.limiter.close_everywhere();
        self.end(is_first);
    }

    fn end(&self, for_all: bool) {
        Instance::close(&*self.limiter);
        self.shared.leave(for_all);
    }

    /// Whether it was ended in all processes.
    #[must_use]
    pub fn is_closed_everywhere(&self) -> bool {
        self.limiter.is_closed_everywhere()
    }

    /// The limiter that replaced this one.
    #[must_use]
    pub fn successor(&self) -> Option<&Arc<Self>> {
        self.successor.get()
    }

    pub(crate) fn succeed_by(&self, successor: Self) -> Arc<Self> {
        let successor = Arc::clone(self.successor.get_or_init(|| Arc::new(successor)));
        // So that handles follow at their next call.
        self.shared.lookout().expedite();
        successor
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

    /// Looks after the other processes where that was done last more than 100 ms ago.
    pub fn look_after_if_due(&self, now: u64) {
        if self.shared.lookout().take(now, LOOK_EVERY) {
            // What is wrong with the file is kept for the statistics: the state stays usable.
            let _ = self.look_after();
        }
    }

    /// What was wrong with the file when it was looked at last: it was removed or replaced.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().as_ref().map(ToString::to_string)
    }

    /// Finds out which processes died, and has mended in another thread what they left. How many were found.
    ///
    /// # Errors
    ///
    /// As of [`Shared::look_after`].
    pub fn look_after(&self) -> Result<usize> {
        // Whatever is wrong with the file: others may still use what it holds.
        let dead = self.shared.look_after();
        *self.trouble.lock() = dead.as_ref().err().cloned();
        let (limiter, shared) = (Arc::clone(&self.limiter), Arc::clone(&self.shared));
        self.repairs.begin(&self.shared, move || mend(&limiter, &shared));
        dead
    }

    /// Mends what dead processes left, in the calling thread. Safe at any time.
    pub fn repair(&self) {
        repair(&self.shared, || mend(&self.limiter, &self.shared));
    }
}

/// Whether options of creation are those of `config`, as far as they are fixed.
fn check_fixed(
    created: &[(String, String)],
    config: &RateLimiterConfig,
) -> std::result::Result<(), Difference> {
    let created = RateLimiterConfig::of_stored(created).map(|created| created.stored_fixed());
    terms::check_fixed(created.as_ref(), config.stored_fixed())
}

fn mend(limiter: &RateLimiter, shared: &Shared) -> bool {
    limiter.repair(|| shared.now()).is_ok()
}

impl fmt::Debug for SharedLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLimiter").field("shared", &self.shared).finish_non_exhaustive()
    }
}
