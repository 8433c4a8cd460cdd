//! The circuits of all targets, and the eviction of idle ones.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;

use super::circuit::Circuit;
use super::state::CircuitState;
use super::ticket::SERIAL_BITS;
use crate::runtime::key_hash::{AlreadyHashed, KeyHash};

/// Circuits examined to make room for a new target. Bounds the cost of a flood of new targets.
const PROBES: usize = 16;

/// Circuits by target, and by serial for reports. The locks of both maps are held for a look-up. Insertions share one
/// lock. A circuit that is in the maps no more is marked as evicted, so that a thread may keep it and look there first.
#[derive(Debug)]
pub(super) struct Targets {
    by_key: DashMap<KeyHash, Arc<Circuit>, AlreadyHashed>,
    by_serial: DashMap<Serial, Arc<Circuit>, AlreadyHashed>,
    places: Mutex<Places>,
    capacity: AtomicUsize,
}

/// The targets that are tracked, in order of insertion.
#[derive(Debug)]
struct Places {
    /// Each key of the map exactly once.
    keys: Vec<KeyHash>,
    /// Where the next search begins, as the hand of a clock.
    hand: usize,
    last_serial: u32,
    evicted: u64,
}

/// A place for one new target.
#[derive(Clone, Copy)]
enum Vacancy {
    /// A new place at the end.
    Added,
    /// The place of a circuit that was evicted.
    Freed(usize),
}

impl Targets {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            by_key: DashMap::with_hasher(AlreadyHashed::default()),
            by_serial: DashMap::with_hasher(AlreadyHashed::default()),
            places: Mutex::new(Places { keys: Vec::new(), hand: 0, last_serial: 0, evicted: 0 }),
            capacity: AtomicUsize::new(capacity),
        }
    }

    /// The circuit of a target.
    pub(super) fn get(&self, key: KeyHash) -> Option<Arc<Circuit>> {
        self.by_key.get(&key).map(|circuit| Arc::clone(&circuit))
    }

    /// The circuit of this serial.
    pub(super) fn get_serial(&self, serial: u32) -> Option<Arc<Circuit>> {
        self.by_serial.get(&Serial(serial)).map(|circuit| Arc::clone(&circuit))
    }

    /// The circuit of a target, made where there is none. `None` when no circuit can be evicted for it; with
    /// `is_forced` the capacity is exceeded instead.
    pub(super) fn get_or_insert(
        &self,
        key: KeyHash,
        is_forced: bool,
        make: impl FnOnce(u32) -> Circuit,
    ) -> Option<Arc<Circuit>> {
        let mut places = self.places.lock();
        if let Some(circuit) = self.get(key) {
            return Some(circuit);
        }
        let vacancy = match self.find_vacancy(&mut places) {
            None if is_forced => Vacancy::Added,
            vacancy => vacancy?,
        };
        let serial = self.next_serial(&mut places);
        let circuit = Arc::new(make(serial));
        // By serial first: a caller that finds it by its key may report by its serial.
        self.by_serial.insert(Serial(serial), Arc::clone(&circuit));
        self.by_key.insert(key, Arc::clone(&circuit));
        match vacancy {
            Vacancy::Freed(place) => places.keys[place] = key,
            Vacancy::Added => places.keys.push(key),
        }
        Some(circuit)
    }

    /// Every circuit there is now.
    pub(super) fn all(&self) -> Vec<Arc<Circuit>> {
        self.by_key.iter().map(|circuit| Arc::clone(circuit.value())).collect()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.places.lock().evicted
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity.load(Ordering::Relaxed)
    }

    /// Applies to later insertions.
    pub(super) fn set_capacity(&self, capacity: usize) {
        // Relaxed: no other data depends on it.
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    /// Removes every circuit. Serials are not reused, so an earlier ticket finds no circuit.
    pub(super) fn clear(&self) {
        let mut places = self.places.lock();
        self.all().iter().for_each(|circuit| circuit.discard());
        self.by_key.clear();
        self.by_serial.clear();
        places.keys.clear();
        places.hand = 0;
        places.evicted = 0;
    }

    /// A free place, or that of a closed circuit: one that was idle since the hand last passed, else the first one
    /// found. Circuits in other states are not evicted.
    fn find_vacancy(&self, places: &mut Places) -> Option<Vacancy> {
        if places.keys.len() < self.capacity.load(Ordering::Relaxed) {
            return Some(Vacancy::Added);
        }
        let mut in_use = None;
        for _ in 0..PROBES.min(places.keys.len()) {
            let place = places.hand;
            places.hand = (place + 1) % places.keys.len();
            let closed = |circuit: &Arc<Circuit>| circuit.state() == Some(CircuitState::Closed);
            let Some(circuit) = self.get(places.keys[place]).filter(closed) else { continue };
            if circuit.was_used() {
                in_use.get_or_insert((place, circuit));
            } else if self.evict(places, place, &circuit) {
                return Some(Vacancy::Freed(place));
            }
        }
        let (place, circuit) = in_use?;
        self.evict(places, place, &circuit).then_some(Vacancy::Freed(place))
    }

    /// Evicts a circuit, if it is still closed.
    fn evict(&self, places: &mut Places, place: usize, circuit: &Circuit) -> bool {
        let is_evicted = circuit.retire();
        if is_evicted {
            self.by_key.remove(&places.keys[place]);
            self.by_serial.remove(&Serial(circuit.serial));
            places.evicted += 1;
        }
        is_evicted
    }

    /// From 1 on. Wraps around, and skips serials in use.
    fn next_serial(&self, places: &mut Places) -> u32 {
        loop {
            places.last_serial = places.last_serial % ((1 << SERIAL_BITS) - 1) + 1;
            if !self.by_serial.contains_key(&Serial(places.last_serial)) {
                return places.last_serial;
            }
        }
    }
}

/// The number of a circuit, as the key of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Serial(u32);

impl Hash for Serial {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Multiplied by the golden ratio, so that consecutive numbers spread over all shards and tags.
        state.write_u64(u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
}
