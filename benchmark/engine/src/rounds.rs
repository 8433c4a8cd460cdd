//! How often, how long and in which order cases are measured.

use std::time::{Duration, Instant};

/// The arguments of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    pub rounds: usize,
    /// How long each case runs in each round.
    pub slice: Duration,
    /// Numbers of concurrent threads.
    pub threads: Vec<usize>,
    /// The larger number of clients with integer keys.
    pub many: u64,
    /// The only part to measure, if one is named.
    only: Option<String>,
}

const USAGE: &str = "usage: sluice-benchmark ROUNDS SLICE_MS THREADS,THREADS,... MANY [PART]";

impl Plan {
    pub fn from_arguments(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let arguments: Vec<_> = arguments.collect();
        let (rounds, slice, threads, many, only) = match &arguments[..] {
            [rounds, slice, threads, many] => (rounds, slice, threads, many, None),
            [rounds, slice, threads, many, only] => (rounds, slice, threads, many, Some(only.clone())),
            _ => return Err(USAGE.to_owned()),
        };
        let threads = threads.split(',').map(|count| number(count).map(|count| count as usize));
        Ok(Self {
            rounds: number(rounds)? as usize,
            slice: Duration::from_millis(number(slice)?),
            threads: threads.collect::<Result<_, _>>()?,
            many: number(many)?,
            only,
        })
    }

    /// Whether a part is to be measured.
    pub fn has(&self, part: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == part)
    }
}

fn number(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("{text:?} is not a number from 1; {USAGE}")),
    }
}

/// Marsaglia's 64-bit xorshift: the same loads and orders in every run.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        Self(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        // The upper half of the product: negligible bias, and no division.
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Minimum of rounds, even on a machine that is much slower than expected.
const LEAST_ROUNDS: usize = 3;

impl Plan {
    /// Runs every case once per round, in a new order each round, so that noise affects all cases alike. Returns a row
    /// of samples per case. Stops early if the rounds take over half as long again as planned.
    pub fn interleaved<T>(&self, cases: usize, mut run: impl FnMut(usize) -> T) -> Vec<Vec<T>> {
        let mut random = Random::new();
        let mut order: Vec<_> = (0..cases).collect();
        let mut samples: Vec<Vec<T>> = (0..cases).map(|_| Vec::with_capacity(self.rounds)).collect();
        let planned = self.slice * (self.rounds * cases) as u32;
        let started = Instant::now();
        for round in 0..self.rounds {
            if round >= LEAST_ROUNDS && started.elapsed() > planned * 3 / 2 {
                break;
            }
            random.shuffle(&mut order);
            for &case in &order {
                samples[case].push(run(case));
            }
        }
        samples
    }
}
