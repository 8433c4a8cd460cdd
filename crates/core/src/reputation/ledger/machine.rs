//! A reputation that the processes of a machine share.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

use super::{OfMachine, Reputation};
use crate::machine::{Host, Processes};
use crate::rate_limiter::config_epoch::AtomicConfigEpoch;
use crate::rate_limiter::shared_config::SharedConfig;
use crate::reputation::machine::{MachineClients, MachineDate, PublishedRanges, RangeFiles};
use crate::reputation::options::ReputationConfig;
use crate::reputation::ranges::{Lists, Ranges};
use crate::reputation::shared_ranges::SharedRanges;
use crate::reputation::store::Store;
use crate::runtime::arena::Arena;
use crate::runtime::clock;
use crate::runtime::instances::OptionList;
use crate::runtime::memory;
use crate::runtime::sharded_counters::ShardedCounters;
use crate::{Error, Result};

impl Reputation {
    /// The reputation in this memory, which is zeros before the first process takes it. Processes that share it know each
    /// other by `processes`, of which this one has a row; `files` has their lists and banned ranges.
    ///
    /// # Errors
    ///
    /// The memory is shorter than [`bytes`](Self::bytes).
    pub fn shared(
        name: &str,
        config: ReputationConfig,
        arena: &Arena,
        processes: &Arc<Processes>,
        (host, files): (Arc<dyn Host>, Box<dyn RangeFiles>),
    ) -> Result<Self> {
        let (policy, capacity) = (config.policy, config.capacity as u64);
        let config = config.with_moments(MachineClients::moments(&policy));
        Self::in_arena(name, config, arena, processes, (host, files)).map_err(|cause| {
            memory::refused("Reputation maxClients", capacity, MachineClients::bytes_each(&policy), &cause)
        })
    }

    fn in_arena(
        name: &str,
        config: ReputationConfig,
        arena: &Arena,
        processes: &Arc<Processes>,
        (host, files): (Arc<dyn Host>, Box<dyn RangeFiles>),
    ) -> io::Result<Self> {
        let ranges = Ranges { lists: Arc::new(config.lists.clone()), bans: Arc::default() };
        let (processes, policy) = (|| Arc::clone(processes), config.policy);
        let date = Arc::new(MachineDate::new(Arc::clone(&host)));
        let machine = OfMachine {
            epoch: AtomicConfigEpoch::in_arena(arena)?,
            config: SharedConfig::new(config.clone(), arena, processes())?,
            ranges: PublishedRanges::new(ranges.clone(), files, arena, processes())?,
            host: Arc::clone(&host),
            date: Arc::clone(&date),
        };
        Ok(Self {
            name: name.to_owned(),
            created_with: config.list(),
            counters: ShardedCounters::in_arena(arena)?,
            clients: Store::OfMachine(MachineClients::new(
                config.capacity,
                &policy,
                arena,
                processes(),
                (host, date),
            )?),
            ranges: SharedRanges::new(ranges),
            machine: Some(machine),
            ipv6_prefix: AtomicU8::new(config.ipv6_prefix),
            config: ArcSwap::from_pointee(config),
            chance: Box::new(fastrand::f64),
            shared_failures: ArcSwapOption::empty(),
            closed: AtomicBool::new(false),
        })
    }

    /// The options in force in this memory of a reputation, which is only read. `stored` are those of creation.
    ///
    /// # Errors
    ///
    /// The memory is too short; the lists in force cannot be read.
    pub fn options_in(
        created: ReputationConfig,
        stored: &[(String, String)],
        arena: &Arena,
        (processes, files): (&Arc<Processes>, Box<dyn RangeFiles>),
    ) -> Result<Vec<(String, String)>> {
        let it = Self::shared("", created, arena, processes, (Arc::new(Nothing), files))?;
        it.check_lists()?;
        let has_lists_of_creation = it.machine.as_ref().is_none_or(|machine| machine.ranges.are_as_created());
        let mut config = ReputationConfig::clone(&it.config());
        config.lists = Lists::clone(&it.ranges.load().lists);
        let in_force = config.stored().into_iter().map(|(option, value)| {
            let of_creation = stored.iter().find(|(known, _)| known == option);
            let is_kept = has_lists_of_creation && ["allow", "deny"].contains(&option);
            let kept = of_creation.filter(|_| is_kept).map(|(_, value)| value.clone());
            (option.to_owned(), kept.unwrap_or(value))
        });
        Ok(in_force.collect())
    }

    /// Bytes that a shared reputation of this config takes in an arena.
    ///
    /// # Errors
    ///
    /// This machine has no address space for them.
    pub fn bytes(config: &ReputationConfig) -> Result<usize> {
        let arena = Arena::measure();
        let refused = |cause| memory::refused("Reputation maxClients", config.capacity as u64, 1, &cause);
        let processes = Arc::new(Processes::new(&Arena::measure()).map_err(refused)?);
        let nothing = (Arc::new(Nothing) as Arc<dyn Host>, Box::new(Nothing) as Box<dyn RangeFiles>);
        Self::shared("", config.clone(), &arena, &processes, nothing)?;
        Ok(arena.taken())
    }

    /// Mends what killed processes left that no call mends on its way: how many inserts were begun and not ended. Safe at
    /// any time. One pass over the table.
    pub fn repair(&self, now: u64) -> u64 {
        match &self.clients {
            Store::OfMachine(clients) => clients.repair(now),
            Store::OfProcess(_) => 0,
        }
    }

    /// Takes over what other processes have changed: the lists in force, and what subscribers have not heard of yet. The
    /// latter costs one pass over all clients where any ban was changed, and nothing where nothing listens.
    ///
    /// # Errors
    ///
    /// The lists in force cannot be read; those before stay. The reputation is destroyed.
    pub fn follow_others(&self, now: u64) -> Result<()> {
        self.check_open()?;
        if let Store::OfMachine(clients) = &self.clients {
            clients.follow_others(now);
        }
        self.check_lists()
    }

    /// Whether the lists in force can be read.
    ///
    /// # Errors
    ///
    /// Their file is gone, changed, or refused. Those before stay in force in this process.
    pub fn check_lists(&self) -> Result<()> {
        self.machine.as_ref().map_or(Ok(()), |machine| self.check_ranges(machine))
    }

    /// Whether the options and lists of creation are in force.
    #[must_use]
    pub fn is_as_created(&self) -> bool {
        self.config().generation == 0
            && self.machine.as_ref().is_none_or(|machine| machine.ranges.are_as_created())
    }

    /// The time that all processes of the reputation decide by, for a call, which looks after them where that is due; `None`
    /// where it is of one process, which goes by its own.
    #[inline]
    #[must_use]
    pub fn shared_now(&self) -> Option<u64> {
        self.machine.as_ref().map(|machine| machine.host.now_for_call())
    }

    /// By how many nanoseconds the system's date is ahead of the clock by which the reputation decides.
    #[must_use]
    pub fn date_ahead(&self) -> i64 {
        match &self.machine {
            Some(machine) => machine.date.ahead(),
            None => clock::date_ahead(),
        }
    }

    /// The config in force.
    #[inline]
    pub(super) fn config(&self) -> Guard<Arc<ReputationConfig>> {
        if let Some(machine) = &self.machine {
            machine.config.follow(&machine.epoch, &self.config);
        }
        self.config.load()
    }

    /// Brings other options into force for all processes.
    pub(super) fn reconfigure_all(&self, machine: &OfMachine, config: &ReputationConfig) -> Result<()> {
        loop {
            self.check_open()?;
            if !machine.config.can_replace() {
                return Err(Error::Unsupported {
                    what: "reconfigure in a process that is not attached",
                    accepted: "a process that is attached",
                });
            }
            let loaded = Arc::clone(&self.config());
            if machine.config.replace(&machine.epoch, &self.config, &loaded, config) {
                return self.replace_lists(&Arc::new(config.lists.clone()));
            }
        }
    }

    /// Ends the reputation for all processes that share it: their calls fail from now on. False where one has ended it
    /// before.
    pub fn close_everywhere(&self) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.epoch.close())
    }

    /// Whether a process has ended the reputation for all.
    #[inline]
    #[must_use]
    pub fn is_closed_everywhere(&self) -> bool {
        self.machine.as_ref().is_some_and(|machine| machine.epoch.get().is_closed())
    }

    /// The name it was created under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Options in force, in place of which another process may bring others.
    #[must_use]
    pub fn options_in_force(&self) -> OptionList {
        self.config().list()
    }
}

/// Of a reputation that is only measured.
struct Nothing;

impl Host for Nothing {
    fn now(&self) -> u64 {
        0
    }

    fn hasher(&self) -> &crate::runtime::key_hash::KeyHasher {
        crate::runtime::key_hash::of_process()
    }

    fn look_after(&self) -> bool {
        false
    }
}

impl RangeFiles for Nothing {
    fn create(&self, _: u64, _: &[u8]) -> Result<bool> {
        Ok(false)
    }

    fn read(&self, _: u64) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    fn remove(&self, _: u64) {}

    fn names(&self) -> Vec<u64> {
        Vec::new()
    }

    fn describe(&self, _: u64) -> String {
        String::new()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;
