//! A tracker of connections of all processes of a machine.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sluice_core::machine::{Host, Processes};
use sluice_core::runtime::arena::Arena;
use sluice_core::{ConnectionTracker, ConnectionTrackerConfig, Instance, OnMismatch, OptionList};

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::file::Wanted;
use crate::instance_file::{InFile, InstanceFile};
use crate::shared::Shared;
use crate::terms::{self, Difference, Terms, as_texts};

/// How often a file is opened anew that was closed for all processes, and is about to be removed.
const ATTEMPTS: u32 = 20;

/// A tracker, and where it is shared.
#[derive(Clone, Debug)]
pub struct SharedTrackerConfig {
    /// The directory of its file.
    pub directory: PathBuf,
    /// Its options.
    pub config: ConnectionTrackerConfig,
    /// What becomes of other options than those of processes that are attached.
    pub on_mismatch: OnMismatch,
}

/// Connections that all processes count together which open the same name in the same directory: never more than `max`, nor
/// than `maxPerClient` of one client. What a process holds is gone when it ends, however it ends.
pub struct SharedTracker {
    tracker: Arc<ConnectionTracker>,
    file: Arc<InstanceFile<ConnectionTracker>>,
    pub(crate) created_with: OptionList,
    directory: PathBuf,
}

impl InFile for ConnectionTracker {
    /// Before a connection is refused.
    const LOOK_EVERY: u64 = 1_000_000;

    fn mend(&self, shared: &Shared) -> bool {
        self.repair(|| shared.now()).is_ok()
    }
}

impl SharedTracker {
    /// Attaches to the tracker, which is created where there is none.
    ///
    /// # Errors
    ///
    /// More connections than processes can share; options that differ from those of processes that are attached; a file or
    /// a directory that is refused; no room for the clients.
    pub fn open(directory: &Directory, name: &str, config: ConnectionTrackerConfig) -> Result<Self> {
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
        config: ConnectionTrackerConfig,
        on_mismatch: OnMismatch,
    ) -> Result<Self> {
        let config = config.shared()?;
        for _ in 0..ATTEMPTS {
            let opened = Self::attach(directory, name, &config, on_mismatch)?;
            // What is wrong with the file is found again by the next look: the state is usable.
            let _ = opened.look_after();
            if !opened.is_closed_everywhere() {
                return opened.take_over(name, config, on_mismatch);
            }
            // The process that closed it removes it; this one does where that was killed.
            thread::sleep(Duration::from_millis(1));
            opened.end(true);
        }
        let reason = format!("{name:?} is destroyed again and again");
        Err(Error::unavailable(directory.path(), reason, "one that lasts"))
    }

    fn attach(
        directory: &Directory,
        name: &str,
        config: &ConnectionTrackerConfig,
        on_mismatch: OnMismatch,
    ) -> Result<Self> {
        let options = config.stored();
        let wanted =
            Wanted { kind: ConnectionTracker::KIND, name, options: &options, bytes: bytes_of(config)? };
        let accepts = |created: &[(String, String)]| check_fixed(created, config);
        let in_force = |created: &[(String, String)], arena: &Arena, processes: &Arc<Processes>| {
            let created = ConnectionTrackerConfig::of_stored(created)?;
            let in_force = ConnectionTracker::config_in(created, arena, processes).ok()?;
            Some(as_texts(&in_force.stored()))
        };
        let terms = Terms { accepts: &accepts, in_force: &in_force, on_mismatch };
        let shared = Shared::open_if(directory, &wanted, Some(terms))?;
        let created = ConnectionTrackerConfig::of_stored(shared.options())
            .ok_or_else(|| Error::corrupt(shared.path(), "its options are those of no tracker"))?;
        let file = InstanceFile::<ConnectionTracker>::new(shared);
        let (arena, host) = (file.shared.arena(), Arc::clone(&file) as Arc<dyn Host>);
        let tracker = ConnectionTracker::shared(name, created, &arena, file.shared.processes(), &host)?;
        let directory = directory.path().to_owned();
        let created_with = list_options(config, &directory);
        let tracker = Self { tracker: Arc::new(tracker), file, created_with, directory };
        tracker.file.holds(&tracker.tracker);
        Ok(tracker)
    }

    /// Brings the options into force where they are to be.
    fn take_over(self, name: &str, config: ConnectionTrackerConfig, on_mismatch: OnMismatch) -> Result<Self> {
        let is_wanted = on_mismatch == OnMismatch::Reconfigure || self.file.shared.takes_over();
        if is_wanted && self.tracker.config().stored() != config.stored() {
            self.reconfigure_to(name, config)?;
        }
        Ok(self)
    }

    pub(crate) fn reconfigure_to(&self, name: &str, config: ConnectionTrackerConfig) -> Result<()> {
        Instance::reconfigure(&*self.tracker, name, config.shared()?, false)?;
        Ok(())
    }

    /// Ends the tracker in this process, which holds nothing any more. Its file is removed where no other process is
    /// attached.
    pub fn detach(&self) {
        self.end(false);
    }

    /// Ends the tracker in all processes, and removes its file.
    pub fn close_everywhere(&self) {
        let is_first = self.tracker.close_everywhere();
        self.end(is_first);
    }

    fn end(&self, for_all: bool) {
        Instance::close(&*self.tracker);
        self.file.shared.leave(for_all);
    }

    /// Whether it was ended in all processes.
    #[must_use]
    pub fn is_closed_everywhere(&self) -> bool {
        self.tracker.is_closed_everywhere()
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
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
        self.file.repair(&self.tracker);
    }
}

/// The options in which all threads of a process agree.
pub(crate) fn list_options(config: &ConnectionTrackerConfig, directory: &Path) -> OptionList {
    let mut options = ConnectionTracker::list_options(config);
    // That of its file, and not that of the engine.
    options.retain(|(option, _)| *option != "scope");
    options.push(scope(directory));
    options
}

/// What of them is fixed at creation.
pub(crate) fn list_fixed(config: &ConnectionTrackerConfig, directory: &Path) -> OptionList {
    let mut options = config.stored_fixed();
    options.push(scope(directory));
    options
}

fn scope(directory: &Path) -> (&'static str, String) {
    ("scope", format!("shared {directory:?}"))
}

fn bytes_of(config: &ConnectionTrackerConfig) -> Result<u64> {
    Ok(Shared::file_bytes(ConnectionTracker::bytes(config)?))
}

/// What a file was made for stays: the bytes of a file of these options of creation.
fn check_fixed(
    created: &[(String, String)],
    config: &ConnectionTrackerConfig,
) -> std::result::Result<u64, Difference> {
    let created = ConnectionTrackerConfig::of_stored(created);
    let fixed = created.as_ref().map(ConnectionTrackerConfig::stored_fixed);
    terms::check_fixed(fixed.as_ref(), config.stored_fixed())?;
    created.and_then(|created| bytes_of(&created).ok()).ok_or_else(|| Difference {
        option: "bytes".to_owned(),
        existing: "unknown".to_owned(),
        given: "those of a tracker".to_owned(),
    })
}

impl fmt::Debug for SharedTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedTracker").field("shared", &self.file.shared).finish_non_exhaustive()
    }
}
