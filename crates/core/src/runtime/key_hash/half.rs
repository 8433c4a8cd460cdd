//! The hash function of one half: a product per block, then a product of that product's words.
//!
//! Of each block of two words `x` and `y`, with secret words `a` to `f`; all sums and words wrap at 64 bits:
//!
//! ```text
//! product = (x + a) * (y + b)                                     of the first block, 128 bits
//! product = (x + c + upper(product)) * (y + d + lower(product))   of each further one
//! hash    = fold((upper(product) ^ e) * ((lower(product) + end) ^ f))
//! ```
//!
//! where `fold` is the upper word xor the lower one. The first line is the hash NH of UMAC (Black, Halevi, Krawczyk,
//! Krovetz and Rogaway, 1999): for any two blocks that are chosen without knowledge of `a` and `b`, the products differ by
//! a given number with a probability of at most 2^-63. It takes sums: with xor in their place and a fold of the first
//! product, the complements of two words have the same fold with a probability of 2^-27 (measured), and so it is in hashes
//! of that form. Here the product is not folded before the last line, so nothing of it is lost, and no difference that an
//! attacker chooses reaches the fold: it has been multiplied by a secret word.
//!
//! A word that cancels its seed makes one factor 0, and the product of all keys with that word equal. To hit it is a guess
//! of 64 bits, in each half another one.

/// A block of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) first: u64,
    pub(super) second: u64,
}

/// The seeds of one half.
pub(super) struct Half {
    /// Added to the first block.
    begin: Words,
    /// Added to each further block.
    add: Words,
    /// Of the last step.
    finish: Words,
}

impl Half {
    pub(super) fn new(mut random: impl FnMut() -> u64) -> Self {
        let mut words = || Words { first: random(), second: random() };
        Self { begin: words(), add: words(), finish: words() }
    }

    /// The product of the first block.
    #[inline(always)]
    pub(super) fn begin(&self, block: Words) -> Words {
        block.plus(self.begin).product()
    }

    /// The product of the next block, on which every block before it has effect.
    #[inline(always)]
    pub(super) fn add(&self, product: Words, block: Words) -> Words {
        block.plus(self.add).plus(product).product()
    }

    /// The hash. `end` is different for keys that have the same blocks.
    #[inline(always)]
    pub(super) fn finish(&self, product: Words, end: u64) -> u64 {
        let first = product.first ^ self.finish.first;
        let second = product.second.wrapping_add(end) ^ self.finish.second;
        let Words { first, second } = Words { first, second }.product();
        first ^ second
    }
}

impl Words {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        Self { first: self.first.wrapping_add(other.first), second: self.second.wrapping_add(other.second) }
    }

    /// The product of both words: its upper and its lower one.
    #[inline(always)]
    fn product(self) -> Self {
        let product = u128::from(self.first) * u128::from(self.second);
        Self { first: (product >> 64) as u64, second: product as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_cancels_a_seed_leaves_the_other_half() {
        let numbered = |first: u64| {
            let mut number = first;
            move || {
                number = number.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
                number
            }
        };
        let (high, low) = (Half::new(numbered(1)), Half::new(numbered(2)));
        let cancels = |half: &Half, second| Words { first: half.begin.first.wrapping_neg(), second };
        let hash = |half: &Half, block| half.finish(half.begin(block), 32);
        let of_high: Vec<_> = (0..1_000).map(|second| hash(&high, cancels(&high, second))).collect();
        assert!(of_high.iter().all(|hash| *hash == of_high[0]), "what a guess of 64 bits would give");
        let mut of_low: Vec<_> = (0..1_000).map(|second| hash(&low, cancels(&high, second))).collect();
        of_low.sort_unstable();
        of_low.dedup();
        assert_eq!(of_low.len(), 1_000);
    }
}
