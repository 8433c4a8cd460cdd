//! How the table keeps the word of a key.

use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::lengths::WindowLengths;
use super::window;
use super::word::CountWord;
use crate::key_table::Cell;

/// The value of a slot is the word of its key. A full table evicts the key that was hit at the lowest rate.
#[derive(Debug)]
pub(super) struct CountCell {
    pub(super) lengths: Arc<CachePadded<WindowLengths>>,
}

impl Cell for CountCell {
    type Words = [u64; 1];
    const READ_IS_UNSURE: bool = false;

    #[inline]
    fn read(&self, value: u64) -> [u64; 1] {
        [value]
    }

    #[inline]
    fn keep(&self, words: &[u64; 1], _: usize, _: impl Fn(usize, u64) -> bool) -> Option<u64> {
        Some(words[0])
    }

    #[inline]
    fn release(&self, _: u64, _: usize) {}

    fn eviction_loss(&self, words: &[u64; 1], left: u64, fresh: u64) -> u64 {
        window::loss(CountWord(words[0]), left, self.lengths.of_entry(left).unwrap_or(fresh))
    }
}
