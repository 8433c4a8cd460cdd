//! The circuits that a thread called last.

use std::sync::Arc;

use crate::circuit_breaker::circuit::Circuit;
use crate::runtime::key_hash::KeyHash;

/// Circuits at first, and at most: as many as the breaker tracks where those are fewer. A thread keeps no more in memory that
/// were evicted.
const LEAST: usize = 16;
const MOST: usize = 1 << 14;

/// Entries by target for each circuit, as targets are placed by a hash and serials one after the other.
const ENTRIES: usize = 4;

/// One of so many circuits displaces another one in use, once there is no more room.
const DISPLACING: u32 = 8;

/// Circuits by the lowest bits of their serial, found by target and by serial. Each is checked when it is found, so
/// whatever else lies in its place is no circuit of this target or serial.
#[derive(Debug)]
pub(super) struct Recent {
    circuits: Box<[Option<Arc<Circuit>>]>,
    /// Places in `circuits`, by the lowest bits of the target's hash.
    by_target: Box<[u16]>,
    /// The length of `circuits` at most.
    most: usize,
    /// Circuits that found another one in use.
    displaced: u32,
}

impl Recent {
    /// For a breaker that tracks so many targets.
    pub(super) fn of_capacity(capacity: usize) -> Self {
        Self::of_size(LEAST, capacity.clamp(LEAST, MOST).next_power_of_two())
    }

    /// Both sizes are powers of two. A place fits a `u16`.
    fn of_size(size: usize, most: usize) -> Self {
        const { assert!(MOST - 1 <= u16::MAX as usize) };
        Self {
            most,
            circuits: (0..size).map(|_| None).collect(),
            by_target: vec![0; ENTRIES * size].into(),
            displaced: 0,
        }
    }

    /// The circuit of a target, which may have been evicted.
    #[inline]
    pub(super) fn of_target(&self, key: KeyHash) -> Option<&Circuit> {
        let place = *self.by_target.get(self.entry_of(key))?;
        let circuit = self.circuits.get(usize::from(place))?.as_deref()?;
        (circuit.key == key).then_some(circuit)
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
        let place = self.place_of(circuit.serial);
        self.by_target[self.entry_of(circuit.key)] = place as u16;
        self.circuits[place] = Some(circuit);
    }

    fn place_of(&self, serial: u32) -> usize {
        serial as usize & (self.circuits.len() - 1)
    }

    fn entry_of(&self, key: KeyHash) -> usize {
        key.halves().1 as usize & (self.by_target.len() - 1)
    }
}
