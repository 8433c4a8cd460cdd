//! Where the cells are: a bounded map from key to cell.
//!
//! Nothing sweeps it. A client whose state has expired is the same as one never seen, so its place is
//! given away when a newcomer needs one. Known clients take a shared lock of one shard for the time of
//! their decision; newcomers take turns at one lock, which makes the bound and the choice of a place exact.

use dashmap::DashMap;
use parking_lot::Mutex;

use super::cell::Cell;
use super::options::Overflow;
use crate::key_hash::{AlreadyHashed, KeyHash};

/// Places looked at for a newcomer when the table is full: bounds the cost of a flood of new keys.
const PROBES: usize = 16;

pub(crate) struct Table {
    cells: DashMap<KeyHash, Cell, AlreadyHashed>,
    places: Mutex<Places>,
    capacity: usize,
    overflow: Overflow,
    limits: usize,
}

/// Who holds a place, in order of arrival.
struct Places {
    /// Each key in the map exactly once.
    keys: Vec<KeyHash>,
    /// Where the next search for a place begins.
    hand: usize,
    /// The latest time at which somebody was forgotten as expired. Who comes after counts from here: a
    /// thread that read its clock earlier would otherwise find its client absent when it was not yet.
    watermark: u64,
    live_evictions: u64,
}

/// Why a newcomer has no place.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full {
    /// When the first of the clients looked at will have expired.
    pub(crate) earliest_vacancy: u64,
}

/// A client as a candidate to give up its place.
struct Candidate {
    place: usize,
    lifetime: u64,
}

impl Table {
    /// A table of clients with so many limits each.
    pub(crate) fn new(capacity: usize, overflow: Overflow, limits: usize) -> Self {
        Self {
            cells: DashMap::with_hasher(AlreadyHashed::default()),
            places: Mutex::new(Places { keys: Vec::new(), hand: 0, watermark: 0, live_evictions: 0 }),
            capacity,
            overflow,
            limits,
        }
    }

    /// Runs `call` on the client's cell where there is one.
    pub(crate) fn existing<R>(&self, key: KeyHash, call: impl FnOnce(&Cell) -> R) -> Option<R> {
        self.cells.get(&key).map(|cell| call(cell.value()))
    }

    /// Runs `call` on the client's cell, which is made where there is none. `call` is given the time to
    /// decide by: `now`, or a little later for a newcomer. `lifetime` tells for how long a cell matters, at
    /// a given time. Both may only touch the cell.
    pub(crate) fn with<R>(
        &self,
        key: KeyHash,
        now: u64,
        lifetime: impl Fn(&Cell, u64) -> u64,
        call: impl Fn(&Cell, u64) -> R,
    ) -> Result<R, Full> {
        if let Some(result) = self.existing(key, |cell| call(cell, now)) {
            return Ok(result);
        }
        let mut places = self.places.lock();
        if let Some(result) = self.existing(key, |cell| call(cell, now)) {
            return Ok(result);
        }
        let now = now.max(places.watermark);
        let cell = Cell::new(self.limits);
        let result = call(&cell, now);
        if lifetime(&cell, now) == 0 {
            // As if never seen still: there is nothing to keep.
            return Ok(result);
        }
        let vacancy = self.find_vacancy(&mut places, now, |cell| lifetime(cell, now))?;
        self.cells.insert(key, cell);
        match vacancy {
            Some(place) => places.keys[place] = key,
            None => places.keys.push(key),
        }
        Ok(result)
    }

    /// A place for one newcomer: none needs to be freed while there is room.
    fn find_vacancy(
        &self,
        places: &mut Places,
        now: u64,
        lifetime: impl Fn(&Cell) -> u64,
    ) -> Result<Option<usize>, Full> {
        if places.keys.len() < self.capacity {
            return Ok(None);
        }
        let mut closest_to_fresh: Option<Candidate> = None;
        let mut earliest_vacancy = u64::MAX;
        for _ in 0..PROBES.min(places.keys.len()) {
            let place = places.hand;
            places.hand = (place + 1) % places.keys.len();
            let key = places.keys[place];
            let looked_at = self.existing(key, |cell| (lifetime(cell), is_blocked(cell, now)));
            let Some((lifetime_now, blocked)) = looked_at else { continue };
            if lifetime_now == 0 && self.forget(key, |cell| lifetime(cell) == 0) {
                places.watermark = now;
                return Ok(Some(place));
            }
            earliest_vacancy = earliest_vacancy.min(now + lifetime_now);
            if !blocked && closest_to_fresh.as_ref().is_none_or(|best| lifetime_now < best.lifetime) {
                closest_to_fresh = Some(Candidate { place, lifetime: lifetime_now });
            }
        }
        let Some(Candidate { place, .. }) = closest_to_fresh.filter(|_| self.overflow == Overflow::Evict)
        else {
            return Err(Full { earliest_vacancy });
        };
        if !self.forget(places.keys[place], |cell| !is_blocked(cell, now)) {
            return Err(Full { earliest_vacancy });
        }
        places.live_evictions += 1;
        Ok(Some(place))
    }

    /// Removes the client if that still holds of it, seen alone.
    fn forget(&self, key: KeyHash, if_still: impl Fn(&Cell) -> bool) -> bool {
        self.cells.remove_if(&key, |_, cell| if_still(cell)).is_some()
    }

    /// Forgets every client.
    pub(crate) fn clear(&self) {
        let mut places = self.places.lock();
        self.cells.clear();
        places.keys.clear();
        places.hand = 0;
    }

    /// Changes every cell, while no decision is made on it. A decision that is made later sees what was
    /// written before this call, a newcomer's too: this takes every lock under which they are made.
    /// Newcomers count from `latest` at the latest.
    pub(crate) fn adapt(&self, latest: u64, change: impl Fn(&Cell)) {
        let mut places = self.places.lock();
        places.watermark = places.watermark.min(latest);
        for cell in self.cells.iter_mut() {
            change(&cell);
        }
    }

    /// How many clients are not as if never seen, and how many of them are blocked. One pass over all.
    pub(crate) fn count(&self, now: u64, lifetime: impl Fn(&Cell) -> u64) -> (u64, u64) {
        self.cells.iter().fold((0, 0), |(live, blocked), cell| {
            (live + u64::from(lifetime(&cell) > 0), blocked + u64::from(is_blocked(&cell, now)))
        })
    }

    pub(crate) fn live_evictions(&self) -> u64 {
        self.places.lock().live_evictions
    }
}

fn is_blocked(cell: &Cell, now: u64) -> bool {
    cell.blocked_until() > now
}

#[cfg(test)]
mod tests {
    use super::super::cell::Step;
    use super::*;
    use crate::key_hash::hash_str;

    /// In these tests a word is the time at which it expires.
    fn lifetime(cell: &Cell, now: u64) -> u64 {
        cell.words()[0].max(cell.blocked_until()).saturating_sub(now)
    }

    fn set(table: &Table, key: &str, now: u64, expiry: u64) -> Result<(), Full> {
        let words = [expiry, 0, 0, 0, 0, 0];
        table.with(hash_str(key), now, lifetime, |cell, _| cell.update(|_| Step::Write(words, ())))
    }

    fn count(table: &Table, now: u64) -> (u64, u64) {
        table.count(now, |cell| lifetime(cell, now))
    }

    fn holds(table: &Table, key: &str) -> bool {
        table.existing(hash_str(key), |_| ()).is_some()
    }

    #[test]
    fn gives_an_expired_place_away_before_a_live_one() {
        let table = Table::new(3, Overflow::Evict, 1);
        for (key, expiry) in [("a", 500), ("b", 100), ("c", 300)] {
            set(&table, key, 0, expiry).expect("room");
        }
        set(&table, "d", 100, 900).expect("b has expired");
        assert!(!holds(&table, "b"));
        assert_eq!(table.live_evictions(), 0);

        set(&table, "e", 100, 900).expect("evicts");
        assert!(!holds(&table, "c"), "the client closest to fresh goes");
        assert_eq!(table.live_evictions(), 1);
        assert_eq!(count(&table, 100), (3, 0));
    }

    #[test]
    fn never_evicts_the_blocked() {
        let table = Table::new(2, Overflow::Evict, 1);
        for key in ["a", "b"] {
            table.with(hash_str(key), 0, lifetime, |cell, _| cell.block(1_000)).expect("room");
        }
        assert_eq!(set(&table, "c", 10, 50), Err(Full { earliest_vacancy: 1_000 }));
        assert_eq!(count(&table, 10), (2, 2));
        set(&table, "c", 1_000, 2_000).expect("a block has ended");
    }

    #[test]
    fn denies_when_full_and_told_to() {
        let table = Table::new(1, Overflow::Deny, 1);
        set(&table, "a", 0, 100).expect("room");
        assert_eq!(set(&table, "b", 99, 100), Err(Full { earliest_vacancy: 100 }));
        set(&table, "b", 100, 200).expect("a has expired");
    }

    /// Without the watermark, the thread with the old clock finds its client absent and admits it twice.
    #[test]
    fn a_newcomer_counts_from_what_was_forgotten() {
        let table = Table::new(1, Overflow::Evict, 1);
        set(&table, "a", 1_000, 1_100).expect("room");
        set(&table, "b", 1_150, 1_151).expect("a has expired");
        let decided_by =
            table.with(hash_str("a"), 1_001, lifetime, |_, now| now).expect("b has expired by then");
        assert_eq!(decided_by, 1_150);
    }

    #[test]
    fn stays_within_its_capacity_under_contention() {
        let table = Table::new(50, Overflow::Evict, 1);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let table = &table;
                scope.spawn(move || {
                    for i in 0..2_000_u64 {
                        set(table, &format!("{}", (i * 7 + thread) % 300), i, i + 10_000).expect("evicts");
                    }
                });
            }
        });
        let places = table.places.lock();
        assert_eq!((table.cells.len(), places.keys.len()), (50, 50));
        assert!(places.keys.iter().all(|key| table.cells.contains_key(key)));
    }
}
