//! What the 62 bits of a slot hold: the word of a single limit, or the name of a record with several words.
//!
//! Either way a change is one compare-and-swap of the state that was decided on, so concurrent calls have the same result
//! as the same calls one after the other.

use std::io;
use std::sync::Arc;

use super::records::{OwnedRecords, Records, StackedRecords};
use crate::machine::Processes;
use crate::runtime::arena::Arena;
use crate::runtime::sync::{Ordering, fence};

/// Most words of a key.
pub(crate) const MAX_WORDS: usize = 6;

/// What a decision does to the state it was made for.
pub(crate) enum Step<W, R> {
    /// Leaves it: a refusal writes nothing.
    Keep(R),
    /// Replaces it. If another thread has changed it, the decision is made again.
    Write(W, R),
}

/// The words of a key, one per limit; unused ones stay 0. All zero is a new key.
pub(crate) trait Words: Copy + Default + PartialEq + AsRef<[u64]> + AsMut<[u64]> {}

impl<const N: usize> Words for [u64; N] where Self: Default {}

/// How the words of a key are kept in the value of a slot. 0 stands for a new key.
pub(crate) trait Cell: Send + Sync {
    type Words: Words;

    /// The words that a slot's value stands for. They are valid only if the slot still holds the value afterwards, which the
    /// caller checks.
    fn read(&self, value: u64) -> Self::Words;

    /// Whether the slot must be read again after `read`.
    const READ_IS_UNSURE: bool;

    /// A value that stands for the words, for one slot only; `None` when there is no room at the moment. `is_in` says
    /// whether a slot holds a value.
    fn keep(&self, words: &Self::Words, slot: usize, is_in: impl Fn(usize, u64) -> bool) -> Option<u64>;

    /// Before a call takes a value out of its slot: what it stands for must not be lost if the call gets no further.
    #[inline(always)]
    fn disown(&self, _value: u64) {}

    /// Frees a value that is no longer in its slot, or never was.
    fn release(&self, value: u64, slot: usize);

    /// Values that a call is about to put into a slot, in a process that lives.
    fn in_flight(&self, _is_in: impl Fn(usize, u64) -> bool) -> u64 {
        0
    }

    /// What is lost with a key that expires in `left` nanoseconds, where it makes room for one that would expire in `fresh`.
    /// Of live keys, the one with the least goes first.
    fn eviction_loss(&self, _words: &Self::Words, left: u64, _fresh: u64) -> u64 {
        left
    }

    /// Whether a key must not be evicted now, however full the table is.
    fn must_stay(&self, _words: &Self::Words, _now: u64) -> bool {
        false
    }
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
    fn keep(&self, words: &[u64; 1], _: usize, _: impl Fn(usize, u64) -> bool) -> Option<u64> {
        Some(words[0])
    }

    #[inline]
    fn release(&self, _: u64, _: usize) {}
}

/// Several limits: the value names a record of their words. A record is written before its name is published, and does not
/// change while it is. Records are reused, each time under another name.
pub(crate) struct Several<R> {
    records: R,
}

impl Several<StackedRecords> {
    pub(crate) fn new(slots: usize, limits: usize, arena: &Arena) -> io::Result<Self> {
        Ok(Self { records: StackedRecords::new(slots, limits, arena)? })
    }

    /// Bytes of a slot.
    pub(crate) const fn bytes_each(limits: usize) -> usize {
        StackedRecords::bytes_each(limits)
    }
}

impl Several<OwnedRecords> {
    pub(crate) fn shared(
        slots: usize,
        limits: usize,
        arena: &Arena,
        processes: Arc<Processes>,
    ) -> io::Result<Self> {
        Ok(Self { records: OwnedRecords::new(slots, limits, arena, processes)? })
    }
}

#[cfg(all(test, any(sluice_loom, sluice_shuttle)))]
impl<R: Records> Several<R> {
    pub(crate) fn records_in_use(&self) -> u64 {
        self.records.in_use()
    }
}

impl<R: Records> Cell for Several<R> {
    type Words = [u64; MAX_WORDS];
    const READ_IS_UNSURE: bool = true;

    fn read(&self, value: u64) -> Self::Words {
        let mut words = Self::Words::default();
        self.records.read(value, &mut words);
        // A thread that has read a word of a later use then finds the slot changed: pairs with the fence in
        // `Records::take`.
        fence(Ordering::Acquire);
        words
    }

    fn keep(&self, words: &Self::Words, slot: usize, is_in: impl Fn(usize, u64) -> bool) -> Option<u64> {
        if *words == Self::Words::default() {
            return Some(0);
        }
        self.records.take(words, slot, is_in)
    }

    #[inline(always)]
    fn disown(&self, value: u64) {
        self.records.disown(value);
    }

    fn release(&self, value: u64, slot: usize) {
        self.records.give_back(value, slot);
    }

    fn in_flight(&self, is_in: impl Fn(usize, u64) -> bool) -> u64 {
        self.records.in_flight(is_in)
    }
}
