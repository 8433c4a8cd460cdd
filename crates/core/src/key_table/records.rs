//! Records: the words of keys of several limits.
//!
//! A record is written by the one call that took it, published by its name in a slot, read by any thread, and given back by
//! the call that replaced the name. A name includes the number of the record's use, so a slot that holds the same name as
//! before holds the same words. No thread waits for another: a suspended thread holds at most the record it took and the
//! one it replaced.
//!
//! Threads of one process find free records on stacks (`stacked`). Where processes share the table, each record says which
//! process holds it (`owned`), so that a process that is killed loses none.

mod owned;
mod stacked;

pub(crate) use self::owned::OwnedRecords;
pub(crate) use self::stacked::StackedRecords;

pub(crate) trait Records: Send + Sync {
    /// The words of a record; those of another use if the name is no longer published.
    fn read(&self, name: u64, words: &mut [u64]);

    /// Takes a record for a slot and writes the words to it; returns its name. `is_named` says whether a slot holds a name.
    fn take(&self, words: &[u64], slot: usize, is_named: impl Fn(usize, u64) -> bool) -> Option<u64>;

    /// Before a call takes a name out of its slot: the record must not be lost if the call gets no further.
    #[inline(always)]
    fn disown(&self, _name: u64) {}

    /// Frees a record. Only for the call that took the name out of its slot, or never put it there.
    fn give_back(&self, name: u64, slot: usize);

    /// Records that a call is about to publish, in a process that lives.
    fn in_flight(&self, _is_named: impl Fn(usize, u64) -> bool) -> u64 {
        0
    }

    /// Records that are not free.
    #[cfg(all(test, any(sluice_loom, sluice_shuttle)))]
    fn in_use(&self) -> u64;
}

/// The name of a use of a record, in the 62 bits of a slot: `use 30 | number 32`. Number 0 is no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name(u64);

const USES: u64 = 1 << 30;

impl Name {
    fn new(number: u64, uses: u64) -> Self {
        Self((uses % USES) << 32 | number)
    }

    fn number(self) -> u64 {
        self.0 & u64::from(u32::MAX)
    }

    fn uses(self) -> u64 {
        self.0 >> 32
    }
}
