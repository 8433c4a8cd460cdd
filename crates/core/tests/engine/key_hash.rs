//! What the hash of keys promises, tested on whole keys.

use proptest::prelude::*;
use sluice_core::runtime::key_hash::{KeyHash, KeyHasher, SHORT, hash_short, hash_str, hash_utf16};

use crate::support::keys::{BLOCK, Random, hasher, short_key};

/// The hash as `half.rs` writes it down, in plain arithmetic. Takes the seeds in the order of `KeyHasher::new`.
fn reference(seeds: [[u64; 6]; 2], units: &[u16]) -> KeyHash {
    let is_narrow = units.iter().all(|unit| *unit <= 0xff);
    let (in_block, mark) = if is_narrow { (16, 0) } else { (8, 1 << 63) };
    let word = |units: &[u16]| -> u64 {
        (0..units.len()).fold(0, |word, at| {
            let shift = if is_narrow { [0, 16, 32, 48, 8, 24, 40, 56][at] } else { 16 * at };
            word | u64::from(units[at]) << shift
        })
    };
    let halves = seeds.map(|[a, b, c, d, e, f]| {
        let mut product: Option<u128> = None;
        for start in (0..units.len()).step_by(in_block) {
            // The last of several blocks begins so much earlier that it is full.
            let start = if units.len() > in_block { start.min(units.len() - in_block) } else { start };
            let block = &units[start..units.len().min(start + in_block)];
            let (first, second) = block.split_at(block.len().min(in_block / 2));
            let (add, upper, lower) = match product {
                None => ([a, b], 0, 0),
                Some(product) => ([c, d], (product >> 64) as u64, product as u64),
            };
            let first = word(first).wrapping_add(add[0]).wrapping_add(upper);
            let second = word(second).wrapping_add(add[1]).wrapping_add(lower);
            product = Some(u128::from(first) * u128::from(second));
        }
        let product = product.unwrap_or(u128::from(a) * u128::from(b));
        let lower = (product as u64).wrapping_add(units.len() as u64 | mark);
        let last = u128::from((product >> 64) as u64 ^ e) * u128::from(lower ^ f);
        (last as u64 ^ (last >> 64) as u64) >> 11
    });
    KeyHash::from_halves(halves[0], halves[1])
}

/// A hash function and its seeds.
fn seeded(seed: u64) -> (KeyHasher, [[u64; 6]; 2]) {
    let mut random = Random(seed);
    let seeds = std::array::from_fn(|_| std::array::from_fn(|_| random.next()));
    let mut random = Random(seed);
    (KeyHasher::new(|| random.next()), seeds)
}

/// The same hash from every function that takes the units.
fn hashes_as_the_reference(seed: u64, units: &[u16]) {
    let (hasher, seeds) = seeded(seed);
    let expected = reference(seeds, units);
    assert_eq!(hasher.utf16(units), expected, "{units:?}");
    let is_short = units.len() <= SHORT && units.iter().all(|unit| *unit <= 0xff);
    let mut block = [0; SHORT];
    block.iter_mut().zip(units).for_each(|(place, unit)| *place = *unit);
    if units.len() <= SHORT {
        assert_eq!(hasher.short(&block, units.len()), is_short.then_some(expected), "{units:?}");
        assert_eq!(hash_short(&block, units.len()), is_short.then(|| hash_utf16(units)), "{units:?}");
    }
    if let Ok(text) = String::from_utf16(units) {
        assert_eq!(hash_str(&text), hash_utf16(units), "{text:?}");
    }
}

#[test]
fn every_length_and_width_is_hashed_as_written_down() {
    for length in 0..=70 {
        let ascii: Vec<u16> = (0..length).map(|at| 0x30 + at % 10).collect();
        hashes_as_the_reference(1, &ascii);
        for (at, unit) in [(0, 0xff), (length / 2, 0xe9), (0, 0x100), (length / 2, 0x4e2d), (length, 0xd83d)]
        {
            let mut other = ascii.clone();
            if let Some(place) = other.get_mut(usize::from(at).saturating_sub(usize::from(at == length))) {
                *place = unit;
            }
            hashes_as_the_reference(2, &other);
        }
    }
}

proptest! {
    #[test]
    fn any_units_are_hashed_as_written_down(seed: u64, units: Vec<u16>) {
        hashes_as_the_reference(seed, &units);
    }

    #[test]
    fn any_bytes_as_units_are_hashed_as_written_down(seed: u64, bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let units: Vec<u16> = bytes.into_iter().map(u16::from).collect();
        hashes_as_the_reference(seed, &units);
    }
}

#[test]
fn length_and_width_are_part_of_the_hash() {
    let units = |text: &str| -> Vec<u16> { text.encode_utf16().collect() };
    // The words of all keys in a list are equal, as zeros fill a block.
    let wide: Vec<u16> = vec![0x6561, 0x6662, 0x6763, 0x6864];
    let lists = [
        (0..=16).map(|zeros| [units("a"), vec![0; zeros]].concat()).collect(),
        (1..=40).map(|zeros| vec![0; zeros]).collect(),
        vec![units("abcdefgh"), wide.clone(), [wide.clone(), vec![0]].concat(), [wide, vec![0; 4]].concat()],
        (1..=40).map(|length| units(&"a".repeat(length))).collect::<Vec<_>>(),
    ];
    for seed in 0..100 {
        let hasher = hasher(seed);
        for list in &lists {
            for half in [|hash: KeyHash| hash.halves().0, |hash: KeyHash| hash.halves().1] {
                let mut hashes: Vec<_> = list.iter().map(|key| half(hasher.utf16(key))).collect();
                hashes.sort_unstable();
                hashes.dedup();
                assert_eq!(hashes.len(), list.len(), "seed {seed}");
            }
        }
    }
}

#[test]
fn a_lone_surrogate_is_a_code_unit_like_any_other() {
    assert_ne!(hash_utf16(&[0xd800]), hash_utf16(&[0xfffd]));
    assert_ne!(hash_utf16(&[0xd800, 0xd800]), hash_utf16(&[0xd800, 0xd801]));
}

/// Of 400 seeds, how often each bit of a hash changes with a bit of the key: close to half.
#[test]
fn every_bit_of_a_key_changes_every_bit_of_both_halves() {
    const SEEDS: u64 = 400;
    let long = || -> Vec<u16> { (0..24).map(|at| 0x61 + at).collect() };
    for (key, bits) in [(short_key([0, 0]), 8), (long(), 8), (vec![0x4e2d; 12], 16)] {
        for (at, bit) in (0..key.len()).flat_map(|at| (0..bits).map(move |bit| (at, bit))) {
            let mut changed = [[0_u64; 53]; 2];
            for seed in 0..SEEDS {
                let hasher = hasher(seed);
                let mut other = key.clone();
                other[at] ^= 1 << bit;
                let (high, low) = hasher.utf16(&key).halves();
                let (other_high, other_low) = hasher.utf16(&other).halves();
                for (half, difference) in [high ^ other_high, low ^ other_low].into_iter().enumerate() {
                    (0..53).for_each(|bit| changed[half][bit] += difference >> bit & 1);
                }
            }
            // Six standard deviations of a coin; the lowest bits of a product are a little biased.
            let coin = SEEDS / 2 - 80..=SEEDS / 2 + 80;
            let changed = changed.as_flattened();
            assert!(changed.iter().all(|count| coin.contains(count)), "unit {at}, bit {bit}: {changed:?}");
        }
    }
}

#[test]
fn the_halves_are_independent() {
    // Keys whose one half is equal in 12 bits are as often equal in 12 bits of the other as any keys are.
    let hasher = hasher(7);
    let mut both = [[0_u32; 64]; 64];
    for number in 0..1 << 18 {
        let (high, low) = hasher.utf16(&short_key([number, 0])).halves();
        both[(high >> 47) as usize][(low >> 47) as usize] += 1;
    }
    let expected = f64::from(1 << 18) / 4096.0;
    let square: f64 =
        both.as_flattened().iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
    // 4095 degrees of freedom: six standard deviations are 543.
    assert!((3_552.0..4_638.0).contains(&square), "{square}");
}

#[test]
fn a_word_equal_to_a_seed_does_not_make_keys_equal() {
    for seed in 0..50 {
        let (hasher, seeds) = seeded(seed);
        for word in seeds.into_iter().flatten().flat_map(|seed| [seed, seed.wrapping_neg(), !seed]) {
            for place in 0..2 {
                let key = |other: u64| short_key(if place == 0 { [word, other] } else { [other, word] });
                let mut hashes: Vec<_> = (0..200).map(|other| hasher.utf16(&key(other)).halves()).collect();
                hashes.sort_unstable();
                hashes.dedup();
                assert_eq!(hashes.len(), 200, "seed {seed}, word {word:x}");
                assert_eq!(key(0).len(), BLOCK);
            }
        }
    }
}
