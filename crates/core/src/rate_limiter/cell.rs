//! What the 62 bits of a slot stand for: the word of a single limit, or a record of several.
//!
//! Either way every change is one compare-and-swap of the state that was judged, so calls of any number of
//! threads have the same result as the same calls one after the other.

use std::io;
use std::sync::Arc;

use super::options::MAX_LIMITS;
use super::records::Records;
use crate::runtime::memory::MemoryUse;
use crate::runtime::sync::{Ordering, fence};

/// What a decision does to the state it was made for.
pub(crate) enum Step<W, R> {
    /// Leaves it: a refusal writes nothing.
    Keep(R),
    /// Replaces it, if nobody else did meanwhile; otherwise the decision is made anew.
    Write(W, R),
}

/// The words of a client, one per limit; those beyond stay 0. All zero is a client never seen.
pub(crate) trait Words: Copy + Default + PartialEq + AsRef<[u64]> + AsMut<[u64]> {}

impl<const N: usize> Words for [u64; N] where Self: Default {}

/// How the words of a client are kept in a slot. 0 stands for a client never seen.
pub(crate) trait Cell: Send + Sync {
    type Words: Words;

    /// The words that a slot's value stands for. The caller makes sure that the slot still holds it: until
    /// then they may be those of another.
    fn read(&self, value: u64) -> Self::Words;

    /// Whether the slot must be looked at again after `read`.
    const READ_IS_UNSURE: bool;

    /// A value for a slot that stands for the words and that nobody else has; none when there is no room at the
    /// moment.
    fn keep(&self, words: &Self::Words, slot: usize) -> Option<u64>;

    /// The value is in its slot no more, or never was.
    fn release(&self, value: u64, slot: usize);
}

/// A single limit: the value is its word.
#[derive(Debug)]
pub(crate) struct Single;

impl Cell for Single {
    type Words = [u64; 1];
    const READ_IS_UNSURE: bool = false;

    #[inline]
    fn read(&self, value: u64) -> [u64; 1] {
        [value]
    }

    #[inline]
    fn keep(&self, words: &[u64; 1], _: usize) -> Option<u64> {
        Some(words[0])
    }

    #[inline]
    fn release(&self, _: u64, _: usize) {}
}

/// Several limits: the value names a record of their words, which is written before it is published and not
/// changed while it is. Records are used again, each time under another name.
pub(crate) struct Several {
    records: Records,
}

impl Several {
    pub(crate) fn new(clients: usize, limits: usize, in_use: Arc<MemoryUse>) -> io::Result<Self> {
        Ok(Self { records: Records::new(clients, limits, in_use)? })
    }

    /// Bytes of a slot.
    pub(crate) const fn bytes_each(limits: usize) -> usize {
        Records::bytes_each(limits)
    }

    #[cfg(all(test, any(sluice_loom, sluice_shuttle)))]
    pub(crate) fn records_in_use(&self) -> u64 {
        self.records.in_use()
    }
}

impl Cell for Several {
    type Words = [u64; MAX_LIMITS];
    const READ_IS_UNSURE: bool = true;

    fn read(&self, value: u64) -> Self::Words {
        let mut words = Self::Words::default();
        self.records.read(value, &mut words);
        // Whoever reads a word that was written later finds the slot changed as well: pairs with the fence
        // in `Records::take`.
        fence(Ordering::Acquire);
        words
    }

    fn keep(&self, words: &Self::Words, slot: usize) -> Option<u64> {
        if *words == Self::Words::default() {
            return Some(0);
        }
        self.records.take(words, slot)
    }

    fn release(&self, value: u64, slot: usize) {
        self.records.give_back(value, slot);
    }
}
