//! Where the circuits of all peers are kept, and who goes when there are too many.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use parking_lot::Mutex;

use super::circuit::Circuit;
use super::state::CircuitState;
use super::ticket::SERIAL_BITS;
use crate::runtime::key_hash::{AlreadyHashed, KeyHash};

/// Circuits looked at for a newcomer when there is no room: bounds the cost of a flood of new peers.
const PROBES: usize = 16;

/// Circuits by peer, and by serial for reports. Their maps' locks are held for a look-up, or for what a call
/// of a closed circuit does; newcomers take turns at one lock.
#[derive(Debug)]
pub(super) struct Peers {
    by_key: DashMap<KeyHash, Arc<Circuit>, AlreadyHashed>,
    by_serial: DashMap<Serial, Arc<Circuit>, AlreadyHashed>,
    places: Mutex<Places>,
    capacity: AtomicUsize,
}

/// Who holds a place, in order of arrival.
#[derive(Debug)]
struct Places {
    /// Each key of the map exactly once.
    keys: Vec<KeyHash>,
    /// Where the next search for a place begins.
    hand: usize,
    last_serial: u32,
    evicted: u64,
}

/// A place for one newcomer.
#[derive(Clone, Copy)]
enum Vacancy {
    /// One that is added.
    Added,
    /// One that was given up.
    Freed(usize),
}

impl Peers {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            by_key: DashMap::with_hasher(AlreadyHashed::default()),
            by_serial: DashMap::with_hasher(AlreadyHashed::default()),
            places: Mutex::new(Places { keys: Vec::new(), hand: 0, last_serial: 0, evicted: 0 }),
            capacity: AtomicUsize::new(capacity),
        }
    }

    /// Runs `call`, a few instructions, on the circuit of a peer.
    pub(super) fn with<R>(&self, key: KeyHash, call: impl FnOnce(&Circuit) -> R) -> Option<R> {
        self.by_key.get(&key).map(|circuit| call(&circuit))
    }

    /// As [`with`](Self::with), by serial.
    pub(super) fn with_serial<R>(&self, serial: u32, call: impl FnOnce(&Circuit) -> R) -> Option<R> {
        self.by_serial.get(&Serial(serial)).map(|circuit| call(&circuit))
    }

    pub(super) fn get(&self, key: KeyHash) -> Option<Arc<Circuit>> {
        self.by_key.get(&key).map(|circuit| Arc::clone(&circuit))
    }

    pub(super) fn get_serial(&self, serial: u32) -> Option<Arc<Circuit>> {
        self.by_serial.get(&Serial(serial)).map(|circuit| Arc::clone(&circuit))
    }

    /// The circuit of a peer, made where there is none; `None` when no circuit gives up its place for it.
    /// `must` makes room in any case.
    pub(super) fn get_or_insert(
        &self,
        key: KeyHash,
        must: bool,
        make: impl FnOnce(u32) -> Circuit,
    ) -> Option<Arc<Circuit>> {
        let mut places = self.places.lock();
        if let Some(circuit) = self.get(key) {
            return Some(circuit);
        }
        let vacancy = match self.find_vacancy(&mut places) {
            None if must => Vacancy::Added,
            vacancy => vacancy?,
        };
        let serial = self.next_serial(&mut places);
        let circuit = Arc::new(make(serial));
        // By serial first: who finds it by its key may report by its serial.
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

    /// For those that come from now on.
    pub(super) fn set_capacity(&self, capacity: usize) {
        // Relaxed: nothing is read on the strength of it.
        self.capacity.store(capacity, Ordering::Relaxed);
    }

    /// Forgets every circuit. Serials go on, so a ticket of before finds none.
    pub(super) fn clear(&self) {
        let mut places = self.places.lock();
        self.by_key.clear();
        self.by_serial.clear();
        places.keys.clear();
        places.hand = 0;
        places.evicted = 0;
    }

    /// A place, if need be that of a closed circuit: one that was not asked since the hand last came by, or
    /// else the first one found. Circuits in other states keep theirs.
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

    /// Removes a circuit, if it is closed and stays so.
    fn evict(&self, places: &mut Places, place: usize, circuit: &Circuit) -> bool {
        let gone = circuit.retire();
        if gone {
            self.by_key.remove(&places.keys[place]);
            self.by_serial.remove(&Serial(circuit.serial));
            places.evicted += 1;
        }
        gone
    }

    /// From 1 on; comes round, past those in use.
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
        // By the golden ratio: consecutive numbers are spread over all shards and tags.
        state.write_u64(u64::from(self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
}
