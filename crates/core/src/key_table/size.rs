//! How many slots a table has, and what they take.

use super::block_ends::BlockEnds;
use super::cell::Several;
use super::slots::{LINE_SLOTS, Slots};

/// Slots per key of a table. With six lines of four slots for each key, a table holds its keys at seven tenths full, in less
/// than 24 bytes each. With as many live keys, fewer than one new key in a thousand evicts one.
const SLOTS_PER_KEY: (usize, usize) = (10, 7);

/// Bytes of a slot of a full table, without those of its cell.
const SLOT_BYTES: usize = Slots::BYTES_EACH + BlockEnds::BYTES_EACH;

/// Slots of a table for so many keys, without those of its near part.
fn slots_for(keys: u64) -> u64 {
    let (slots, of) = SLOTS_PER_KEY;
    (keys * slots as u64).div_ceil(of as u64)
}

pub(super) fn pairs_for(max_keys: usize) -> usize {
    (slots_for(max_keys as u64) as usize).div_ceil(2 * LINE_SLOTS)
}

/// Most bytes that a key with this many words takes in a full table.
pub(crate) fn bytes_of_a_key(words: usize) -> u64 {
    const MANY: u64 = 1 << 20;
    let of_cell = if words > 1 { Several::bytes_each(words) } else { 0 };
    (slots_for(MANY) * (SLOT_BYTES + of_cell) as u64).div_ceil(MANY)
}
