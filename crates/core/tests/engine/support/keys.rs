//! Hash functions with known seeds, and keys.

use sluice_core::runtime::key_hash::KeyHasher;

/// Code units of a block of one-byte code units.
pub(crate) const BLOCK: usize = 16;

/// A random sequence, the same each time.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(crate) fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }
}

/// The hash function number `seed`.
pub(crate) fn hasher(seed: u64) -> KeyHasher {
    let mut random = Random(seed.wrapping_mul(0xd134_2543_de82_ef95));
    KeyHasher::new(|| random.next())
}

/// The short key whose two words, as they are hashed, are these.
pub(crate) fn short_key([first, second]: [u64; 2]) -> Vec<u16> {
    let unit = |word: u64, byte: usize| (word >> (8 * byte) & 0xff) as u16;
    let units = |word: u64| [0, 2, 4, 6, 1, 3, 5, 7].map(|byte| unit(word, byte));
    [units(first), units(second)].concat()
}

/// The first bits of a half.
pub(crate) fn top(half: u64, bits: u32) -> u64 {
    half >> (53 - bits)
}
