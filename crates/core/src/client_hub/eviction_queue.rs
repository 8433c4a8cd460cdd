//! The order in which values are evicted, and the bounds on them.

use std::collections::VecDeque;

use super::slot::Eviction;
use crate::runtime::key_hash::KeyHash;

/// Values in use that are skipped for one new value. The next is evicted in any case.
const MAX_SKIPPED: usize = 64;

/// Outdated positions that are tolerated before all of them are removed in one pass.
const FEW_OUTDATED: usize = 64;

/// A second-chance queue of values, or of remembered errors: the oldest is evicted, unless it was read since the last
/// check; then it moves to the back.
///
/// A value is kept only under the lock of its queue, and subtracted only after it was removed. So the sums are never
/// below what is kept.
#[derive(Debug, Default)]
pub(super) struct EvictionQueue {
    /// One for each value, and some outdated ones.
    positions: VecDeque<Position>,
    entries: u64,
    bytes: u64,
}

/// The place of one value in the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) key: KeyHash,
    pub(super) version: u64,
}

/// Bounds on the values that are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

impl EvictionQueue {
    pub(super) fn entries(&self) -> u64 {
        self.entries
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes room for one more value. `evict(position, is_forced)` removes a value, unless it is in use; a forced
    /// eviction removes it even then.
    pub(super) fn make_room(
        &mut self,
        weight: u64,
        limits: Limits,
        mut evict: impl FnMut(Position, bool) -> Eviction,
    ) {
        let mut skipped = 0;
        while self.entries >= limits.entries || self.bytes.saturating_add(weight) > limits.bytes {
            let Some(position) = self.positions.pop_front() else { return };
            match evict(position, skipped >= MAX_SKIPPED) {
                Eviction::Gone => {}
                Eviction::InUse => {
                    skipped += 1;
                    self.positions.push_back(position);
                }
                Eviction::Expired(weight) | Eviction::Evicted(weight) => {
                    self.remove(weight);
                    skipped = 0;
                }
            }
        }
    }

    /// Adds a value. `is_kept`: whether the value of a position is still kept.
    pub(super) fn add(&mut self, position: Position, weight: u64, is_kept: impl Fn(&Position) -> bool) {
        self.entries += 1;
        self.bytes += weight;
        self.positions.push_back(position);
        let kept = usize::try_from(self.entries).unwrap_or(usize::MAX);
        if self.positions.len() > kept.saturating_mul(2).saturating_add(FEW_OUTDATED) {
            self.positions.retain(is_kept);
        }
    }

    /// Subtracts a value that is no longer kept.
    pub(super) fn remove(&mut self, weight: u64) {
        // A value from before a reset may be removed after it.
        self.entries = self.entries.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::key_hash::hash_str;

    const LIMITS: Limits = Limits { entries: 3, bytes: 100 };

    fn position(version: u64) -> Position {
        Position { key: hash_str("key"), version }
    }

    /// Values of ten bytes, versions 1 to `count`.
    fn queue(count: u64) -> EvictionQueue {
        let mut queue = EvictionQueue::default();
        (1..=count).for_each(|version| queue.add(position(version), 10, |_| true));
        queue
    }

    fn versions(queue: &EvictionQueue) -> Vec<u64> {
        queue.positions.iter().map(|position| position.version).collect()
    }

    #[test]
    fn a_value_in_use_moves_to_the_back() {
        let mut queue = queue(3);
        queue.make_room(10, LIMITS, |position, _| match position.version {
            1 => Eviction::InUse,
            _ => Eviction::Evicted(10),
        });
        assert_eq!((versions(&queue), queue.entries(), queue.bytes()), (vec![3, 1], 2, 20));
    }

    #[test]
    fn when_all_values_are_in_use_one_is_evicted_all_the_same() {
        let mut queue = queue(3);
        let mut asked = 0;
        queue.make_room(10, LIMITS, |_, is_forced| {
            asked += 1;
            if is_forced { Eviction::Evicted(10) } else { Eviction::InUse }
        });
        assert_eq!((asked, queue.entries()), (MAX_SKIPPED + 1, 2));
    }

    #[test]
    fn values_are_evicted_until_the_bytes_fit() {
        let mut queue = queue(3);
        queue.make_room(85, LIMITS, |_, _| Eviction::Expired(10));
        assert_eq!((versions(&queue), queue.bytes()), (vec![3], 10));
    }

    #[test]
    fn outdated_positions_do_not_pile_up() {
        let mut queue = EvictionQueue::default();
        for version in 1..=1_000 {
            queue.add(position(version), 1, |position| position.version + 2 > version);
            if version > 2 {
                queue.remove(1);
            }
        }
        assert!(queue.positions.len() <= FEW_OUTDATED + 5, "{}", queue.positions.len());
        assert_eq!((queue.entries(), queue.bytes()), (2, 2));
    }
}
