//! What is kept of a key: 106 bits of a keyed hash, as two numbers that JavaScript holds exactly.
//!
//! The seeds are random for each process, so nobody can aim keys at one place of a table or look for two
//! keys that meet. Among ten million keys the chance that any two meet is about 6e-19.
//!
//! Each half is a foldhash of its own seeds: a keyed hash, not a cryptographic one. Nobody outside sees a hash,
//! so there is nothing to learn the seeds from; SipHash would be safe from those who could, and costs 20 ns.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

/// A key, hashed. Equal for equal code units, within one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash {
    high: u64,
    low: u64,
}

/// The bits of one half: what a double counts exactly.
const HALF: u64 = (1 << 53) - 1;

impl KeyHash {
    /// The two halves, each below 2^53.
    #[must_use]
    pub const fn halves(self) -> (u64, u64) {
        (self.high, self.low)
    }

    /// From the halves of a hash of this process.
    #[must_use]
    pub const fn from_halves(high: u64, low: u64) -> Self {
        Self { high: high & HALF, low: low & HALF }
    }
}

impl Hash for KeyHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Every bit of the word is random: maps take shards from one end and tags from the other.
        state.write_u64(self.high << 11 ^ self.low);
    }
}

/// One half's hash function.
struct Half {
    seed: u64,
    shared: SharedSeed,
}

/// Drawn once per process, from the operating system's randomness.
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
        // A key that another one begins with is another key.
        hasher.write_usize(bytes.len());
        hasher.finish()
    }
}

/// For maps whose keys strangers choose: seeded as keys are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seeded;

impl BuildHasher for Seeded {
    type Hasher = FoldHasher<'static>;

    fn build_hasher(&self) -> Self::Hasher {
        let [half, _] = &*HALVES;
        FoldHasher::with_seed(half.seed, &half.shared)
    }
}

/// Hashes bytes: of a JavaScript string, its code units as they lie in memory.
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

/// Hashes a text as JavaScript would hold it: `hash_str(s)` is `hash_utf16` of its code units.
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
    fn one_code_unit_makes_another_key() {
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
    fn text_and_code_units_agree_across_chunks() {
        for length in [1, 63, 64, 65, 200] {
            let text = "ä".repeat(length);
            assert_eq!(hash_str(&text), hash_utf16(&vec![0xe4; length]));
        }
    }
}
