//! A tracker that the processes of a machine share.
//!
//! Its counts, the options in force and the limiter behind `opens` lie in a mapping. Ids, details, and what is known of each
//! connection are of its process, as are the quotas of messages and bytes.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::ConnectionTracker;
use super::counts::{Counts, CountsOfMachine};
use super::in_force::InForce;
use super::options::ConnectionTrackerConfig;
use super::stats::Counters;
use crate::machine::{Host, Processes};
use crate::rate_limiter::config_epoch::AtomicConfigEpoch;
use crate::rate_limiter::shared_config::SharedConfig;
use crate::runtime::arena::Arena;
use crate::runtime::key_hash::KeyHasher;
use crate::{Error, Result};

/// What brings options into force for all processes.
pub(super) struct Sharing {
    epoch: AtomicConfigEpoch,
    config: SharedConfig<InForce>,
}

impl Sharing {
    fn new(created: InForce, arena: &Arena, processes: &Arc<Processes>) -> io::Result<Self> {
        let epoch = AtomicConfigEpoch::in_arena(arena)?;
        Ok(Self { epoch, config: SharedConfig::new(created, arena, Arc::clone(processes))? })
    }

    /// Whether a process has ended the tracker for all.
    pub(super) fn is_closed(&self) -> bool {
        self.epoch.get().is_closed()
    }

    /// Takes over the options that another process brought into force.
    pub(super) fn follow(&self, in_force: &ArcSwap<InForce>) {
        self.config.follow(&self.epoch, in_force);
    }

    /// Replaces the options that were loaded; false when another process came first.
    pub(super) fn replace(
        &self,
        in_force: &ArcSwap<InForce>,
        loaded: &InForce,
        next: &InForce,
    ) -> Result<bool> {
        if !self.config.can_replace() {
            return Err(Error::Unsupported {
                what: "reconfigure in a process that is not attached",
                accepted: "a process that is attached",
            });
        }
        Ok(self.config.replace(&self.epoch, in_force, loaded, next))
    }
}

impl ConnectionTracker {
    /// The tracker in this memory, which is zeros before the first process takes it. Processes that share it know each other
    /// by `processes`, of which this one has a row. `config` is a [`shared`](ConnectionTrackerConfig::shared) one.
    ///
    /// # Errors
    ///
    /// The memory is shorter than [`bytes`](Self::bytes); this process has no row.
    pub fn shared(
        name: &str,
        config: ConnectionTrackerConfig,
        arena: &Arena,
        processes: &Arc<Processes>,
        host: &Arc<dyn Host>,
    ) -> Result<Self> {
        let created_with = config.list();
        let clients = usize::try_from(config.shared_clients()).unwrap_or(usize::MAX);
        let too_large = |cause| too_large(clients, &cause);
        let in_force = InForce::shared(name, config, arena, processes, Arc::clone(host))?;
        let sharing = Sharing::new(in_force.clone(), arena, processes).map_err(too_large)?;
        let counters = Counters::in_arena(arena).map_err(too_large)?;
        let counts = CountsOfMachine::new(clients, arena, processes, Arc::clone(host)).map_err(too_large)?;
        let counts = (Counts::OfMachine(Box::new(counts)), counters);
        Ok(Self::of_parts(name, created_with, in_force, counts, Some(sharing)))
    }

    /// The config in force in this memory of a tracker, which is only read.
    ///
    /// # Errors
    ///
    /// The memory is too short.
    pub fn config_in(
        created: ConnectionTrackerConfig,
        arena: &Arena,
        processes: &Arc<Processes>,
    ) -> Result<ConnectionTrackerConfig> {
        let host: Arc<dyn Host> = Arc::new(Nowhere(KeyHasher::new(|| 1)));
        let created = InForce::shared("", created, arena, processes, host)?;
        let sharing =
            Sharing::new(created.clone(), arena, processes).map_err(|cause| too_large(0, &cause))?;
        let in_force = ArcSwap::from_pointee(created);
        sharing.follow(&in_force);
        Ok(in_force.load().config.clone())
    }

    /// Bytes that a shared tracker of this config takes in an arena.
    ///
    /// # Errors
    ///
    /// This machine has no address space for them.
    pub fn bytes(config: &ConnectionTrackerConfig) -> Result<usize> {
        let (rows, arena) = (Arena::measure(), Arena::measure());
        let processes = Arc::new(Processes::new(&rows).map_err(|cause| too_large(0, &cause))?);
        processes.take(0, 0, 0);
        let host: Arc<dyn Host> = Arc::new(Nowhere(KeyHasher::new(|| 1)));
        Self::shared("", config.clone(), &arena, &processes, &host)?;
        Ok(arena.taken())
    }

    /// Ends the tracker for all processes that share it: their calls fail from now on. False where one has ended it before, or
    /// none shares it.
    pub fn close_everywhere(&self) -> bool {
        self.sharing.as_ref().is_some_and(|sharing| sharing.epoch.close())
    }

    /// Whether processes share it.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.sharing.is_some()
    }

    /// The name it was created under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a process has ended the tracker for all.
    #[must_use]
    pub fn is_closed_everywhere(&self) -> bool {
        self.sharing.as_ref().is_some_and(Sharing::is_closed)
    }

    /// The config in force.
    #[must_use]
    pub fn config(&self) -> ConnectionTrackerConfig {
        self.in_force().config.clone()
    }

    /// Mends what killed processes left that no call mends on its way. Safe at any time, beside calls and other repairs.
    /// `clock` gives the time of each of its steps. How many inserts it cancelled.
    ///
    /// # Errors
    ///
    /// The tracker is destroyed.
    pub fn repair(&self, clock: impl Fn() -> u64) -> Result<u64> {
        self.check_open()?;
        let of_counts = match &self.counts {
            Counts::OfMachine(counts) => counts.repair(),
            Counts::OfProcess(_) => 0,
        };
        let opens = self.in_force().opens.clone();
        let of_opens = opens.map(|opens| opens.repair(clock)).transpose()?.unwrap_or_default();
        Ok(of_counts + of_opens.claims)
    }
}

fn too_large(clients: usize, cause: &io::Error) -> Error {
    let given = format!("{clients} clients in shared memory");
    Error::invalid_option("ConnectionTracker", given, format!("a number for which there is memory ({cause})"))
}

/// To measure how many bytes one needs.
struct Nowhere(KeyHasher);

impl Host for Nowhere {
    fn now(&self) -> u64 {
        0
    }

    fn hasher(&self) -> &KeyHasher {
        &self.0
    }

    fn look_after(&self) -> bool {
        false
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;
