//! Floods of keys that meet in one place of a limiter's table.

use sluice_core::runtime::key_hash::{KeyHash, KeyHasher};
use sluice_core::{Overflow, RateLimiter, RateLimiterOptions};

use crate::support::keys::{Random, hasher, short_key};

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
const NOW: u64 = 1_800_000_000_000_000_000;
/// Most slots in which a key may be, in a table that is not small.
const SLOTS_OF_A_KEY: usize = 24;
/// Slots that a new key looks at besides, in a small table that is full.
const SLOTS_BESIDES: usize = 128;
const FLOOD: u64 = 20_000;

/// One call a day for each key.
fn limiter(max_keys: u64, overflow: Overflow) -> RateLimiter {
    let options = RateLimiterOptions { max_keys, overflow, ..RateLimiterOptions::single(1, DAY_MS) };
    RateLimiter::new("flood", options.try_into().expect("valid"))
}

fn admits(limiter: &RateLimiter, key: KeyHash) -> bool {
    limiter.try_consume(key, 1, NOW).expect("open")
}

/// Keys that have used up their quota.
fn bystanders(limiter: &RateLimiter, count: u64) -> Vec<KeyHash> {
    let hasher = hasher(1);
    let keys: Vec<_> = (0..count).map(|n| hasher.utf16(&short_key([n, 0]))).collect();
    assert!(keys.iter().all(|key| admits(limiter, *key)), "each is new");
    keys
}

/// How many of these have lost their state.
fn lost(limiter: &RateLimiter, keys: &[KeyHash]) -> usize {
    keys.iter().filter(|key| limiter.peek(**key, NOW).expect("open").allowed).count()
}

/// Keys of one place, as an attacker that knows the seeds would choose them.
fn of_one_place(count: u64) -> impl Iterator<Item = KeyHash> {
    let mut random = Random(3);
    let place = random.next() >> 11;
    (0..count).map(move |_| KeyHash::from_halves(random.next() >> 11, place))
}

#[test]
fn a_flood_of_one_place_evicts_no_key_of_another() {
    let limiter = limiter(100_000, Overflow::Evict);
    let others = bystanders(&limiter, 50_000);
    let before = limiter.stats(NOW).expect("open").live_evictions;
    for key in of_one_place(FLOOD) {
        assert!(admits(&limiter, key), "a new key is admitted");
    }
    let lost = lost(&limiter, &others) as u64;
    let evictions = limiter.stats(NOW).expect("open").live_evictions - before;
    assert!(lost <= SLOTS_OF_A_KEY as u64, "{lost}");
    // All others evicted keys of the flood.
    assert!((FLOOD - SLOTS_OF_A_KEY as u64..=FLOOD).contains(&evictions), "{evictions}");
}

#[test]
fn a_flood_of_one_place_is_denied_without_loss() {
    let limiter = limiter(100_000, Overflow::Deny);
    let others = bystanders(&limiter, 50_000);
    let admitted = of_one_place(FLOOD).filter(|key| admits(&limiter, *key)).count();
    assert!((1..=SLOTS_OF_A_KEY).contains(&admitted), "{admitted}");
    assert_eq!(lost(&limiter, &others), 0);
    assert_eq!(limiter.stats(NOW).expect("open").untracked, FLOOD - admitted as u64);
    let elsewhere = hasher(2);
    assert!((0..100).all(|n| admits(&limiter, elsewhere.utf16(&short_key([0, n])))));
}

#[test]
fn a_flood_of_one_place_of_a_full_small_table_stays_near() {
    let limiter = limiter(10_000, Overflow::Evict);
    let others = bystanders(&limiter, 10_000);
    for key in of_one_place(FLOOD) {
        admits(&limiter, key);
    }
    let lost = lost(&limiter, &others);
    assert!(lost <= SLOTS_OF_A_KEY + SLOTS_BESIDES, "{lost}");
}

/// A short key, by its words.
type Words = [u64; 2];

/// What an attacker that sends its own keys sees: which of them are admitted again after a flood of others, so that the flood
/// has evicted them. `order` is the seed of the order in which the keys come, which matters as well.
fn evicted(hasher: &KeyHasher, keys: &[Words], flood: &[Words], order: u64) -> Vec<bool> {
    let limiter = limiter(20_000, Overflow::Evict);
    let hash = |words: &Words| hasher.utf16(&short_key(*words));
    let mut random = Random(order);
    let mut in_order: Vec<_> = keys.iter().map(|words| (random.next(), words)).collect();
    in_order.sort_unstable();
    in_order.iter().for_each(|(_, words)| assert!(admits(&limiter, hash(words)), "each is new"));
    flood.iter().for_each(|words| assert!(admits(&limiter, hash(words)), "each is new"));
    keys.iter().map(|words| limiter.peek(hash(words), NOW).expect("open").allowed).collect()
}

/// Against any hash, an attacker can learn by trial which of its keys share a place. With a weak hash, keys that differ
/// from those as they differ from each other would share one too, so one trial would tell about all others.
#[test]
fn what_one_flood_evicts_says_nothing_about_the_next() {
    type Change = fn(Words) -> Words;
    let changes: [(&str, Change); 7] = [
        ("xor", |[x, y]| [x ^ 0x0123_4567_89ab_cdef, y ^ 0xfedc_ba98_7654_3210]),
        ("sum", |[x, y]| [x.wrapping_add(0x0123_4567_89ab_cdef), y.wrapping_add(1)]),
        ("first word", |[x, y]| [x ^ 1 << 63, y]),
        ("second word", |[x, y]| [x, y.wrapping_add(1)]),
        ("complements", |words| words.map(|word| !word)),
        ("words swapped", |[x, y]| [y, x]),
        ("doubled", |words| words.map(|word| word << 1)),
    ];
    let (hasher, mut random) = (hasher(5), Random(6));
    let mut words = || [random.next(), random.next()];
    let keys: Vec<Words> = (0..10_000).map(|_| words()).collect();
    let flood: Vec<Words> = (0..20_000).map(|_| words()).collect();
    let first = evicted(&hasher, &keys, &flood, 0);
    let count = |evicted: &[bool]| evicted.iter().filter(|evicted| **evicted).count() as f64;
    assert!((500.0..9_500.0).contains(&count(&first)), "{}", count(&first));
    for (order, (name, change)) in (1..).zip(changes) {
        let changed = |keys: &[Words]| keys.iter().map(|words| change(*words)).collect::<Vec<_>>();
        let next = evicted(&hasher, &changed(&keys), &changed(&flood), order);
        let both: Vec<_> = first.iter().zip(&next).map(|(first, next)| *first && *next).collect();
        let expected = count(&first) * count(&next) / keys.len() as f64;
        let most = 6.0 * expected.sqrt();
        assert!((count(&both) - expected).abs() < most, "{name}: {} of {expected}", count(&both));
    }
    assert_eq!(evicted(&hasher, &keys, &flood, 0), first);
}
