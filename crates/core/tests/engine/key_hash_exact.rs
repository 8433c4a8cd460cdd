//! The formula of the hash of keys (`key_hash/half.rs`) in words of a few bits, for every seed and every pair of short keys:
//! exact probabilities.

/// A product's upper and lower word.
fn product(bits: u32, x: u32, y: u32) -> [u32; 2] {
    let product = x * y;
    [product >> bits, product & ((1 << bits) - 1)]
}

fn fold(bits: u32, x: u32, y: u32) -> u32 {
    let [upper, lower] = product(bits, x, y);
    upper ^ lower
}

/// Of two pairs of words that differ by each xor, for how many secret words their folds agree.
fn of_folds(bits: u32) -> Vec<u32> {
    let (words, mask) = (1_u32 << (2 * bits), (1 << bits) - 1);
    let folds: Vec<_> = (0..words).map(|pair| fold(bits, pair >> bits, pair & mask)).collect();
    (0..words)
        .map(|xor| {
            (0..words).filter(|pair| folds[*pair as usize] == folds[(pair ^ xor) as usize]).count() as u32
        })
        .collect()
}

/// For the worst pair of keys: how many times as often as of a random function their products and their hashes agree.
fn worst(bits: u32) -> [f64; 2] {
    let (words, mask) = (1_u32 << (2 * bits), (1 << bits) - 1);
    let folds = of_folds(bits);
    let mut worst = [0_u64; 2];
    // A secret word is added to each word of a key, so only differences count.
    for (difference, longer) in
        (0..words).flat_map(|difference| [(difference, 0), (difference, 1), (difference, 3)])
    {
        if difference == 0 && longer == 0 {
            continue;
        }
        let mut agreeing = [0_u64; 2];
        for seeds in 0..words {
            let (x, y) = (seeds >> bits, seeds & mask);
            let [upper, lower] = product(bits, x, y);
            let moved = product(bits, (x + (difference >> bits)) & mask, (y + difference) & mask);
            let xor = (upper ^ moved[0]) << bits | lower ^ ((moved[1] + longer) & mask);
            agreeing[0] += u64::from(xor == 0);
            agreeing[1] += u64::from(folds[xor as usize]);
        }
        worst = [0, 1].map(|at| worst[at].max(agreeing[at]));
    }
    let seeds = f64::from(words);
    [worst[0] as f64 / seeds, worst[1] as f64 / seeds / seeds].map(|share| share * f64::from(1 << bits))
}

#[test]
fn no_pair_of_keys_agrees_much_more_often_than_random_ones() {
    for bits in [4, 5, 6] {
        let [products, hashes] = worst(bits);
        assert!(products <= 1.0, "{bits} bits: products agree {products} times as often");
        assert!(hashes < 4.0, "{bits} bits: hashes agree {hashes} times as often");
    }
    // A fold by itself gets worse with every bit: its worst pair are the complements.
    let folds = [4, 5, 6].map(|bits| {
        let folds = of_folds(bits);
        let complements = f64::from(*folds.last().expect("not empty"));
        assert_eq!(folds[1..].iter().max(), folds.last());
        complements / f64::from(1_u32 << bits)
    });
    assert!(folds[0] > 4.0 && folds[1] > 7.0 && folds[2] > 11.0, "{folds:?}");
}
