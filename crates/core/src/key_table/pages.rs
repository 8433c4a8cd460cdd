//! Which pages of a region were written.

use std::io;
use std::sync::Arc;

use crate::runtime::arena::Arena;
use crate::runtime::memory::MemoryUse;
use crate::runtime::region::{PAGE, Region};
use crate::runtime::sync::{AtomicU64, Ordering};

/// A bit for each page. The bytes of marked pages count as in use.
pub(super) struct Pages {
    bits: Region<AtomicU64>,
    in_use: Arc<MemoryUse>,
}

impl Pages {
    /// The pages of a region of this many bytes.
    pub(super) fn new(bytes: usize, arena: &Arena) -> io::Result<Self> {
        Ok(Self { bits: arena.region(bytes.div_ceil(PAGE).div_ceil(64))?, in_use: arena.in_use() })
    }

    /// To be called before the byte at this place is written.
    #[inline]
    pub(super) fn mark(&self, byte: usize) {
        let page = byte / PAGE;
        if !self.is_marked(page) {
            let others = self.bits[page / 64].fetch_or(1 << (page % 64), Ordering::SeqCst);
            if others & 1 << (page % 64) == 0 {
                self.in_use.add(PAGE as u64);
            }
        }
    }

    /// The pages that were written, in order.
    pub(super) fn marked(&self) -> impl Iterator<Item = usize> {
        (0..self.bits.len() * 64).filter(|page| self.is_marked(*page))
    }

    fn is_marked(&self, page: usize) -> bool {
        // SeqCst, like the write that follows `mark`: a pass that misses the bit came before the write.
        self.bits[page / 64].load(Ordering::SeqCst) & 1 << (page % 64) != 0
    }
}
