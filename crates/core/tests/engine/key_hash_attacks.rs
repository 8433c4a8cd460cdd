//! Attacks on the hash of keys by an attacker that knows the algorithm, not the seeds. Each would succeed against a weaker
//! hash, which is attacked beside it where that is short.

use sluice_core::runtime::key_hash::{KeyHash, KeyHasher};

use crate::support::keys::{Random, hasher, short_key, top};

/// The words of a short key.
type Words = [u64; 2];

/// A hash of the usual kind: the words are combined with secret ones by xor, and the product is folded.
fn folded([a, b]: Words, [x, y]: Words) -> u64 {
    let product = u128::from(x ^ a) * u128::from(y ^ b);
    (product >> 64) as u64 ^ product as u64
}

/// How many of `pairs` agree in the first 12 bits of a half, both halves counted, with other seeds for every 64 pairs.
/// None may agree in the 48 bits that a slot stores.
fn agreeing(pairs: u64, mut pair: impl FnMut(&mut Random) -> [Vec<u16>; 2]) -> u64 {
    let mut random = Random(pairs);
    (0..pairs / 64).fold(0, |agreeing, seed| {
        let hasher = hasher(seed);
        (0..64).fold(agreeing, |agreeing, _| {
            let keys = pair(&mut random);
            if keys[0] == keys[1] {
                return agreeing;
            }
            let [one, other] = keys.each_ref().map(|key| hasher.utf16(key).halves());
            assert_ne!(top(one.0, 48), top(other.0, 48), "{keys:?}");
            let agree = |one, other| u64::from(top(one, 12) == top(other, 12));
            agreeing + agree(one.0, other.0) + agree(one.1, other.1)
        })
    })
}

/// So many pairs of each family; of a random function, 128 of them agree in 12 bits of one half or the other.
const PAIRS: u64 = 1 << 18;
/// Six standard deviations.
const AGREEING: std::ops::RangeInclusive<u64> = 128 - 68..=128 + 68;

#[test]
fn pairs_of_short_keys_agree_as_rarely_as_random_ones() {
    type Change = fn(Words, &mut Random) -> Words;
    let changes: [(&str, Change); 20] = [
        ("one bit of the first word", |[x, y], random| [x ^ 1 << random.below(64), y]),
        ("one bit of the second word", |[x, y], random| [x, y ^ 1 << random.below(64)]),
        ("the highest bits", |[x, y], _| [x ^ 1 << 63, y ^ 1 << 63]),
        ("the lowest bits", |[x, y], _| [x ^ 1, y ^ 1]),
        ("both complements", |[x, y], _| [!x, !y]),
        ("one complement", |[x, y], _| [!x, y]),
        ("both negated", |[x, y], _| [x.wrapping_neg(), y.wrapping_neg()]),
        ("one negated", |[x, y], _| [x, y.wrapping_neg()]),
        ("words swapped", |[x, y], _| [y, x]),
        ("halves of words swapped", |[x, y], _| [x.rotate_left(32), y.rotate_left(32)]),
        ("one added to both", |[x, y], _| [x.wrapping_add(1), y.wrapping_add(1)]),
        ("an equal sum", |[x, y], random| {
            let moved = random.next();
            [x.wrapping_add(moved), y.wrapping_sub(moved)]
        }),
        ("an equal xor", |[x, y], random| {
            let moved = random.next();
            [x ^ moved, y ^ moved]
        }),
        ("an equal product", |[x, y], _| [x.wrapping_mul(3), y.wrapping_mul(0xaaaa_aaaa_aaaa_aaab)]),
        ("2^32 added", |[x, y], _| [x.wrapping_add(1 << 32), y]),
        ("upper half complemented", |[x, y], _| [x ^ !0 << 32, y ^ !0 << 32]),
        ("lower half complemented", |[x, y], _| [x ^ !0 >> 32, y ^ !0 >> 32]),
        ("doubled", |[x, y], _| [x << 1, y << 1]),
        ("by the golden ratio", |[x, y], _| [x.wrapping_add(0x9e37_79b9_7f4a_7c15), y]),
        ("zeros", |[x, y], random| if random.next() & 1 == 0 { [0, y] } else { [x, 0] }),
    ];
    for (name, change) in changes {
        let agreeing = agreeing(PAIRS, |random| {
            let words = [random.next(), random.next()];
            [words, change(words, random)].map(short_key)
        });
        assert!(AGREEING.contains(&agreeing), "{name}: {agreeing}");
    }
}

/// The complements of both words have the fold of the product once in two hundred times in 12 bits, with xor and a fold.
#[test]
fn a_folded_product_would_agree_more_often() {
    let mut random = Random(1);
    let agreeing = (0..2 * PAIRS).filter(|_| {
        let [seeds, words] = [(); 2].map(|()| [random.next(), random.next()]);
        (folded(seeds, words) ^ folded(seeds, words.map(|word| !word))) >> 52 == 0
    });
    assert!(agreeing.count() > 20 * 128);
}

#[test]
fn pairs_of_longer_and_wider_keys_agree_as_rarely_as_random_ones() {
    type Change = fn(&mut [u16], &mut Random);
    let changes: [(&str, usize, u16, Change); 10] = [
        ("complement of the first block", 32, 0xff, |key, _| {
            key[..16].iter_mut().for_each(|unit| *unit ^= 0xff)
        }),
        ("complement of the second block", 32, 0xff, |key, _| {
            key[16..].iter_mut().for_each(|unit| *unit ^= 0xff)
        }),
        ("complement", 24, 0xff, |key, _| key.iter_mut().for_each(|unit| *unit ^= 0xff)),
        ("complement of wide units", 8, 0xffff, |key, _| key.iter_mut().for_each(|unit| *unit = !*unit)),
        ("complement of two wide blocks", 16, 0xffff, |key, _| {
            key.iter_mut().for_each(|unit| *unit = !*unit)
        }),
        ("blocks swapped", 32, 0xff, |key, _| key.rotate_left(16)),
        ("wide blocks swapped", 16, 0xffff, |key, _| key.rotate_left(8)),
        ("one bit of both blocks", 32, 0xff, |key, random| {
            let (at, bit) = (random.below(16), random.below(8));
            key[at] ^= 1 << bit;
            key[16 + at] ^= 1 << bit;
        }),
        ("one bit of the last unit", 31, 0xff, |key, random| key[30] ^= 1 << random.below(8)),
        ("one bit of the first block", 100, 0xff, |key, random| {
            key[random.below(16)] ^= 1 << random.below(8)
        }),
    ];
    for (name, length, mask, change) in changes {
        let agreeing = agreeing(PAIRS, |random| {
            let key: Vec<u16> = (0..length).map(|_| random.next() as u16 & mask).collect();
            let mut other = key.clone();
            change(&mut other, random);
            [key, other]
        });
        assert!(AGREEING.contains(&agreeing), "{name}: {agreeing}");
    }
}

/// Sets of 2^14 keys in 2^11 lines, with 20 seeds each. Of a random function, a line has 8 keys on average and never 36;
/// and 160 pairs of each set agree in 24 bits of the fingerprint.
#[test]
fn sets_of_keys_spread_over_lines_and_fingerprints_as_random_ones() {
    const KEYS: u64 = 1 << 14;
    type Key = fn(u64) -> Vec<u16>;
    let sets: [(&str, Key); 14] = [
        ("addresses", |n| format!("203.0.{}.{}", n >> 8, n & 0xff).encode_utf16().collect()),
        ("addresses with a prefix", |n| {
            format!("api:login:203.0.{}.{}", n >> 8, n & 0xff).encode_utf16().collect()
        }),
        ("addresses of IPv6", |n| format!("2001:db8:{n:x}::").encode_utf16().collect()),
        ("numbers", |n| n.to_string().encode_utf16().collect()),
        ("lengths", |n| vec![0x61; 1 + n as usize % 2_000].into_iter().chain([n as u16 / 2_000]).collect()),
        ("first words in steps of 1", |n| short_key([n, 0])),
        ("second words in steps of 1", |n| short_key([0, n])),
        ("steps of 2^32", |n| short_key([n << 32, 0])),
        ("steps of 2^50", |n| short_key([n << 50, n << 50])),
        ("both words in steps", |n| short_key([n, n])),
        ("a constant sum", |n| short_key([n, n.wrapping_neg()])),
        ("a constant xor", |n| short_key([n, n ^ 0x5555_5555_5555_5555])),
        ("complements", |n| short_key(if n & 1 == 0 { [n, n << 40] } else { [!(n - 1), !((n - 1) << 40)] })),
        ("bits far apart", |n| short_key([spread(n & 0x7f), spread(n >> 7)])),
    ];
    for (name, key) in sets {
        let (mut most, mut agreeing) = (0, 0);
        for seed in 0..20 {
            let hasher = hasher(seed);
            let hashes: Vec<KeyHash> = (0..KEYS).map(|n| hasher.utf16(&key(n))).collect();
            let mut lines = [0_u32; 1 << 11];
            hashes.iter().for_each(|hash| lines[top(hash.halves().1, 11) as usize] += 1);
            most = most.max(lines.into_iter().max().unwrap_or(0));
            let mut starts: Vec<_> = hashes.iter().map(|hash| top(hash.halves().0, 24)).collect();
            starts.sort_unstable();
            agreeing += starts.windows(2).filter(|pair| pair[0] == pair[1]).count();
        }
        assert!(most < 36, "{name}: {most} keys in a line");
        assert!((84..=236).contains(&agreeing), "{name}: {agreeing}");
    }
}

/// Seven bits, nine places apart.
fn spread(bits: u64) -> u64 {
    (0..7).fold(0, |spread, bit| spread | (bits >> bit & 1) << (9 * bit))
}

/// What an attacker could learn at most from watching which of its keys push out which: whether two keys share a line.
/// Pairs that do are changed in every way that keeps something of them. If the changed pairs shared a line more often than
/// any two keys, found pairs would lead to more of them.
#[test]
fn pairs_that_share_a_line_lead_to_no_others() {
    const LINE_BITS: u32 = 10;
    type Step = fn([Words; 2], &mut Random) -> [Words; 2];
    let steps: [(&str, Step); 14] = [
        ("the same xor at another key", |[k, l], random| {
            let other = [random.next(), random.next()];
            [other, [other[0] ^ k[0] ^ l[0], other[1] ^ k[1] ^ l[1]]]
        }),
        ("the same difference at another key", |[k, l], random| {
            let other = [random.next(), random.next()];
            let moved = |at: usize| other[at].wrapping_add(l[at].wrapping_sub(k[at]));
            [other, [moved(0), moved(1)]]
        }),
        ("the next of a progression", |[k, l], _| {
            [l, [0, 1].map(|at| l[at].wrapping_add(l[at].wrapping_sub(k[at])))]
        }),
        ("another second word", |[k, l], random| {
            let second = random.next();
            [[k[0], second], [l[0], second]]
        }),
        ("another first word", |[k, l], random| {
            let first = random.next();
            [[first, k[1]], [first, l[1]]]
        }),
        ("second words moved", |[k, l], random| {
            let moved = random.next();
            [[k[0], k[1].wrapping_add(moved)], [l[0], l[1].wrapping_add(moved)]]
        }),
        ("first words moved by one", |[k, l], _| [k, l].map(|key| [key[0].wrapping_add(1), key[1]])),
        ("the highest bit of both", |[k, l], _| [k, l].map(|key| [key[0] ^ 1 << 63, key[1]])),
        ("the lowest bit of both", |[k, l], _| [k, l].map(|key| [key[0] ^ 1, key[1]])),
        ("complements", |[k, l], _| [k, l].map(|key| key.map(|word| !word))),
        ("words swapped", |[k, l], _| [k, l].map(|key| [key[1], key[0]])),
        ("second words exchanged", |[k, l], _| [[k[0], l[1]], [l[0], k[1]]]),
        ("doubled", |[k, l], _| [k, l].map(|key| key.map(|word| word << 1))),
        ("first words as differences", |[k, l], _| {
            [k, [k[0].wrapping_add(2_u64.wrapping_mul(l[0].wrapping_sub(k[0]))), l[1]]]
        }),
    ];
    // Pairs with a common second word too: their products differ by a multiple of one secret number.
    for shares_word in [false, true] {
        let mut shared = vec![(0_u64, 0_u64); steps.len()];
        for seed in 0..24 {
            let (hasher, mut random) = (hasher(seed), Random(seed));
            let line =
                |hasher: &KeyHasher, key: Words| top(hasher.utf16(&short_key(key)).halves().1, LINE_BITS);
            let second = random.next();
            let mut last: Vec<Option<Words>> = vec![None; 1 << LINE_BITS];
            for _ in 0..6_000 {
                let key = [random.next(), if shares_word { second } else { random.next() }];
                let Some(found) = last[line(&hasher, key) as usize].replace(key) else { continue };
                for ((_, step), (shared, tried)) in steps.iter().zip(&mut shared) {
                    let [one, other] = step([found, key], &mut random);
                    if one != other && ![[found, key], [key, found]].contains(&[one, other]) {
                        *shared += u64::from(line(&hasher, one) == line(&hasher, other));
                        *tried += 1;
                    }
                }
            }
        }
        for ((name, _), (shared, tried)) in steps.iter().zip(shared) {
            let expected = tried as f64 / f64::from(1 << LINE_BITS);
            let most = expected + 6.0 * expected.sqrt();
            assert!(tried == 0 || (shared as f64) < most, "{name}: {shared} of {tried}");
        }
    }
}
