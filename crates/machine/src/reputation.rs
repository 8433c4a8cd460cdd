//! A reputation of all processes of a machine.

mod instance;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use sluice_core::machine::{Host, Processes};
use sluice_core::runtime::arena::Arena;
use sluice_core::{Instance, OnMismatch, OptionList, Reputation, ReputationConfig};

use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::file::Wanted;
use crate::instance_file::{InFile, InstanceFile};
use crate::range_files::ListFiles;
use crate::shared::Shared;
use crate::terms::{self, Difference, Terms, as_texts};

/// How often a file is opened anew that was closed for all processes, and is about to be removed.
const ATTEMPTS: u32 = 20;

/// A reputation, and where it is shared.
#[derive(Clone, Debug)]
pub struct SharedReputationConfig {
    /// The directory of its file.
    pub directory: PathBuf,
    /// Its options.
    pub config: ReputationConfig,
    /// What becomes of other options than those of processes that are attached.
    pub on_mismatch: OnMismatch,
}

/// Failures, bans and lists of all processes that open the same name in the same directory. The failures that reach
/// `maxFailures` make one ban, of whichever processes they are; a ban that was acknowledged outlives its process.
pub struct SharedReputation {
    reputation: Arc<Reputation>,
    file: Arc<InstanceFile<Reputation>>,
    /// The files of its lists, to remove them with that of the state.
    lists: Arc<ListFiles>,
    created_with: OptionList,
}

impl InFile for Reputation {
    /// On the way of calls.
    const LOOK_EVERY: u64 = 100_000_000;

    fn mend(&self, shared: &Shared) -> bool {
        self.repair(shared.now());
        true
    }

    /// Of its lists.
    fn trouble(&self) -> Option<String> {
        self.check_lists().err().map(|error| error.to_string())
    }
}

impl SharedReputation {
    /// Clients that are remembered by default. All their memory is reserved at creation.
    pub const MAX_CLIENTS: u64 = 20_000;

    /// Attaches to the reputation, which is created where there is none.
    ///
    /// # Errors
    ///
    /// A file that keeps it beside; options that differ from those of processes that are attached; a file or a directory
    /// that is refused; no room for the clients.
    pub fn open(directory: &Directory, name: &str, config: ReputationConfig) -> Result<Self> {
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
        config: ReputationConfig,
        on_mismatch: OnMismatch,
    ) -> Result<Self> {
        if config.is_persisted() {
            let what = format!("Reputation {name:?} has persist, and processes share it");
            return Err(Error::Unsupported {
                what,
                accepted: "no persist: the state outlives its processes",
            });
        }
        for _ in 0..ATTEMPTS {
            let opened = Self::attach(directory, name, &config, on_mismatch)?;
            // What is wrong with the file is found again by the next look: the state is usable.
            let _ = opened.look_after();
            if !opened.reputation.is_closed_everywhere() {
                return opened.take_over(config, on_mismatch);
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
        config: &ReputationConfig,
        on_mismatch: OnMismatch,
    ) -> Result<Self> {
        let options = config.stored();
        let bytes = Shared::file_bytes(Reputation::bytes(config)?);
        let wanted = Wanted { kind: Reputation::KIND, name, options: &options, bytes };
        // Room for failures is that of creation.
        let bytes_of = |created: &[(String, String)]| {
            let created = ReputationConfig::of_stored(created)?;
            Some(Shared::file_bytes(Reputation::bytes(&created).ok()?))
        };
        let accepts = |created: &[(String, String)]| {
            check_fixed(created, config).map(|()| bytes_of(created).unwrap_or(bytes))
        };
        let in_force = |created: &[(String, String)], arena: &Arena, processes: &Arc<Processes>| {
            let lists = ListFiles::new(Directory::open(directory.path()).ok()?, &wanted.file_name());
            let config = ReputationConfig::of_stored(created)?;
            Reputation::options_in(config, created, arena, (processes, Box::new(lists))).ok()
        };
        let terms = Terms { accepts: &accepts, in_force: &in_force, on_mismatch };
        let shared = Shared::open_if(directory, &wanted, Some(terms))?;
        let created = ReputationConfig::of_stored(shared.options())
            .ok_or_else(|| Error::corrupt(shared.path(), "its options are those of no reputation"))?;
        let file = InstanceFile::<Reputation>::new(shared);
        let lists = || Result::Ok(ListFiles::new(Directory::open(directory.path())?, &wanted.file_name()));
        let (own_lists, lists) = (lists()?, Arc::new(lists()?));
        let outside = (Arc::clone(&file) as Arc<dyn Host>, Box::new(own_lists) as _);
        let (arena, created) = (file.shared.arena(), created.with_lists_of(config));
        let reputation = Reputation::shared(name, created, &arena, file.shared.processes(), outside)?;
        let created_with = Reputation::list_options(config);
        let reputation = Self { reputation: Arc::new(reputation), file, lists, created_with };
        reputation.file.holds(&reputation.reputation);
        Ok(reputation)
    }

    /// Brings the options into force where they are to be.
    fn take_over(self, config: ReputationConfig, on_mismatch: OnMismatch) -> Result<Self> {
        let is_same = || self.file.shared.options() == as_texts(&config.stored());
        let is_wanted = on_mismatch == OnMismatch::Reconfigure || self.file.shared.takes_over();
        if is_wanted && !(is_same() && self.reputation.is_as_created()) {
            let name = self.reputation.name().to_owned();
            Instance::reconfigure(&*self.reputation, &name, config, false)?;
        }
        Ok(self)
    }

    /// Ends the reputation in this process. Its files are removed where no other process is attached.
    pub fn detach(&self) {
        self.end(false);
    }

    /// Ends the reputation in all processes, and removes its files.
    pub fn close_everywhere(&self) {
        let is_first = self.reputation.close_everywhere();
        self.end(is_first);
    }

    fn end(&self, for_all: bool) {
        Instance::close(&*self.reputation);
        let lists = Arc::clone(&self.lists);
        // The lists first: once its name is free, another process may put lists of a new file in force under the same names.
        self.file.shared.leave_and(for_all, move || lists.remove_all());
    }

    /// What was wrong with the files when they were looked at last.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.file.trouble()
    }

    /// The reputation. Its time is [`Shared::now`].
    #[must_use]
    pub fn reputation(&self) -> &Arc<Reputation> {
        &self.reputation
    }

    /// The file, and the processes that are attached to it.
    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.file.shared
    }

    /// Finds out which processes died, and has mended in another thread what they left. How many were found. The reputation
    /// does so itself on the way of calls.
    ///
    /// # Errors
    ///
    /// As of [`Shared::look_after`].
    pub fn look_after(&self) -> Result<usize> {
        self.file.look_after_now()
    }

    /// Mends what dead processes left, in the calling thread. Safe at any time.
    pub fn repair(&self) {
        self.file.repair(&self.reputation);
    }
}

/// Whether options of creation are those of `config`, as far as they are fixed.
fn check_fixed(
    created: &[(String, String)],
    config: &ReputationConfig,
) -> std::result::Result<(), Difference> {
    let created = ReputationConfig::of_stored(created).map(|created| created.stored_fixed());
    terms::check_fixed(created.as_ref(), config.stored_fixed())
}

impl fmt::Debug for SharedReputation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedReputation").field("shared", &self.file.shared).finish_non_exhaustive()
    }
}
