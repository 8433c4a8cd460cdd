//! A window of exactly the last N calls, counted without a lock.

mod block;
#[cfg(all(test, sluice_loom))]
mod models;
#[cfg(all(test, not(sluice_loom)))]
mod tests;

use super::rates::{Counts, Outcome};
use super::window::Tag;
use crate::runtime::region;
use crate::runtime::sync::{AtomicU64, Ordering};
use block::{BLOCK, Block, Cursor, Marks, Stage};

/// A ring of the outcomes of the last `calls` calls.
///
/// The ring is divided into blocks of one word each. A block holds its outcomes, how many of them were written in this
/// lap, and the lap. The places after those are still of the lap before. One compare-and-swap of the current block
/// overwrites the outcome that leaves the window.
///
/// The other blocks do not change before the current one is full. So they are the same at a successful swap as between
/// the load and the swap, and the counts that `record` returns are those of the window at one moment. Concurrent
/// reports have the same results as the same reports one after the other.
#[derive(Debug)]
pub(super) struct CountWindow {
    calls: u64,
    cursor: AtomicU64,
    blocks: Box<[AtomicU64]>,
}

impl CountWindow {
    /// Bytes of a ring of `calls` calls.
    pub(super) fn bytes(calls: u64) -> u64 {
        calls.div_ceil(BLOCK) * size_of::<AtomicU64>() as u64
    }

    pub(super) fn new(calls: u64, tag: Tag) -> Self {
        let blocks = (0..calls.div_ceil(BLOCK)).map(|_| AtomicU64::new(Block::empty(tag).0));
        Self { calls, cursor: AtomicU64::new(Cursor::new(tag, 0).0), blocks: blocks.collect() }
    }

    /// Writes an outcome and returns the counts of the window right after it. `None`, without writing, when the window
    /// was emptied under another tag.
    pub(super) fn record(&self, tag: Tag, outcome: Outcome) -> Option<Counts> {
        loop {
            // Acquire, here and below: pairs with the swaps of a block and of the cursor. A thread that sees the cursor
            // at one block sees all blocks before it full.
            let cursor = Cursor(self.cursor.load(Ordering::Acquire));
            if cursor.tag() != tag {
                return None;
            }
            let (index, lap) = self.place(cursor);
            let block = Block(self.blocks[index].load(Ordering::Acquire));
            if block.tag() != tag {
                return None;
            }
            let length = self.length(index);
            match block.stage(lap, length) {
                Stage::Full => self.advance(cursor),
                // The cursor has advanced since it was read.
                Stage::Later => {}
                Stage::Current => {
                    let next = block.with(outcome, lap);
                    let counts = self.counts_with(index, lap, next);
                    let (current, new) = (block.0, next.0);
                    let swapped = self.blocks[index].compare_exchange_weak(
                        current,
                        new,
                        Ordering::AcqRel,
                        Ordering::Relaxed,
                    );
                    if swapped.is_ok() {
                        return Some(counts);
                    }
                }
            }
        }
    }

    /// The counts of the window. During concurrent reports the blocks may be of different moments.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (index, block) in self.blocks.iter().enumerate() {
            counts += Block(block.load(Ordering::Acquire)).counts(self.length(index));
        }
        counts
    }

    /// Empties the window. Reports under other tags no longer count. One caller at a time.
    pub(super) fn reset(&self, tag: Tag) {
        // Swaps: a report from before either comes first, or finds the new tag.
        for block in &self.blocks {
            block.swap(Block::empty(tag).0, Ordering::AcqRel);
        }
        self.cursor.swap(Cursor::new(tag, 0).0, Ordering::AcqRel);
    }

    /// Prefetches what a report reads, in a window that is not large.
    #[inline]
    pub(super) fn prefetch(&self) {
        region::prefetch_all(&*self.blocks);
    }

    /// The current block and its lap.
    fn place(&self, cursor: Cursor) -> (usize, u64) {
        let blocks = self.blocks.len() as u64;
        ((cursor.block() % blocks) as usize, cursor.block() / blocks)
    }

    fn advance(&self, cursor: Cursor) {
        let next = Cursor::new(cursor.tag(), cursor.block() + 1);
        // The first thread advances it; the exchanges of the others fail.
        let _ = self.cursor.compare_exchange(cursor.0, next.0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Outcomes in a block. The last block holds the rest.
    fn length(&self, index: usize) -> u64 {
        BLOCK.min(self.calls - index as u64 * BLOCK)
    }

    /// The counts of the window with `block` at this place in this lap. The blocks before it are full, and those after it
    /// are of the lap before, if there was one. So no block is asked how many outcomes it has. One loop over all blocks: the
    /// processor could not predict where two loops end, as that differs from target to target.
    fn counts_with(&self, index: usize, lap: u64, block: Block) -> Counts {
        let blocks = self.blocks.iter().enumerate();
        let marks = blocks.fold(Marks::NONE, |marks, (place, other)| {
            let other = Block(other.load(Ordering::Acquire));
            marks.and(if place == index { block } else { other }.marks())
        });
        let calls = if lap > 0 { self.calls } else { index as u64 * BLOCK + block.filled() };
        Counts { calls, failures: marks.failures(), slow: marks.slow() }
    }
}
