//! Keys are stored as 106 bits of a keyed hash: two halves, each a number that JavaScript holds exactly.
//!
//! The seeds are random for each process, so an attacker can neither aim keys at one part of a table nor search for
//! collisions. Among ten million keys, the chance that any two collide is about 6e-19.
//!
//! Each half is a foldhash with seeds of its own: a keyed hash, not a cryptographic one. Hashes never leave the process, so
//! an attacker cannot learn the seeds from them. SipHash would be safe even then, and costs 20 ns.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// The hash of a key. Within one process, equal code units have equal hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash {
    high: u64,
    low: u64,
}

/// The bits of one half: as many as a double holds exactly.
const HALF: u64 = (1 << 53) - 1;

impl KeyHash {
    /// The two halves, each below 2^53.
    #[must_use]
    pub const fn halves(self) -> (u64, u64) {
        (self.high, self.low)
    }

    /// The hash that has these halves, which must be from this process.
    #[must_use]
    pub const fn from_halves(high: u64, low: u64) -> Self {
        Self { high: high & HALF, low: low & HALF }
    }
}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // All bits of the word are random: maps take the shard from one end and the tag from the other.
        state.write_u64(self.high << 11 ^ self.low);
    }
}

/// One half's hash function.
struct Half {
    seed: u64,
    shared: SharedSeed,
}

/// Seeded once per process, from the operating system's randomness.
static HALVES: LazyLock<[Half; 2]> = LazyLock::new(|| {
    let random = RandomState::new();
    [1_u8, 2].map(|half| Half {
        seed: random.hash_one((half, "seed")),
        shared: SharedSeed::from_u64(random.hash_one((half, "shared"))),
    })
});

impl Half {
    #[inline]
    fn hash(&self, bytes: &[u8]) -> u64 {
        let mut hasher = FoldHasher::with_seed(self.seed, &self.shared);
        hasher.write(bytes);
        // The length, so that a key and its prefix have different hashes.
        hasher.write_usize(bytes.len());
        hasher.finish()
    }
}

/// For maps whose keys come from outside: has the seeds of the keys.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seeded;

impl BuildHasher for Seeded {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        let [half, _] = &*HALVES;
        FoldHasher::with_seed(half.seed, &half.shared)
    }
}

/// Hashes bytes. For a JavaScript string, these are its code units in native byte order.
#[inline]
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> KeyHash {
    let [high, low] = &*HALVES;
    KeyHash { high: high.hash(bytes) >> 11, low: low.hash(bytes) >> 11 }
}

/// Hashes the code units of a JavaScript string.
#[must_use]
pub fn hash_utf16(units: &[u16]) -> KeyHash {
    let bytes: Vec<_> = units.iter().flat_map(|unit| unit.to_ne_bytes()).collect();
    hash_bytes(&bytes)
}

/// Hashes a text as JavaScript holds it: `hash_utf16` of its code units.
#[must_use]
pub fn hash_str(text: &str) -> KeyHash {
    let units: Vec<u16> = text.encode_utf16().collect();
    hash_utf16(&units)
}

/// A hasher for maps keyed by [`KeyHash`], which is random already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AlreadyHashed(u64);

impl Hasher for AlreadyHashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

impl BuildHasher for AlreadyHashed {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_differ_in_one_code_unit_have_different_hashes() {
        let long = vec![97_u16; 1000];
        let mut other = long.clone();
        other[999] = 98;
        assert_ne!(hash_utf16(&long), hash_utf16(&other));
        assert_ne!(hash_utf16(&long), hash_utf16(&long[..999]));
        assert_ne!(hash_utf16(&[0x61]), hash_utf16(&[0x61, 0]));
        // A lone surrogate is a code unit like any other.
        assert_ne!(hash_utf16(&[0xd800]), hash_utf16(&[0xfffd]));
    }

    #[test]
    fn a_text_and_its_code_units_have_the_same_hash() {
        for length in [1, 63, 64, 65, 200] {
            let text = "ä".repeat(length);
            assert_eq!(hash_str(&text), hash_utf16(&vec![0xe4; length]));
        }
    }
}
