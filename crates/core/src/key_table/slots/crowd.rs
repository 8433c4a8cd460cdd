//! Whether most keys of a large table are in its far part. It only decides where a key is looked for first.

use std::io;

use crossbeam_utils::CachePadded;

use crate::runtime::arena::{Arena, Word};
use crate::runtime::sync::{AtomicU64, Ordering};

/// How many more new keys may find the near part full before the table is crowded.
pub(super) struct Crowd {
    left: CachePadded<AtomicU64>,
    most: u64,
    /// In memory that processes share: how many found it full. `left` follows it then, so that a look-up reads no more than
    /// in a table of one process.
    sent_on: Option<Word>,
}

impl Crowd {
    /// For so many slots of the near part.
    pub(super) fn new(near_slots: usize, arena: &Arena) -> io::Result<Self> {
        let most = near_slots as u64;
        let sent_on = if arena.is_shared() { Some(arena.word()?) } else { None };
        let crowd = Self { left: CachePadded::new(AtomicU64::new(most)), most, sent_on };
        crowd.follow();
        Ok(crowd)
    }

    /// Whether most keys are in the far part.
    #[inline(always)]
    pub(super) fn is_there(&self) -> bool {
        // Relaxed, as all accesses here: it only decides where to look first.
        self.left.load(Ordering::Relaxed) == 0
    }

    /// A new key found no room in the near part.
    pub(super) fn send_on(&self) {
        match &self.sent_on {
            Some(sent_on) => {
                let one_more = |sent: u64| (sent < self.most).then_some(sent + 1);
                let _ = sent_on.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
                self.follow();
            }
            None => {
                let one_less = |left: u64| left.checked_sub(1);
                // At 0 it stays.
                let _ = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less);
            }
        }
    }

    /// All keys were removed.
    pub(super) fn disperse(&self) {
        if let Some(sent_on) = &self.sent_on {
            sent_on.store(0, Ordering::Relaxed);
        }
        self.left.store(self.most, Ordering::Relaxed);
    }

    /// Learns what other processes found.
    #[inline]
    pub(super) fn follow(&self) {
        if let Some(sent_on) = &self.sent_on {
            self.left.store(self.most.saturating_sub(sent_on.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
    }
}
