//! The limiter of sluice through its public interface, with several ways to hash a key.

use std::hash::{BuildHasher, Hasher};
use std::marker::PhantomData;
use std::sync::{Arc, LazyLock};

use rapidhash::quality::RandomState;
use siphasher::sip128::{Hasher128, SipHasher13};
use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::{KeyHash, hash_utf16};
use sluice_core::{LocalHandle, RateLimiter, RateLimiterOptions};

use crate::contenders::{Admit, Limiter, Locks};
use crate::gcra::Limit;
use crate::waited::Waited;

/// Converts a key of a load to the hash that the limiter takes.
pub trait KeyOf: Send + Sync {
    type Key: Copy + Send + Sync;
    fn hash(key: Self::Key) -> KeyHash;
}

/// A key hashed beforehand.
#[derive(Debug)]
pub struct Hashed;
/// The code units of a JavaScript string, as the addon receives them.
#[derive(Debug)]
pub struct CodeUnits;
/// An integer hashed with SipHash-1-3, as the addon hashes strings.
#[derive(Debug)]
pub struct IntegerBySip;
/// An integer hashed with rapidhash, once for each half of the hash. In its variant of better quality: in that of the
/// maps, both halves follow from one multiplication, and some seeds crowd the keys into a part of the table.
#[derive(Debug)]
pub struct IntegerByRapidHash;

impl KeyOf for Hashed {
    type Key = KeyHash;
    fn hash(key: KeyHash) -> KeyHash {
        key
    }
}

impl KeyOf for CodeUnits {
    type Key = &'static [u16];
    fn hash(key: &'static [u16]) -> KeyHash {
        hash_utf16(key)
    }
}

impl KeyOf for IntegerBySip {
    type Key = u64;
    fn hash(key: u64) -> KeyHash {
        static SEEDED: LazyLock<SipHasher13> = LazyLock::new(|| {
            let random = std::hash::RandomState::new();
            SipHasher13::new_with_keys(random.hash_one(1_u8), random.hash_one(2_u8))
        });
        let mut hasher = *SEEDED;
        hasher.write_u64(key);
        let hash = hasher.finish128();
        KeyHash::from_halves(hash.h1, hash.h2)
    }
}

impl KeyOf for IntegerByRapidHash {
    type Key = u64;
    fn hash(key: u64) -> KeyHash {
        static SEEDED: LazyLock<[RandomState; 2]> =
            LazyLock::new(|| [RandomState::new(), RandomState::new()]);
        let [high, low] = &*SEEDED;
        KeyHash::from_halves(high.hash_one(key), low.hash_one(key))
    }
}

/// The limiter called through a thread-local handle per thread, as the addon calls it. The time is given, or, with
/// `READS_CLOCK`, read in each call.
#[derive(Debug)]
pub struct Sluice<K, const READS_CLOCK: bool = false> {
    limiter: Arc<RateLimiter>,
    burst: u64,
    key: PhantomData<K>,
}

impl<K, const READS_CLOCK: bool> Sluice<K, READS_CLOCK> {
    pub fn new(limit: Limit, capacity: usize) -> Self {
        let burst = u64::from(limit.burst);
        let mut options = RateLimiterOptions::single(burst, burst * limit.interval / clock::MS);
        options.max_keys = capacity as u64;
        let limiter = RateLimiter::new("benchmark", options.try_into().expect("valid options"));
        Self { limiter: Arc::new(limiter), burst, key: PhantomData }
    }
}

impl<K: KeyOf, const READS_CLOCK: bool> Limiter for Sluice<K, READS_CLOCK> {
    type Key = K::Key;
    const LOCKS: Locks = Locks::None;

    fn admit(&self, key: K::Key, now: u64, _: &mut Waited) -> bool {
        let now = if READS_CLOCK { clock::now() } else { now };
        self.limiter.try_consume(K::hash(key), 1, now).expect("open")
    }

    fn of_thread(&self) -> impl Admit<K::Key> {
        let mut handle = LocalHandle::new(Arc::clone(&self.limiter));
        move |key, now, _| {
            let now = if READS_CLOCK { clock::now() } else { now };
            handle.try_consume(K::hash(key), 1, now).expect("open")
        }
    }

    fn use_up(&self, key: K::Key, now: u64) {
        let now = if READS_CLOCK { clock::now() } else { now };
        self.limiter.try_consume(K::hash(key), self.burst, now).expect("open");
    }
}

/// The limiter called directly by all threads, without thread-local handles.
#[derive(Debug)]
pub struct WithoutHandles(Sluice<CodeUnits>);

impl WithoutHandles {
    pub fn new(limit: Limit, capacity: usize) -> Self {
        Self(Sluice::new(limit, capacity))
    }
}

impl Limiter for WithoutHandles {
    type Key = &'static [u16];
    const LOCKS: Locks = Locks::None;

    fn admit(&self, key: Self::Key, now: u64, waited: &mut Waited) -> bool {
        self.0.admit(key, now, waited)
    }

    fn use_up(&self, key: Self::Key, now: u64) {
        self.0.use_up(key, now);
    }
}
