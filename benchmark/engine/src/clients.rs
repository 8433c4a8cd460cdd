//! Clients, and the order in which they call.

use sluice_core::runtime::key_hash::{KeyHash, hash_str};

use crate::contenders::Text;
use crate::rounds::Random;

/// Keys in the order of their calls, a power of two of them, and the expected number of admitted calls.
#[derive(Debug)]
pub struct Load<K> {
    keys: Box<[K]>,
    /// How many calls before each one are admitted; one entry more than keys.
    admitted_before: Box<[u32]>,
}

impl<K: Copy> Load<K> {
    /// `order` has the numbers of clients; those below `used_up` are refused.
    pub fn new(order: &[u32], used_up: u32, key: impl Fn(u32) -> K) -> Self {
        assert!(order.len().is_power_of_two(), "a loop wraps with one `&`");
        let mut admitted = 0;
        let mut admitted_before = vec![0];
        for client in order {
            admitted += u32::from(*client >= used_up);
            admitted_before.push(admitted);
        }
        Self {
            keys: order.iter().map(|client| key(*client)).collect(),
            admitted_before: admitted_before.into(),
        }
    }

    pub fn keys(&self) -> &[K] {
        &self.keys
    }

    /// How many of `calls` calls are admitted, starting with call `first`.
    pub fn admitted(&self, first: usize, calls: usize) -> u64 {
        let length = self.keys.len();
        let before = |calls: usize| {
            let rounds = (calls / length) as u64;
            rounds * u64::from(self.admitted_before[length]) + u64::from(self.admitted_before[calls % length])
        };
        before(first + calls) - before(first)
    }
}

/// The addresses of clients, in every form that a contender takes.
#[derive(Debug)]
pub struct Addresses {
    pub texts: Vec<Text>,
    pub code_units: Vec<&'static [u16]>,
    pub hashes: Vec<KeyHash>,
}

impl Addresses {
    /// Leaks the addresses, as loads hold them by reference.
    pub fn of(clients: u32) -> Self {
        let address = |i: u32| format!("203.{}.{}.{}", i >> 12, (i >> 6) & 63, i & 63);
        let texts: Vec<Text> = (0..clients).map(|i| &*Box::leak(Box::new(address(i)))).collect();
        Self {
            code_units: texts.iter().map(|text| &*text.encode_utf16().collect::<Vec<_>>().leak()).collect(),
            hashes: texts.iter().map(|text| hash_str(text)).collect(),
            texts,
        }
    }
}

/// A random order of `calls` calls by clients from `first` to before `end`.
pub fn at_random(first: u32, end: u32, calls: usize) -> Vec<u32> {
    let mut random = Random::new();
    (0..calls).map(|_| first + random.below(u64::from(end - first)) as u32).collect()
}
