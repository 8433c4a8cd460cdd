//! A tracker of connections of all processes of a machine.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use sluice_core::machine::Host;
use sluice_core::runtime::key_hash::KeyHasher;
use sluice_core::{ConnectionTracker, ConnectionTrackerConfig, Instance};

use crate::directory::Directory;
use crate::error::Result;
use crate::file::Wanted;
use crate::repairs::{Repairs, repair};
use crate::shared::Shared;

/// Processes are looked after so often at most, in nanoseconds: before a connection is refused.
const LOOK_AFTER: u64 = 1_000_000;

/// Connections that all processes count together which open the same name in the same directory: never more than `max`, nor
/// than `maxPerClient` of one client. What a process holds is gone when it ends, however it ends.
pub struct SharedTracker {
    tracker: Arc<ConnectionTracker>,
    file: Arc<TrackerFile>,
}

/// What the tracker asks of its file. The tracker holds it, so the file stays as long as the tracker.
struct TrackerFile {
    shared: Arc<Shared>,
    looked_after_at: AtomicU64,
    repairs: Repairs,
    tracker: OnceLock<Weak<ConnectionTracker>>,
}

impl SharedTracker {
    /// Attaches to the tracker, which is created where there is none.
    ///
    /// # Errors
    ///
    /// More connections than processes can share; options that differ from those of processes that are attached; a file or
    /// a directory that is refused; no room for the clients.
    pub fn open(directory: &Directory, name: &str, config: ConnectionTrackerConfig) -> Result<Self> {
        let options = ConnectionTracker::list_options(&config);
        let config = config.shared()?;
        let bytes = Shared::file_bytes(ConnectionTracker::bytes(&config)?);
        let wanted = Wanted { kind: ConnectionTracker::KIND, name, options: &options, bytes };
        let shared = Arc::new(Shared::open(directory, &wanted)?);
        let file = Arc::new(TrackerFile {
            shared,
            looked_after_at: AtomicU64::new(0),
            repairs: Repairs::default(),
            tracker: OnceLock::new(),
        });
        let (arena, host) = (file.shared.arena(), Arc::clone(&file) as Arc<dyn Host>);
        let tracker = ConnectionTracker::shared(name, config, &arena, file.shared.processes(), &host)?;
        let tracker = Self { tracker: Arc::new(tracker), file };
        tracker.file.tracker.get_or_init(|| Arc::downgrade(&tracker.tracker));
        tracker.look_after()?;
        Ok(tracker)
    }

    /// The tracker.
    #[must_use]
    pub fn tracker(&self) -> &Arc<ConnectionTracker> {
        &self.tracker
    }

    /// The file, and the processes that are attached to it.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.file.shared
    }

    /// Finds out which processes died, and has mended in another thread what they left. How many were found. The tracker
    /// does so itself before it refuses a connection.
    ///
    /// # Errors
    ///
    /// As of [`Shared::look_after`].
    pub fn look_after(&self) -> Result<usize> {
        self.file.look_after_now()
    }

    /// Mends what dead processes left, in the calling thread. Safe at any time.
    pub fn repair(&self) {
        repair(&self.file.shared, || mend(&self.tracker, &self.file.shared));
    }
}

fn mend(tracker: &ConnectionTracker, shared: &Shared) -> bool {
    tracker.repair(|| shared.now()).is_ok()
}

impl TrackerFile {
    fn look_after_now(&self) -> Result<usize> {
        // Whatever is wrong with the file: others may still use what it holds.
        let dead = self.shared.look_after();
        if let Some(tracker) = self.tracker.get().and_then(Weak::upgrade) {
            let shared = Arc::clone(&self.shared);
            self.repairs.begin(&self.shared, move || mend(&tracker, &shared));
        }
        dead
    }
}

impl Host for TrackerFile {
    fn now(&self) -> u64 {
        self.shared.now()
    }

    fn hasher(&self) -> &KeyHasher {
        self.shared.hasher()
    }

    fn look_after(&self) -> bool {
        let (now, before) = (self.shared.now(), self.looked_after_at.load(Ordering::Relaxed));
        let is_due = now.saturating_sub(before) >= LOOK_AFTER;
        // Relaxed: of the threads that come at once, one looks.
        let order = Ordering::Relaxed;
        let is_first = is_due && self.looked_after_at.compare_exchange(before, now, order, order).is_ok();
        is_first && self.look_after_now().map_or(true, |dead| dead > 0)
    }
}

impl fmt::Debug for SharedTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTracker").field("shared", &self.file.shared).finish_non_exhaustive()
    }
}
