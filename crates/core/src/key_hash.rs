//! What is kept of a key: 106 bits of a keyed hash, as two numbers that JavaScript holds exactly.
//!
//! The seeds are random for each process, so nobody can aim keys at one place of a table or look for two
//! keys that meet. Among ten million keys the chance that any two meet is about 6e-19.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::LazyLock;

use siphasher::sip128::{Hasher128, SipHasher13};

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

/// SipHash-1-3 with 128 bits of seed, drawn once per process from the operating system's randomness.
static SEEDED: LazyLock<SipHasher13> = LazyLock::new(|| {
    let random = RandomState::new();
    SipHasher13::new_with_keys(random.hash_one(1_u8), random.hash_one(2_u8))
});

/// Hashes the code units of a JavaScript string.
#[must_use]
pub fn hash_utf16(units: &[u16]) -> KeyHash {
    let mut hasher = *SEEDED;
    for chunk in units.chunks(64) {
        let mut bytes = [0_u8; 128];
        for (pair, unit) in bytes.chunks_exact_mut(2).zip(chunk) {
            pair.copy_from_slice(&unit.to_ne_bytes());
        }
        hasher.write(&bytes[..chunk.len() * 2]);
    }
    let hash = hasher.finish128();
    KeyHash::from_halves(hash.h1, hash.h2)
}

/// Hashes a text as JavaScript would hold it: `hash_str(s)` is `hash_utf16` of its code units.
#[must_use]
pub fn hash_str(text: &str) -> KeyHash {
    let units: Vec<u16> = text.encode_utf16().collect();
    hash_utf16(&units)
}

/// Hashes bytes, which is not what [`hash_str`] makes of a text.
pub(crate) fn hash_bytes(bytes: &[u8]) -> KeyHash {
    let mut hasher = *SEEDED;
    hasher.write(bytes);
    let hash = hasher.finish128();
    KeyHash::from_halves(hash.h1, hash.h2)
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
