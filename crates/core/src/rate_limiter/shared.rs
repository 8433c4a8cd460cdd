//! A limiter that the processes of a machine share.
//!
//! Its table, its counters and the config in force lie in a mapping. Decisions need no other protocol than between
//! threads: a process that is killed leaves at most a charge that no caller was told of. Only the records of several limits
//! need one (`key_table/records/owned.rs`).

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::config::RateLimiterConfig;
use super::contents::{Contents, with_table};
use super::counts::CountsOfHandles;
use super::in_force::ConfigInForce;
use super::limiter::RateLimiter;
use crate::Result;
use crate::machine::Processes;
use crate::runtime::arena::Arena;
use crate::runtime::retire::Retirable;

/// What a repair found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Inserts that were begun and not ended.
    pub claims: u64,
    /// Blocks that were lost between two steps of an insert, or not in force yet.
    pub blocks: u64,
    /// Whether a new config was in force for some keys only.
    pub config: bool,
}

impl RateLimiter {
    /// The limiter in this memory, which is zeros before the first process takes it. Processes that share it know each
    /// other by `processes`, of which this one has a row.
    ///
    /// # Errors
    ///
    /// The memory is shorter than [`bytes`](Self::bytes).
    pub fn shared(
        name: &str,
        config: RateLimiterConfig,
        arena: &Arena,
        processes: &Arc<Processes>,
    ) -> Result<Self> {
        let too_large = |cause| config.too_large(&cause);
        let in_force =
            ConfigInForce::shared(config.clone(), arena, Arc::clone(processes)).map_err(too_large)?;
        let counts_of_handles = CountsOfHandles::shared(arena, Arc::clone(processes)).map_err(too_large)?;
        let contents = Contents::in_arena(&config, arena, Some(processes)).map_err(too_large)?;
        Ok(Self {
            name: name.to_owned(),
            created_with: config.list(),
            memory: Arc::clone(&contents.memory),
            contents: Arc::new(Retirable::new(contents)),
            in_force,
            reconfiguring: Mutex::new(()),
            counts_of_handles,
            successor: OnceLock::new(),
        })
    }

    /// Ends the limiter for all processes that share it: their calls fail from now on. False where one has ended it before.
    pub fn close_everywhere(&self) -> bool {
        self.in_force.close_everywhere()
    }

    /// Whether a process has ended the limiter for all.
    #[must_use]
    pub fn is_closed_everywhere(&self) -> bool {
        self.in_force.is_shared() && self.in_force.epoch().is_closed()
    }

    /// Bytes that a shared limiter of this config takes in an arena.
    ///
    /// # Errors
    ///
    /// This machine has no address space for them.
    pub fn bytes(config: &RateLimiterConfig) -> Result<usize> {
        let arena = Arena::measure();
        let processes = Processes::new(&Arena::measure()).map_err(|cause| config.too_large(&cause))?;
        Self::shared("", config.clone(), &arena, &Arc::new(processes))?;
        Ok(arena.taken())
    }

    /// Mends what killed processes left that no call mends on its way. Safe at any time, beside calls and other repairs.
    /// One pass over the table. `clock` gives the time of each of its steps.
    ///
    /// # Errors
    ///
    /// The limiter is destroyed.
    pub fn repair(&self, clock: impl Fn() -> u64) -> Result<Repaired> {
        let contents = self.enter()?;
        let (claims, blocks) = with_table!(contents, table => table.repair(clock()));
        Ok(Repaired { claims, blocks, config: self.finish_reconfiguration(&contents, &clock) })
    }

    /// States of keys that calls are about to bring into the table, in processes that live: of a limiter of several limits,
    /// one for each such call. Where none is made there are none, whatever the dead were about to do. One pass over the
    /// records, for tests.
    ///
    /// # Errors
    ///
    /// The limiter is destroyed.
    pub fn states_in_flight(&self) -> Result<u64> {
        let contents = self.enter()?;
        Ok(with_table!(contents, table => table.values_in_flight()))
    }

    /// Adapts all keys to the config in force, where the process that was about to do so died.
    fn finish_reconfiguration(&self, contents: &Contents, clock: &dyn Fn() -> u64) -> bool {
        if !self.in_force.is_to_adopt() {
            return false;
        }
        self.in_force.follow();
        let config = self.config();
        contents.adopt(&config, u64::MAX, &|| self.in_force.is_later_than(config.generation), clock);
        self.in_force.was_adopted(config.generation);
        true
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;
