//! A thread's own handle to a counter.

use std::fmt;
use std::sync::Arc;

use super::contents::Contents;
use super::counter::{HitCounter, HitCounterStats};
use super::kept_keys::KeptHits;
use super::window::{Hit, Hits, WindowLength};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;
use crate::runtime::retire::{Handle, Inside};
use crate::{Error, Result};

/// One thread's handle to a counter. It keeps no table once the counter is destroyed. Times are nanoseconds, and windows
/// begin and end on whole milliseconds.
///
/// All methods fail once the counter is destroyed.
pub struct LocalHitCounter {
    counter: Arc<HitCounter>,
    contents: Handle<Contents>,
}

impl LocalHitCounter {
    /// A handle for the calling thread.
    #[must_use]
    pub fn new(counter: Arc<HitCounter>) -> Self {
        let contents = Handle::new(Arc::clone(&counter.contents));
        Self { counter, contents }
    }

    /// The counter.
    #[must_use]
    pub fn counter(&self) -> &Arc<HitCounter> {
        &self.counter
    }

    /// Counts the hit, in the window that runs or in one that begins now, in one step for all threads.
    ///
    /// # Errors
    ///
    /// The counter is destroyed.
    #[inline]
    pub fn add(&mut self, key: KeyHash, hit: &Hit, now: u64) -> Result<Hits> {
        Ok(self.enter()?.add(key, hit, now))
    }

    /// Whether texts of keys are kept: then [`keep`](Self::keep) follows each call that begins a window.
    #[must_use]
    pub fn keeps_keys(&self) -> bool {
        self.counter.keeps_keys
    }

    /// Keeps the text of a key, as UTF-16, for [`dump`](Self::dump).
    ///
    /// # Errors
    ///
    /// The counter is destroyed.
    pub fn keep(&mut self, key: KeyHash, text: &[u16]) -> Result<()> {
        let contents = self.enter()?;
        if let Some(kept) = &contents.kept {
            kept.keep(key, text, |key| contents.has_slot(key));
        }
        Ok(())
    }

    /// Takes hits back from a window that runs, down to none. The window stays.
    ///
    /// # Errors
    ///
    /// The counter is destroyed.
    pub fn take_back(&mut self, key: KeyHash, n: u64, now: u64) -> Result<()> {
        self.enter()?.take_back(key, n, now);
        Ok(())
    }

    /// The count of a key whose window runs.
    ///
    /// # Errors
    ///
    /// The counter is destroyed.
    pub fn get(&mut self, key: KeyHash, now: u64) -> Result<Option<Hits>> {
        Ok(self.enter()?.get(key, now))
    }

    /// Gives the key this count and a window that begins now, in one step; false when the table has no slot for it.
    ///
    /// # Errors
    ///
    /// The counter is destroyed.
    pub fn set(&mut self, key: KeyHash, count: i64, window: WindowLength, now: u64) -> Result<bool> {
        Ok(self.enter()?.set(key, count, window, now))
    }

    /// Removes the key; true where a window ran.
    ///
    /// # Errors
    ///
    /// The counter is destroyed.
    pub fn delete(&mut self, key: KeyHash, now: u64) -> Result<bool> {
        let contents = self.enter()?;
        let forget = || {
            if let Some(kept) = &contents.kept {
                kept.forget(key);
            }
        };
        // First: a window that begins once the slot is free keeps its text.
        if !planted!(TextDroppedLate) {
            forget();
        }
        let ran = contents.delete(key, now);
        if planted!(TextDroppedLate) {
            forget();
        }
        Ok(ran)
    }

    /// Removes every key, one after the other.
    ///
    /// # Errors
    ///
    /// The counter is destroyed.
    pub fn clear(&mut self) -> Result<()> {
        self.enter()?.clear();
        Ok(())
    }

    /// As [`HitCounter::stats`].
    ///
    /// # Errors
    ///
    /// The counter is destroyed.
    pub fn stats(&mut self, now: u64) -> Result<HitCounterStats> {
        self.follow();
        self.counter.stats(now)
    }

    /// All keys whose window runs, in no order.
    ///
    /// # Errors
    ///
    /// The counter keeps no texts (`keepKeys`), or is destroyed.
    pub fn dump(&mut self, now: u64) -> Result<Vec<KeptHits>> {
        let contents = self.enter()?;
        let Some(kept) = &contents.kept else {
            return Err(Error::invalid_option("HitCounter keepKeys", false, "true, for dump and restore"));
        };
        Ok(kept.dump(|key| contents.get(key, now), |key| contents.has_slot(key)))
    }

    /// The way into the table; that of the counter which replaced this one, if any did.
    #[inline]
    fn enter(&mut self) -> Result<Inside<'_, Contents>> {
        if self.counter.successor().is_some() {
            self.follow();
        }
        self.contents.enter().ok_or_else(|| self.counter.closed())
    }

    #[cold]
    fn follow(&mut self) {
        while let Some(successor) = self.counter.successor() {
            *self = Self::new(Arc::clone(successor));
        }
    }
}

impl fmt::Debug for LocalHitCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHitCounter").field("counter", &self.counter).finish_non_exhaustive()
    }
}
