//! The counter, shared by all threads.

use std::fmt;
use std::sync::{Arc, OnceLock};

use super::contents::{Contents, SATURATED, UNTRACKED};
use super::options::HitCounterConfig;
use crate::runtime::instances::OptionList;
use crate::runtime::memory::MemoryUse;
use crate::runtime::retire::{Inside, Retirable};
use crate::{Error, Result};

/// Counts hits per key, over all threads: each hit once, also those above any limit.
///
/// The calls of a thread are those of a [`LocalHitCounter`](super::LocalHitCounter). Methods that return a [`Result`] fail
/// once the counter is destroyed.
pub struct HitCounter {
    name: String,
    pub(super) created_with: OptionList,
    pub(super) fixed: OptionList,
    pub(super) keeps_keys: bool,
    pub(super) contents: Arc<Retirable<Contents>>,
    memory: Arc<MemoryUse>,
    /// The counter that replaced this one.
    pub(super) successor: OnceLock<Arc<Self>>,
}

/// Sums over all threads since creation, and the state of the table now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HitCounterStats {
    /// Keys whose window runs.
    pub size: u64,
    /// Most keys held at once.
    pub capacity: u64,
    /// Keys evicted while their window ran.
    pub live_evictions: u64,
    /// Calls that found no slot for their key.
    pub untracked: u64,
    /// Calls whose count was at the end of its range.
    pub saturated: u64,
}

impl HitCounter {
    /// A counter without keys. Its memory is committed page by page as keys come, and freed when the counter is
    /// destroyed.
    ///
    /// # Errors
    ///
    /// The system cannot map memory for `max_keys` keys.
    pub fn try_new(name: &str, config: &HitCounterConfig) -> Result<Self> {
        let contents = Contents::new(config).map_err(|cause| config.too_large(&cause))?;
        Ok(Self {
            name: name.to_owned(),
            created_with: config.list(),
            fixed: config.list_fixed(),
            keeps_keys: config.options.keep_keys,
            memory: Arc::clone(&contents.memory),
            contents: Arc::new(Retirable::new(contents)),
            successor: OnceLock::new(),
        })
    }

    /// Bytes that its keys take now, in whole pages; 0 once it is destroyed. Without the texts of `keepKeys`.
    #[must_use]
    pub fn memory(&self) -> &Arc<MemoryUse> {
        &self.memory
    }

    /// The counter that replaced this one, which has another table.
    #[must_use]
    pub fn successor(&self) -> Option<&Arc<Self>> {
        self.successor.get()
    }

    /// Sums over all threads, and one pass over the table.
    ///
    /// # Errors
    ///
    /// The counter is destroyed.
    pub fn stats(&self, now: u64) -> Result<HitCounterStats> {
        let contents = self.enter()?;
        let (size, _) = contents.table.count(now, |words, now| contents.lifetime(words, now));
        Ok(HitCounterStats {
            size,
            capacity: contents.table.capacity() as u64,
            live_evictions: contents.table.live_evictions(),
            untracked: contents.counters.sum(UNTRACKED),
            saturated: contents.counters.sum(SATURATED),
        })
    }

    pub(super) fn enter(&self) -> Result<Inside<'_, Contents>> {
        self.contents.enter().ok_or_else(|| self.closed())
    }

    pub(super) fn closed(&self) -> Error {
        Error::Closed { name: self.name.clone() }
    }
}

impl fmt::Debug for HitCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HitCounter").field("name", &self.name).finish_non_exhaustive()
    }
}
