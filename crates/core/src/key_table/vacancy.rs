//! Which slot a new key gets.
//!
//! A slot that is free or whose key has expired: of the new key's home, if that has one, else of the emptiest of its other
//! lines. Keys that have just expired are spared while another such slot exists. Then a slot under a claim of another key,
//! which holds no charge. Then, under `overflow: 'evict'`, the slot of the live key whose loss is least by its cell: in a
//! limiter, the key closest to its full quota. Blocked keys keep their slots.

use super::claims::Claim;
use super::slots::{Candidates, Found, Slot};
use super::survey::{EvictionRank, Looked, SPARED, Survey, Vacancies, better};
use super::word::{Kind, State, Tag};
use super::{Client, Full, Table};
use crate::key_table::Overflow;
use crate::key_table::cell::Cell;
use crate::runtime::clock::MS;
use crate::runtime::planted::planted;
use crate::runtime::sync::Ordering;

/// Lines that are searched for a new key when the table is at its bound.
const SWEPT_LINES: usize = 32;

/// A new key that needs a slot.
#[derive(Clone, Copy)]
pub(super) struct Arrival {
    pub(super) now: u64,
    /// Nanoseconds after which it would expire.
    pub(super) fresh: u64,
}

impl<C: Cell> Table<C> {
    /// Claims a slot for a key that was not found; `None` when another thread came between.
    pub(super) fn claim(
        &self,
        key: &Candidates,
        arrival: Arrival,
        lifetime: &impl Fn(&C::Words, u64) -> u64,
    ) -> Result<Option<Claim<'_>>, Full> {
        let now = arrival.now;
        let Some(survey) = self.survey(key, arrival, lifetime) else { return Ok(None) };
        if let Some(vacancy) = survey.vacancy {
            if vacancy.rank.is_expired() || self.bound.enter() {
                return Ok(self.take(key, vacancy, now, lifetime));
            }
            if survey.is_partial {
                // Other keys took the last places meanwhile.
                return Ok(None);
            }
            if let Some(expired) = survey.expired {
                return Ok(self.take(key, expired, now, lifetime));
            }
            self.make_room(key, arrival, lifetime)?;
            return Ok(if self.bound.enter() { self.take(key, vacancy, now, lifetime) } else { None });
        }
        match survey.occupied.filter(|occupied| self.may_take(occupied)) {
            Some(occupied) => Ok(self.take(key, occupied, now, lifetime)),
            None => Err(Full { earliest_vacancy: survey.earliest_vacancy.unwrap_or(now) }),
        }
    }

    fn may_take(&self, occupied: &Looked<'_>) -> bool {
        match occupied.rank {
            EvictionRank::Live(_) => self.overflow == Overflow::Evict,
            EvictionRank::Kept => false,
            _ => true,
        }
    }

    /// `None` when the key was inserted meanwhile, or is being inserted: an insert must not evict its own key.
    fn survey(
        &self,
        key: &Candidates,
        arrival: Arrival,
        lifetime: &impl Fn(&C::Words, u64) -> u64,
    ) -> Option<Survey<'_>> {
        let mut survey = Survey::default();
        let (lines, filled_in_order) = self.slots.lines_to_fill(key);
        for (place, line) in lines.enumerate() {
            let mut vacancies = Vacancies::default();
            for slot in self.slots.of_line(line) {
                let looked = self.look(slot, arrival, lifetime);
                if !planted!(InsertEvictsItself) && looked.is_of(key) {
                    return None;
                }
                vacancies.add(looked);
                survey.add(looked, arrival.now);
            }
            let is_enough = survey.end_line(&vacancies, place < filled_in_order);
            if is_enough && self.bound.has_room() {
                survey.is_partial = true;
                break;
            }
            // Of the near part, whose lines come before home. A key that has just expired leaves room soon.
            if place + 2 == filled_in_order && survey.vacancy.is_none() {
                self.slots.send_on();
            }
        }
        Some(survey)
    }

    fn look<'a>(
        &self,
        slot: Slot<'a>,
        arrival: Arrival,
        lifetime: &impl Fn(&C::Words, u64) -> u64,
    ) -> Looked<'a> {
        let state = slot.state.load(Ordering::SeqCst);
        let tag = slot.tag.load(Ordering::Acquire);
        let (rank, left) = match state.kind() {
            Kind::Free(_) => (EvictionRank::Free, 0),
            Kind::Claim(_) => (EvictionRank::Claimed, 0),
            Kind::Value => match self.read(&Found { slot, tag, state }) {
                None => (EvictionRank::Kept, 0),
                Some(client) => self.rank(&client, arrival, lifetime),
            },
        };
        Looked { slot, tag, state, rank, left }
    }

    /// The rank of a key, and how long it is live.
    fn rank(
        &self,
        client: &Client<C::Words>,
        Arrival { now, fresh }: Arrival,
        lifetime: &impl Fn(&C::Words, u64) -> u64,
    ) -> (EvictionRank, u64) {
        let left = client.lifetime(now, lifetime);
        let rank = match left {
            0 if client.lifetime(now.saturating_sub(SPARED), lifetime) > 0 => EvictionRank::JustExpired,
            0 => EvictionRank::Expired,
            _ if client.blocked_until > now || self.cell.must_stay(&client.words, now) => EvictionRank::Kept,
            _ => EvictionRank::Live(self.cell.eviction_loss(&client.words, left, fresh)),
        };
        (rank, left)
    }

    /// Turns a slot into a claim; `None` when another thread came between.
    fn take<'a>(
        &self,
        key: &Candidates,
        victim: Looked<'a>,
        now: u64,
        lifetime: &impl Fn(&C::Words, u64) -> u64,
    ) -> Option<Claim<'a>> {
        let Looked { slot, tag, rank, .. } = victim;
        if rank.is_expired() && !(planted!(SparedLeavesWatermark) && rank == EvictionRank::JustExpired) {
            self.raise_watermark(&victim.found(), now, lifetime);
        }
        let state = self.unmark(&victim.found(), now)?;
        self.slots.use_slot(slot);
        let claim = Claim { slot, tag: Tag::new(key.fingerprint, victim.next_version()) };
        if self.replace(slot, state, claim.state()).is_err() {
            if rank == EvictionRank::Free {
                self.bound.leave();
            }
            return None;
        }
        if !state.is_value() {
            return Some(claim);
        }
        self.cell.release(state.word(), slot.index);
        if matches!(rank, EvictionRank::Live(_)) {
            self.live_evictions.fetch_add(1, Ordering::Relaxed);
        }
        self.keep_if_still(tag, claim)
    }

    /// Frees the slot of a key that was ranked; false when another thread came between.
    fn clear_out(&self, victim: &Looked<'_>, now: u64) -> bool {
        let found = victim.found();
        let unmarked = self.unmark(&found, now);
        let freed = unmarked.is_some_and(|state| self.vacate(&Found { state, ..found }));
        if freed && matches!(victim.rank, EvictionRank::Live(_)) {
            self.live_evictions.fetch_add(1, Ordering::Relaxed);
        }
        freed
    }

    /// ABA: the value that was exchanged may belong to a later key of the slot with an equal state. Then the claim's version
    /// is not new, and the claim is given up.
    fn keep_if_still<'a>(&self, tag: Tag, claim: Claim<'a>) -> Option<Claim<'a>> {
        let now = claim.slot.tag.load(Ordering::Acquire);
        if now == tag || now == claim.tag {
            return Some(claim);
        }
        if claim.slot.state.swap_if(claim.state(), State::free(now.version())).is_ok() {
            // The place of the key that was evicted: the claim took none of its own.
            self.bound.leave();
        }
        None
    }

    /// Raises the watermark to a time at which the key had expired. So its absence and its presence are the same for every
    /// thread, whenever it read its clock.
    fn raise_watermark(&self, found: &Found<'_>, now: u64, lifetime: &impl Fn(&C::Words, u64) -> u64) {
        let watermark = self.watermark();
        let expired_by = |time| self.read(found).is_some_and(|client| client.lifetime(time, lifetime) == 0);
        // A key that had expired by the watermark needs no higher one.
        if watermark + MS < now || !expired_by(watermark) {
            self.watermark.fetch_max(now, Ordering::AcqRel);
        }
    }

    /// The table is at its bound, and the new key's lines hold none that can be replaced: frees a slot elsewhere. Not an
    /// error where another thread is about to free its place, or has inserted the key.
    fn make_room(
        &self,
        key: &Candidates,
        arrival: Arrival,
        lifetime: &impl Fn(&C::Words, u64) -> u64,
    ) -> Result<(), Full> {
        let now = arrival.now;
        let lines = self.slots.line_count();
        let step = SWEPT_LINES.min(lines);
        let first = self.bound.advance(step, lines);
        let (mut freed, mut occupied, mut earliest_vacancy) = (false, None::<Looked<'_>>, u64::MAX);
        for line in (first..first + step).map(|line| line % lines) {
            for slot in self.slots.of_line(line) {
                let looked = self.look(slot, arrival, lifetime);
                if looked.is_of(key) {
                    return Ok(());
                }
                match looked.rank {
                    EvictionRank::Expired | EvictionRank::JustExpired => {
                        self.raise_watermark(&looked.found(), now, lifetime);
                        freed |= self.clear_out(&looked, now);
                    }
                    EvictionRank::Live(_) | EvictionRank::Kept => {
                        earliest_vacancy = earliest_vacancy.min(now.saturating_add(looked.left));
                        occupied = better(occupied, looked);
                    }
                    EvictionRank::Free | EvictionRank::Claimed => {}
                }
            }
        }
        if freed || occupied.is_none() {
            return Ok(());
        }
        match occupied.filter(|occupied| self.may_take(occupied)) {
            Some(occupied) => {
                self.clear_out(&occupied, now);
                Ok(())
            }
            None => Err(Full { earliest_vacancy }),
        }
    }
}
