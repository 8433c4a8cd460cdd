//! How the table keeps the words of a client: in a record, which its slot names.

use std::io;
use std::sync::Arc;

use super::client_words::{ClientWords, FIRST_MOMENT, MOST_MOMENTS};
use crate::key_table::{Cell, OwnedRecords, Records};
use crate::machine::Processes;
use crate::reputation::policy::Policy;
use crate::runtime::arena::Arena;
use crate::runtime::planted::planted;
use crate::runtime::sync::{Ordering, fence};

pub(super) struct Histories {
    records: OwnedRecords,
    /// How many words are kept.
    words: usize,
}

impl Histories {
    /// Most bytes of the history of a client.
    pub(super) fn bytes_each(policy: &Policy) -> usize {
        OwnedRecords::bytes_each(FIRST_MOMENT + moments(policy))
    }

    pub(super) fn new(
        slots: usize,
        policy: &Policy,
        arena: &Arena,
        processes: Arc<Processes>,
    ) -> io::Result<Self> {
        let words = FIRST_MOMENT + moments(policy);
        let records = OwnedRecords::new(slots, words, arena, processes)?;
        Ok(Self { records: records.of_whole_words(), words })
    }

    /// The end of the ban of the client with this value; 0 without one. One word is read.
    #[inline]
    pub(super) fn until(&self, value: u64) -> u64 {
        let mut words = [0];
        self.records.read(value, &mut words);
        words[0]
    }
}

/// Moments that a client has room for: no more than failures that do not ban.
pub(super) fn moments(policy: &Policy) -> usize {
    usize::try_from(policy.max_failures).unwrap_or(usize::MAX).min(MOST_MOMENTS)
}

impl Cell for Histories {
    type Words = ClientWords;
    const READ_IS_UNSURE: bool = true;

    fn read(&self, value: u64) -> ClientWords {
        let mut words = ClientWords::default();
        self.records.read(value, &mut words.as_mut()[..self.words]);
        // A thread that has read a word of a later use then finds the slot changed.
        fence(Ordering::Acquire);
        words
    }

    fn keep(&self, words: &ClientWords, slot: usize, is_in: impl Fn(usize, u64) -> bool) -> Option<u64> {
        if *words == ClientWords::default() {
            return Some(0);
        }
        self.records.take(&words.as_ref()[..self.words], slot, is_in)
    }

    fn disown(&self, value: u64) {
        self.records.disown(value);
    }

    fn release(&self, value: u64, slot: usize) {
        self.records.give_back(value, slot);
    }

    fn in_flight(&self, is_in: impl Fn(usize, u64) -> bool) -> u64 {
        self.records.in_flight(is_in)
    }

    fn eviction_loss(&self, words: &ClientWords, _: u64, _: u64) -> u64 {
        words.loss()
    }

    fn must_stay(&self, words: &ClientWords, now: u64) -> bool {
        now < words.until() && !planted!(BannedEvicted)
    }
}
