//! Which calls of a thread are looked at: all of them while there are few, else a random share.

use std::cell::Cell;

use crate::runtime::clock::MS;

/// Calls that one sample stands for, at most.
pub const LARGEST_STRIDE: u32 = 4_096;
/// Samples come at most about so often, in nanoseconds, however many calls there are.
pub const LEAST_GAP: u64 = MS / 5;

/// Samples that may come at once, after a time with few of them.
pub const BURST: u64 = 1_024;

/// Chooses samples of one thread's calls. Each stands for as many calls as it says, so their sum is what was called, up to
/// the error of sampling. While calls are further apart than [`LEAST_GAP`], or are a burst of at most [`BURST`], each is a
/// sample that stands for itself.
#[derive(Debug)]
pub struct Sampler {
    /// Calls that are skipped before the next sample.
    skip: Cell<u32>,
    /// How many calls the next sample stands for.
    stride: Cell<u32>,
    last: Cell<u64>,
    /// Time for samples that was not used: one costs [`LEAST_GAP`].
    credit: Cell<u64>,
    random: Cell<u64>,
}

impl Sampler {
    /// A sampler whose choices follow from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            skip: Cell::new(0),
            stride: Cell::new(1),
            last: Cell::new(0),
            credit: Cell::new(MOST_CREDIT),
            random: Cell::new(seed | 1),
        }
    }

    /// Whether this call is skipped.
    #[inline(always)]
    #[must_use]
    pub fn skips(&self) -> bool {
        let skip = self.skip.get();
        if skip == 0 {
            return false;
        }
        self.skip.set(skip - 1);
        true
    }

    /// The call that was skipped last is none that samples stand for.
    pub fn skip_one_more(&self) {
        self.skip.set(self.skip.get() + 1);
    }

    /// How many calls the sample stands for that was not skipped. Chooses the next one.
    #[must_use]
    pub fn weight(&self, now: u64) -> u32 {
        let weight = self.stride.get();
        let gap = now.saturating_sub(self.last.replace(now));
        let credit = self.credit.get().saturating_add(gap).min(MOST_CREDIT).saturating_sub(LEAST_GAP);
        self.credit.set(credit);
        let takes_all = (weight == 1 && credit > 0) || credit >= MOST_CREDIT / 2;
        let next = if takes_all { 1 } else { next_stride(weight, gap) };
        self.stride.set(next);
        self.skip.set(self.below(2 * next - 1));
        weight
    }

    /// A random number below `bound`, so that no pattern of calls is in step with the samples.
    fn below(&self, bound: u32) -> u32 {
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        (((random >> 32) * u64::from(bound)) >> 32) as u32
    }
}

const MOST_CREDIT: u64 = BURST * LEAST_GAP;

/// The stride by which the next sample comes `LEAST_GAP` later, at the rate of the calls before the last one. It grows
/// gradually: a burst may be short.
fn next_stride(stride: u32, gap: u64) -> u32 {
    let next = (u64::from(stride) * LEAST_GAP).checked_div(gap).unwrap_or(u64::MAX);
    let next = next.clamp(1, u64::from(stride) * 2).min(u64::from(LARGEST_STRIDE));
    u32::try_from(next).unwrap_or(LARGEST_STRIDE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_every_call_while_there_are_few() {
        let sampler = Sampler::new(7);
        for call in 1..=1_000 {
            assert!(!sampler.skips());
            assert_eq!(sampler.weight(call * 2 * LEAST_GAP), 1);
        }
    }

    #[test]
    fn takes_every_call_of_a_short_burst() {
        let sampler = Sampler::new(7);
        for call in 1..BURST {
            assert!(!sampler.skips());
            assert_eq!(sampler.weight(call), 1);
        }
    }

    #[test]
    fn samples_a_share_of_many_calls_that_stands_for_all() {
        let (sampler, calls, apart) = (Sampler::new(7), 2_000_000_u64, 100);
        let (mut samples, mut sum, mut even) = (0, 0, 0);
        for call in 0..calls {
            if sampler.skips() {
                continue;
            }
            let weight = u64::from(sampler.weight(call * apart));
            samples += 1;
            sum += weight;
            even += if call % 2 == 0 { weight } else { 0 };
        }
        let expected = calls * apart / LEAST_GAP + BURST;
        assert!(samples < expected * 2, "{samples} samples, about {expected} expected");
        assert!(sum.abs_diff(calls) < calls / 20, "{sum} of {calls}");
        assert!(even.abs_diff(calls / 2) < calls / 20, "{even} of {}", calls / 2);
    }

    #[test]
    fn a_call_that_was_not_to_be_skipped_is_taken_back() {
        let (sampler, other) = (Sampler::new(7), Sampler::new(7));
        let calls = 100_000_u64;
        let weights = |takes_back: bool| {
            let sampler = if takes_back { &sampler } else { &other };
            let mut weights = Vec::new();
            for call in 0..calls {
                if !sampler.skips() {
                    weights.push((call, sampler.weight(call * 100)));
                } else if takes_back {
                    sampler.skip_one_more();
                    assert!(sampler.skips());
                }
            }
            weights
        };
        assert_eq!(weights(true), weights(false));
    }

    #[test]
    fn takes_every_call_again_after_a_burst() {
        let sampler = Sampler::new(7);
        let mut now = 0;
        for _ in 0..100_000 {
            now += 50;
            if !sampler.skips() {
                let _ = sampler.weight(now);
            }
        }
        // The next sample is at most two strides away.
        for _ in 0..2 * LARGEST_STRIDE {
            now += 1_000 * LEAST_GAP;
            if !sampler.skips() {
                let _ = sampler.weight(now);
                break;
            }
        }
        now += 1_000 * LEAST_GAP;
        assert!(!sampler.skips());
        assert_eq!(sampler.weight(now), 1);
    }
}
