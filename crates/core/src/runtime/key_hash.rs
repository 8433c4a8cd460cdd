//! Keys are stored as 106 bits of a keyed hash: two halves, each a number that JavaScript holds exactly.
//!
//! The seeds are random for each process, so an attacker can neither aim keys at one part of a table nor search for
//! collisions. Among ten million keys, the chance that any two collide is about 6e-19.
//!
//! The hash is keyed, not cryptographic: `half` says how it works, `docs/consistency.md` what it promises, and
//! `tests/key_hash.rs` measures that. Hashes never leave the process.

mod half;
mod words;

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::LazyLock;

use self::half::{Half, Words};
pub use self::words::SHORT;

/// The hash of a key. Within one process, equal code units have equal hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash {
    high: u64,
    low: u64,
}

/// The bits of one half: as many as a double holds exactly.
const HALF: u64 = (1 << 53) - 1;
/// How many bits of a 64-bit hash are left out: the lowest.
const HALF_SHIFT: u32 = 11;

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

/// A hash function of keys, chosen by its seeds.
pub struct KeyHasher {
    high: Half,
    low: Half,
}

/// The process's hash function, seeded once from the operating system's randomness.
static PROCESS: LazyLock<KeyHasher> = LazyLock::new(|| {
    let (random, mut number) = (RandomState::new(), 0_u64);
    KeyHasher::new(|| {
        number += 1;
        random.hash_one(number)
    })
});

impl KeyHasher {
    /// How many seeds a hash function has.
    pub const SEEDS: usize = 12;

    /// A hash function with seeds from `random`, which must be unpredictable where keys come from outside. It is called
    /// [`SEEDS`](Self::SEEDS) times, and the same seeds in the same order make the same function.
    pub fn new(mut random: impl FnMut() -> u64) -> Self {
        Self { high: Half::new(&mut random), low: Half::new(&mut random) }
    }

    /// See [`hash_short`].
    #[inline(always)]
    #[must_use]
    pub fn short(&self, block: &[u16; SHORT], length: usize) -> Option<KeyHash> {
        debug_assert!(block.iter().skip(length).all(|unit| *unit == 0), "zeros follow the text");
        if length > SHORT {
            return None;
        }
        Some(self.finish(self.begin(words::narrow(block)?), words::narrow_end(length)))
    }

    /// See [`hash_utf16`].
    #[must_use]
    #[inline]
    pub fn utf16(&self, units: &[u16]) -> KeyHash {
        if units.len() <= SHORT
            && let Some(block) = words::narrow_text(units)
        {
            return self.finish(self.begin(block), words::narrow_end(units.len()));
        }
        self.long_utf16(units)
    }

    #[inline(never)]
    fn long_utf16(&self, units: &[u16]) -> KeyHash {
        let narrow = self.blocks(units, words::narrow, words::narrow_end(units.len()));
        let wide = || self.blocks(units, words::wide, words::wide_end(units.len()));
        narrow.or_else(wide).expect("any block is a wide one")
    }

    /// See [`hash_bytes`].
    #[must_use]
    pub fn bytes(&self, bytes: &[u8]) -> KeyHash {
        let hash = self.blocks(bytes, words::bytes, words::bytes_end(bytes.len()));
        hash.expect("any bytes are a block")
    }

    /// The hash of all blocks and of `end`, which says what they are and where they end. Zeros fill a block that is the
    /// only one; the last of several begins so much earlier that it is full. `None` where `words` refuses a block.
    #[inline]
    fn blocks<T: Copy + Default, const N: usize>(
        &self,
        key: &[T],
        words: impl Fn(&[T; N]) -> Option<Words>,
        end: u64,
    ) -> Option<KeyHash> {
        let Some((first, more)) = key.split_first_chunk() else {
            let mut block = [T::default(); N];
            block[..key.len()].copy_from_slice(key);
            return Some(self.finish(self.begin(words(&block)?), end));
        };
        let mut products = self.begin(words(first)?);
        let (more, rest) = more.as_chunks();
        for block in more {
            products = self.add(products, words(block)?);
        }
        if !rest.is_empty() {
            products = self.add(products, words(key.last_chunk()?)?);
        }
        Some(self.finish(products, end))
    }

    #[inline(always)]
    fn begin(&self, block: Words) -> [Words; 2] {
        [self.high.begin(block), self.low.begin(block)]
    }

    #[inline(always)]
    fn add(&self, [high, low]: [Words; 2], block: Words) -> [Words; 2] {
        [self.high.add(high, block), self.low.add(low, block)]
    }

    #[inline(always)]
    fn finish(&self, [high, low]: [Words; 2], end: u64) -> KeyHash {
        let (high, low) = (self.high.finish(high, end), self.low.finish(low, end));
        KeyHash { high: high >> HALF_SHIFT, low: low >> HALF_SHIFT }
    }
}

impl fmt::Debug for KeyHasher {
    /// Without the seeds, which are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHasher").finish_non_exhaustive()
    }
}

/// The hash function of this process.
pub(crate) fn of_process() -> &'static KeyHasher {
    &PROCESS
}

/// Hashes bytes, for what is never compared with the hash of a text.
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> KeyHash {
    PROCESS.bytes(bytes)
}

/// `hash_utf16` of the `length` code units at the start of `block`, which zeros must follow. `None` for a text that is
/// longer than the block or has a code unit of more than one byte.
#[inline(always)]
#[must_use]
pub fn hash_short(block: &[u16; SHORT], length: usize) -> Option<KeyHash> {
    PROCESS.short(block, length)
}

/// Hashes the code units of a JavaScript string.
#[inline]
#[must_use]
pub fn hash_utf16(units: &[u16]) -> KeyHash {
    PROCESS.utf16(units)
}

/// Hashes a text as JavaScript holds it: `hash_utf16` of its code units.
#[must_use]
pub fn hash_str(text: &str) -> KeyHash {
    let (mut block, mut length) = ([0; SHORT], 0);
    for (place, unit) in block.iter_mut().zip(text.encode_utf16()) {
        *place = unit;
        length += 1;
    }
    // What fills the block may go on.
    let short = (length < SHORT).then(|| hash_short(&block, length)).flatten();
    short.unwrap_or_else(|| hash_utf16(&text.encode_utf16().collect::<Vec<_>>()))
}

/// A hasher for maps whose keys are one `u128` that comes from outside.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seeded(u64);

impl Seeded {
    /// The hash of a word, of which every bit is random.
    #[inline]
    pub(crate) fn of(bits: u128) -> u64 {
        PROCESS.low.finish(PROCESS.low.begin(Words { first: (bits >> 64) as u64, second: bits as u64 }), 0)
    }
}

impl Hasher for Seeded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        let (high, low) = hash_bytes(bytes).halves();
        self.0 = Self::of(u128::from(self.0) << 64 | u128::from(high << 11 ^ low));
    }

    #[inline]
    fn write_u128(&mut self, bits: u128) {
        self.0 = Self::of(bits);
    }
}

impl BuildHasher for Seeded {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self::default()
    }
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
