//! What the insert of a new key sees of slots, and which of them it prefers.

use super::slots::{Candidates, Found, LINE_SLOTS, Slot};
use super::word::{Kind, State, Tag, Version};
use crate::runtime::clock::MS;
use crate::runtime::planted::planted;

/// For how long an expired key is spared while another vacancy exists.
pub(super) const SPARED: u64 = 1_000 * MS;

/// How much evicting a slot would lose, from nothing to what must not be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EvictionRank {
    Free,
    /// Its key has its full quota.
    Expired,
    /// Its key has had its full quota for less than [`SPARED`]. It may return soon, and would then evict another of its
    /// kind.
    JustExpired,
    /// Another key is being inserted.
    Claimed,
    /// Its key has its full quota after so many nanoseconds.
    Live(u64),
    /// Not to be evicted: blocked, or just changing.
    Kept(u64),
}

impl EvictionRank {
    pub(super) fn is_expired(self) -> bool {
        matches!(self, Self::Expired | Self::JustExpired)
    }
}

/// A slot as the insert of a new key sees it.
#[derive(Clone, Copy)]
pub(super) struct Looked<'a> {
    pub(super) slot: Slot<'a>,
    pub(super) tag: Tag,
    pub(super) state: State,
    pub(super) rank: EvictionRank,
}

impl<'a> Looked<'a> {
    /// The version that the next claim of the slot has.
    pub(super) fn next_version(&self) -> Version {
        match self.state.kind() {
            Kind::Value => self.tag.version().next(),
            Kind::Claim(tag) => tag.version().next(),
            Kind::Free(version) => version.next(),
        }
    }

    pub(super) fn is_of(&self, key: &Candidates) -> bool {
        match self.state.kind() {
            Kind::Value => self.tag.is_of(key.fingerprint),
            Kind::Claim(tag) => tag.is_of(key.fingerprint),
            Kind::Free(_) => false,
        }
    }

    pub(super) fn found(&self) -> Found<'a> {
        Found { slot: self.slot, tag: self.tag, state: self.state }
    }

    fn is_vacant(&self) -> bool {
        self.rank <= EvictionRank::JustExpired
    }
}

/// The vacancies of a line.
#[derive(Default)]
pub(super) struct Vacancies<'a> {
    /// Slots that are free, or whose key has expired a while ago.
    lasting: usize,
    /// Slots whose key has just expired.
    recent: usize,
    best: Option<Looked<'a>>,
}

impl<'a> Vacancies<'a> {
    pub(super) fn add(&mut self, looked: Looked<'a>) {
        match looked.rank {
            EvictionRank::Free | EvictionRank::Expired => self.lasting += 1,
            EvictionRank::JustExpired => self.recent += 1,
            _ => return,
        }
        self.best = better(self.best, looked);
    }

    /// The line with the highest number gets a new key: a line that is filled in order if it has a vacancy, else the one
    /// with most vacancies. Keys that have just expired are spared while another vacancy exists.
    fn preference(&self, in_order: bool) -> usize {
        if planted!(SparedTakenFirst) && self.recent > 0 {
            return usize::MAX;
        }
        match (self.lasting, in_order) {
            (0, true) => LINE_SLOTS * usize::from(self.recent > 0),
            (0, false) => self.recent,
            (_, true) => usize::MAX,
            (lasting, false) => LINE_SLOTS + lasting,
        }
    }
}

/// What the lines of a new key offer.
#[derive(Default)]
pub(super) struct Survey<'a> {
    /// The best slot of the line that is preferred.
    pub(super) vacancy: Option<Looked<'a>>,
    /// How much that line is preferred.
    preference: usize,
    /// The other lines were not read, as the first ones have a vacancy.
    pub(super) is_partial: bool,
    /// An expired key's slot, in any line; of a key that has just expired, if there is no other.
    pub(super) expired: Option<Looked<'a>>,
    /// The best of the slots that are not vacant.
    pub(super) occupied: Option<Looked<'a>>,
    pub(super) earliest_vacancy: Option<u64>,
}

impl<'a> Survey<'a> {
    pub(super) fn add(&mut self, looked: Looked<'a>, now: u64) {
        if !looked.is_vacant() {
            self.occupied = better(self.occupied, looked);
        }
        match looked.rank {
            EvictionRank::Expired | EvictionRank::JustExpired => self.expired = better(self.expired, looked),
            EvictionRank::Live(left) | EvictionRank::Kept(left) => {
                let end = now.saturating_add(left);
                self.earliest_vacancy = self.earliest_vacancy.min(Some(end)).or(Some(end));
            }
            EvictionRank::Free | EvictionRank::Claimed => {}
        }
    }

    /// Adds a line whose slots were added. True where a new key need not look further.
    pub(super) fn end_line(&mut self, vacancies: &Vacancies<'a>, in_order: bool) -> bool {
        let preference = vacancies.preference(in_order);
        if preference > self.preference {
            (self.preference, self.vacancy) = (preference, vacancies.best);
        }
        in_order && vacancies.lasting > 0
    }
}

/// The slot with the lower rank; of two alike, the earlier one.
pub(super) fn better<'a>(best: Option<Looked<'a>>, other: Looked<'a>) -> Option<Looked<'a>> {
    match best {
        Some(best) if best.rank <= other.rank => Some(best),
        _ => Some(other),
    }
}
