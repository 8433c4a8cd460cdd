//! The circuits that a thread called last.

use std::sync::Arc;

use crate::circuit_breaker::circuit::Circuit;
use crate::runtime::key_hash::KeyHash;

/// Circuits at first, and at most: as many as the breaker tracks where those are fewer. A thread keeps no more in memory that
/// were evicted.
const LEAST: usize = 16;
const MOST: usize = 1 << 14;

/// Entries of a bucket, which lie in one cache line. There are two for each circuit, so that few buckets are full: targets
/// are placed by a hash, where serials come one after the other.
const WAYS: usize = 4;

/// One of so many circuits displaces another one in use, once there is no more room.
const DISPLACING: u32 = 8;

/// Circuits by the lowest bits of their serial, found by target and by serial. Each is checked when it is found, so
/// whatever else lies in its place is no circuit of this target or serial.
#[derive(Debug)]
pub(super) struct Recent {
    circuits: Box<[Option<Arc<Circuit>>]>,
    /// By the lowest bits of the target's hash.
    by_target: Box<[Bucket]>,
    /// The length of `circuits` at most.
    most: usize,
    /// Circuits that found another one in use.
    displaced: u32,
}

/// Where the circuits of some targets are.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(16))]
struct Bucket([Entry; WAYS]);

/// A place in `circuits` (16 bits), and other bits of the hash of the target (16).
#[derive(Clone, Copy, Debug, Default)]
struct Entry(u32);

impl Entry {
    fn new(key: KeyHash, place: usize) -> Self {
        const { assert!(MOST - 1 <= u16::MAX as usize) };
        Self(Self::tag(key) << 16 | u32::from(place as u16))
    }

    fn place(self) -> usize {
        usize::from(self.0 as u16)
    }

    fn is_of(self, key: KeyHash) -> bool {
        self.0 >> 16 == Self::tag(key)
    }

    fn tag(key: KeyHash) -> u32 {
        u32::from(key.halves().0 as u16)
    }
}

impl Bucket {
    /// A bit for each entry that may be of the target. Without branches, as the place of a match cannot be predicted.
    fn matching(&self, key: KeyHash) -> u32 {
        let entries = self.0.iter().enumerate();
        entries.fold(0, |found, (way, entry)| found | u32::from(entry.is_of(key)) << way)
    }
}

impl Recent {
    /// For a breaker that tracks so many targets.
    pub(super) fn of_capacity(capacity: usize) -> Self {
        Self::of_size(LEAST, capacity.clamp(LEAST, MOST).next_power_of_two())
    }

    /// Both sizes are powers of two.
    fn of_size(size: usize, most: usize) -> Self {
        Self {
            most,
            circuits: (0..size).map(|_| None).collect(),
            by_target: vec![Bucket::default(); 2 * size / WAYS].into(),
            displaced: 0,
        }
    }

    /// The circuit of a target, which may have been evicted.
    #[inline]
    pub(super) fn of_target(&self, key: KeyHash) -> Option<&Circuit> {
        let bucket = self.by_target.get(self.bucket_of(key))?;
        let mut matches = bucket.matching(key);
        while matches != 0 {
            let entry = bucket.0[matches.trailing_zeros() as usize % WAYS];
            let circuit = self.circuits.get(entry.place()).and_then(Option::as_deref);
            if let Some(circuit) = circuit.filter(|circuit| circuit.key == key) {
                return Some(circuit);
            }
            matches &= matches - 1;
        }
        None
    }

    /// The circuit of a serial, which may have been evicted.
    #[inline]
    pub(super) fn of_serial(&self, serial: u32) -> Option<&Circuit> {
        let circuit = self.circuits.get(self.place_of(serial))?.as_deref()?;
        (circuit.serial == serial).then_some(circuit)
    }

    #[cfg(all(test, not(sluice_loom)))]
    pub(super) fn size(&self) -> usize {
        self.circuits.len()
    }

    /// Adds a circuit that was not found by its target.
    pub(super) fn add(&mut self, circuit: Arc<Circuit>) {
        if self.is_free_for(&circuit) || self.grow() || self.displaces() {
            self.put(circuit);
        }
    }

    /// Whether no other circuit in use has its place.
    fn is_free_for(&self, circuit: &Circuit) -> bool {
        match &self.circuits[self.place_of(circuit.serial)] {
            Some(other) => other.serial == circuit.serial || other.state().is_none(),
            None => true,
        }
    }

    /// False at the largest size. Circuits that were evicted stay behind.
    fn grow(&mut self) -> bool {
        let size = 2 * self.circuits.len();
        if size > self.most {
            return false;
        }
        let smaller = std::mem::replace(self, Self::of_size(size, self.most));
        let in_use = smaller.circuits.into_iter().flatten().filter(|circuit| circuit.state().is_some());
        in_use.for_each(|circuit| self.put(circuit));
        true
    }

    /// Whether the next circuit takes the place of another one in use. Seldom: with many targets called in turn, each
    /// would be displaced before it is found.
    fn displaces(&mut self) -> bool {
        self.displaced = self.displaced.wrapping_add(1);
        self.displaced.is_multiple_of(DISPLACING)
    }

    fn put(&mut self, circuit: Arc<Circuit>) {
        let (bucket, place) = (self.bucket_of(circuit.key), self.place_of(circuit.serial));
        let way = self.way_for(circuit.key, bucket);
        self.by_target[bucket].0[way] = Entry::new(circuit.key, place);
        self.circuits[place] = Some(circuit);
    }

    /// Where the entry of a target belongs in its bucket: where it has one, or the entry of another one is out of date.
    fn way_for(&self, key: KeyHash, bucket: usize) -> usize {
        let is_free = |entry: &Entry| match &self.circuits[entry.place()] {
            Some(circuit) => {
                let is_current = entry.is_of(circuit.key) && self.bucket_of(circuit.key) == bucket;
                circuit.key == key || !is_current || circuit.state().is_none()
            }
            None => true,
        };
        let free = self.by_target[bucket].0.iter().position(is_free);
        free.unwrap_or(self.displaced as usize % WAYS)
    }

    fn place_of(&self, serial: u32) -> usize {
        serial as usize & (self.circuits.len() - 1)
    }

    fn bucket_of(&self, key: KeyHash) -> usize {
        key.halves().1 as usize & (self.by_target.len() - 1)
    }
}
