//! What a limiter holds of its keys: the table and the shared counters. Freed when the limiter is destroyed.

use crate::key_table::{OwnedRecords, Several, Single, StackedRecords, Table};
use std::io;
use std::sync::Arc;

use super::config::RateLimiterConfig;
use super::counts::COUNTERS;
use super::lines::Lines;
use super::refusing::Refusing;
use crate::machine::{Attached, Processes};
use crate::runtime::arena::Arena;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::memory::MemoryUse;
use crate::runtime::sharded_counters::ShardedCounters;

/// The table of a limiter of one limit, or of several: in memory of this process, or where processes share them.
#[expect(
    clippy::large_enum_variant,
    reason = "one per limiter; a box would be one more look-up in every call"
)]
pub(super) enum KeyTable {
    Single(Table<Single>),
    Several(Box<Table<Several<StackedRecords>>>),
    SharedSeveral(Box<Table<Several<OwnedRecords>>>),
}

/// Runs the same code on any table.
macro_rules! with_table {
    ($contents:expr, $table:ident => $call:expr) => {
        match &$contents.table {
            $crate::rate_limiter::contents::KeyTable::Single($table) => $call,
            $crate::rate_limiter::contents::KeyTable::Several($table) => $call,
            $crate::rate_limiter::contents::KeyTable::SharedSeveral($table) => $call,
        }
    };
}
pub(super) use with_table;

/// Dropped as soon as the limiter is destroyed and no call is inside.
pub(super) struct Contents {
    pub(super) table: KeyTable,
    /// Of calls that are made without a thread-local handle.
    pub(super) counters: ShardedCounters<COUNTERS>,
    pub(super) memory: Arc<MemoryUse>,
    pub(super) refusing: Refusing,
    /// The lines of keys for which calls wait.
    pub(super) lines: Lines,
    /// Where processes share the table: this one gives its row back after the last call.
    _attached: Option<Attached>,
}

impl Contents {
    pub(super) fn new(config: &RateLimiterConfig) -> io::Result<Self> {
        Self::in_arena(config, &Arena::default(), None)
    }

    /// Of the processes that share the arena, if any do.
    pub(super) fn in_arena(
        config: &RateLimiterConfig,
        arena: &Arena,
        processes: Option<&Arc<Processes>>,
    ) -> io::Result<Self> {
        let (options, limits) = (&config.options, config.rules.len());
        // `maxKeys` is at most 2^32, which every 64-bit machine counts.
        let max_keys = usize::try_from(options.max_keys).unwrap_or(usize::MAX);
        let counters = ShardedCounters::in_arena(arena)?;
        let table = match (limits, processes) {
            (1, _) => KeyTable::Single(Table::new(max_keys, options.overflow, arena, |_| Ok(Single))?),
            (_, Some(processes)) => {
                let several = |slots| Several::shared(slots, limits, arena, Arc::clone(processes));
                KeyTable::SharedSeveral(Box::new(Table::new(max_keys, options.overflow, arena, several)?))
            }
            (_, None) => {
                let several = |slots| Several::new(slots, limits, arena);
                KeyTable::Several(Box::new(Table::new(max_keys, options.overflow, arena, several)?))
            }
        };
        Ok(Self {
            table,
            counters,
            memory: arena.in_use(),
            refusing: Refusing::default(),
            lines: Lines::default(),
            _attached: processes.and_then(|processes| processes.stay()),
        })
    }

    /// Prefetches the slots of a key that is about to be used.
    #[inline]
    pub(super) fn prefetch(&self, key: KeyHash) {
        with_table!(self, table => table.prefetch(key));
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        self.memory.end();
    }
}
