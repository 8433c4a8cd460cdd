//! Records in memory that processes share.
//!
//! There is no list of free records and no count of them, which a kill would leave wrong. Each record has a word that says
//! which process holds it, and every step is one exchange of that word:
//!
//! 1. Take: a free record becomes one of the calling process, and begins another use. It is written, and published.
//! 2. Disown: before a call takes a name out of its slot, it makes sure that no other process holds the record. A record
//!    that was published needs no holder: either a slot names it, or it may be taken.
//! 3. Give back: the record becomes free, if its use is still that of the name.
//!
//! So a record that no slot names, and that no living process holds, was left by a call that got no further. Where a slot
//! needs a record and finds none that is free, it takes such a one. First the holder is looked at, then the slots: a dead
//! process publishes nothing any more, and a name that was taken out of its slot never returns.
//!
//! Eight slots share ten records: one for each key, and two for calls that are about to replace one. Where they do not
//! suffice, a pool has more, each of which says for which slot it was taken.

mod record;

use std::io;
use std::ops::Range;
use std::sync::Arc;

use self::record::{Hold, Record};
use super::{Name, Records};
use crate::machine::{Owner, Processes};
use crate::runtime::arena::Arena;
use crate::runtime::planted::planted;
use crate::runtime::region::Region;
use crate::runtime::sync::{AtomicU64, Ordering};

/// Slots of a group, and records that it has.
const GROUP: usize = if cfg!(any(sluice_loom, sluice_shuttle)) { 2 } else { 8 };
const OF_GROUP: usize = GROUP + if cfg!(any(sluice_loom, sluice_shuttle)) { 1 } else { 2 };
/// Records of the pool.
const POOL: usize = if cfg!(any(sluice_loom, sluice_shuttle)) { 3 } else { 4_096 };
/// Words of a record of the pool beside those of a key: the hold, and the slot.
const POOL_HEAD: usize = 2;
/// A group begins on a cache line.
const LINE_WORDS: usize = 8;
/// Of an algorithm. Another process may have left any bits.
const WORD: u64 = (1 << 62) - 1;

/// The records of eight slots.
#[derive(Clone, Copy)]
struct Group<'a> {
    index: usize,
    holds: &'a [AtomicU64; OF_GROUP],
    words: &'a [AtomicU64],
    limits: usize,
}

impl<'a> Group<'a> {
    #[inline(always)]
    fn record(self, place: usize) -> Record<'a> {
        let words = &self.words[place * self.limits..(place + 1) * self.limits];
        let number = (self.index * OF_GROUP + place + 1) as u64;
        Record::new(number, &self.holds[place], words, None)
    }
}

/// The places of a group in the order in which a slot looks at them.
fn places_for(slot: usize) -> impl Iterator<Item = usize> {
    let first = slot % GROUP;
    (first..first + OF_GROUP).map(|place| place % OF_GROUP)
}

pub(crate) struct OwnedRecords {
    /// Of each group the holds of its records, then the words of each.
    groups: Region<AtomicU64>,
    group_words: usize,
    group_count: usize,
    /// Of each record the hold, the slot, then the words.
    pool: Region<AtomicU64>,
    limits: usize,
    /// Bits that a word may have.
    bits: u64,
    processes: Arc<Processes>,
}

impl OwnedRecords {
    /// Most bytes of the records of a slot.
    pub(crate) const fn bytes_each(words: usize) -> usize {
        (1 + words) * size_of::<AtomicU64>() * OF_GROUP / GROUP
    }

    /// For words that may have any bits.
    pub(crate) fn of_whole_words(self) -> Self {
        Self { bits: u64::MAX, ..self }
    }

    pub(crate) fn new(
        slots: usize,
        limits: usize,
        arena: &Arena,
        processes: Arc<Processes>,
    ) -> io::Result<Self> {
        let group_count = slots.div_ceil(GROUP);
        // Numbers of records have 32 bits.
        u32::try_from(group_count * OF_GROUP + POOL).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let group_words = (OF_GROUP * (1 + limits)).next_multiple_of(LINE_WORDS);
        Ok(Self {
            groups: arena.region(group_count * group_words)?,
            group_words,
            group_count,
            pool: arena.region(POOL * (POOL_HEAD + limits))?,
            limits,
            bits: WORD,
            processes,
        })
    }

    fn group(&self, index: usize) -> Option<Group<'_>> {
        let first = index.checked_mul(self.group_words)?;
        let memory = self.groups.get(first..first.checked_add(self.group_words)?)?;
        let (holds, words) = memory.split_first_chunk()?;
        Some(Group { index, holds, words, limits: self.limits })
    }

    fn of_pool(&self, place: usize) -> Option<Record<'_>> {
        let length = POOL_HEAD + self.limits;
        let first = place.checked_mul(length)?;
        let [hold, slot, words @ ..] = self.pool.get(first..first.checked_add(length)?)? else { return None };
        let number = (self.group_count * OF_GROUP + place + 1) as u64;
        Some(Record::new(number, hold, words, Some(slot)))
    }

    /// The record of a number, which may have been read from shared memory; `None` for 0, and where there is none.
    fn record(&self, number: u64) -> Option<Record<'_>> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        match index.checked_sub(self.group_count * OF_GROUP) {
            None => Some(self.group(index / OF_GROUP)?.record(index % OF_GROUP)),
            Some(place) => self.of_pool(place),
        }
    }

    /// The slots that may name a record.
    fn slots_of(&self, record: Record<'_>) -> Range<usize> {
        match record.slot {
            None => {
                let group = (record.number - 1) as usize / OF_GROUP;
                group * GROUP..(group + 1) * GROUP
            }
            Some(slot) => {
                // Relaxed: read after the hold. A process that published the record noted its slot before.
                let slot = usize::try_from(slot.load(Ordering::Relaxed)).unwrap_or(usize::MAX - 1);
                slot..slot.saturating_add(1)
            }
        }
    }

    fn is_named(&self, record: Record<'_>, seen: Hold, is_in: &impl Fn(usize, u64) -> bool) -> bool {
        let name = Name::new(record.number, seen.uses());
        self.slots_of(record).any(|slot| is_in(slot, name.0))
    }

    /// Whether a record was left by a call that got no further: no living process holds it, and no slot names it.
    fn is_left(&self, record: Record<'_>, seen: Hold, is_in: &impl Fn(usize, u64) -> bool) -> bool {
        let is_held = seen.holder().is_some_and(|holder| self.processes.is_live(holder));
        if is_held && !planted!(HolderNotLookedAt) || planted!(RecordsOfTheDeadStay) {
            return false;
        }
        planted!(SlotsNotLookedAt) || !self.is_named(record, seen, is_in)
    }

    fn take_as(
        &self,
        own: Owner,
        words: &[u64],
        slot: usize,
        is_in: &impl Fn(usize, u64) -> bool,
    ) -> Option<Name> {
        let taken = self.take_free(own, slot).or_else(|| self.take_left(own, slot, is_in));
        let (record, name) = taken.or_else(|| self.take_of_pool(own, slot, is_in))?;
        record.write(words);
        Some(name)
    }

    fn take_free(&self, own: Owner, slot: usize) -> Option<(Record<'_>, Name)> {
        let group = self.group(slot / GROUP)?;
        places_for(slot)
            .map(|place| group.record(place))
            .find_map(|record| Some((record, record.take_free(own)?)))
    }

    /// A record of the group that a call of a dead process, or one that goes on, has left.
    #[cold]
    fn take_left(
        &self,
        own: Owner,
        slot: usize,
        is_in: &impl Fn(usize, u64) -> bool,
    ) -> Option<(Record<'_>, Name)> {
        let group = self.group(slot / GROUP)?;
        places_for(slot)
            .map(|place| group.record(place))
            .find_map(|record| Some((record, self.take_if_left(record, own, is_in)?)))
    }

    #[cold]
    fn take_of_pool(
        &self,
        own: Owner,
        slot: usize,
        is_in: &impl Fn(usize, u64) -> bool,
    ) -> Option<(Record<'_>, Name)> {
        // Slots and processes begin elsewhere.
        let first = slot.wrapping_mul(0x9e37_79b9).wrapping_add(own.row().wrapping_mul(0x85eb_ca6b));
        let places = (0..POOL).map(|place| first.wrapping_add(place) % POOL);
        let (record, name) = places
            .filter_map(|place| self.of_pool(place))
            .find_map(|record| Some((record, self.take_if_left(record, own, is_in)?)))?;
        if let Some(noted) = record.slot.filter(|_| !planted!(SlotNotNoted)) {
            // Relaxed: the slot publishes it with the name.
            noted.store(slot as u64, Ordering::Relaxed);
        }
        Some((record, name))
    }

    fn take_if_left(
        &self,
        record: Record<'_>,
        own: Owner,
        is_in: &impl Fn(usize, u64) -> bool,
    ) -> Option<Name> {
        let seen = record.hold();
        let can_be_had = seen.is_free() || self.is_left(record, seen, is_in);
        if can_be_had { record.take(seen, own) } else { None }
    }

    fn disown_as(&self, own: Option<Owner>, name: Name) {
        let Some(record) = self.record(name.number()) else { return };
        let seen = record.hold_at_hand();
        if planted!(RecordNotDisowned) || !seen.is_of(name) || seen.holder() == own {
            return;
        }
        if seen != seen.disowned() {
            // If another call came first, it has disowned the record, too, or has taken the name out of its slot.
            let _ = record.exchange(seen, seen.disowned());
        }
    }
}

impl Records for OwnedRecords {
    fn read(&self, name: u64, words: &mut [u64]) {
        let Some(record) = self.record(Name(name).number()) else { return };
        for (word, kept) in words.iter_mut().zip(record.words) {
            // Relaxed: the caller checks that the name is still published.
            *word = kept.load(Ordering::Relaxed) & self.bits;
        }
    }

    fn take(&self, words: &[u64], slot: usize, is_named: impl Fn(usize, u64) -> bool) -> Option<u64> {
        Some(self.take_as(self.processes.own()?, words, slot, &is_named)?.0)
    }

    fn disown(&self, name: u64) {
        self.disown_as(self.processes.own(), Name(name));
    }

    fn give_back(&self, name: u64, _: usize) {
        let name = Name(name);
        let Some(record) = self.record(name.number()) else { return };
        let mut seen = record.hold_at_hand();
        // Another process may have taken it since: it was left from the moment when its name was no longer in the slot.
        while seen.is_of(name) || planted!(GivenBackInLaterUse) && !seen.is_free() {
            match record.exchange(seen, seen.freed()) {
                Ok(()) => return,
                Err(current) => seen = current,
            }
        }
    }

    fn in_flight(&self, is_named: impl Fn(usize, u64) -> bool) -> u64 {
        let numbers = 1..=(self.group_count * OF_GROUP + POOL) as u64;
        let records = numbers.filter_map(|number| self.record(number));
        let in_flight = records.filter(|record| {
            let seen = record.hold();
            let can_be_had = seen.is_free() || self.is_left(*record, seen, &is_named);
            !can_be_had && !self.is_named(*record, seen, &is_named)
        });
        in_flight.count() as u64
    }

    #[cfg(all(test, any(sluice_loom, sluice_shuttle)))]
    fn in_use(&self) -> u64 {
        let numbers = 1..=(self.group_count * OF_GROUP + POOL) as u64;
        let records = numbers.filter_map(|number| self.record(number));
        records.filter(|record| !record.hold().is_free()).count() as u64
    }
}

#[cfg(all(test, sluice_loom))]
mod models;

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;
