//! Random calls beside a map that a single thread keeps.

use std::collections::HashMap;

use proptest::prelude::*;

use super::tests::{NOW, add, counter, hash};
use super::*;
use crate::runtime::clock::MS;

/// What a single thread would do with a map.
#[derive(Default)]
struct Naive(HashMap<String, (i64, WindowLength)>);

/// A window's end, or never.
fn end(now_ms: u64, window: WindowLength) -> WindowLength {
    match window {
        WindowLength::Ms(ms) => WindowLength::Ms(now_ms + ms),
        WindowLength::Forever => WindowLength::Forever,
    }
}

/// Windows up to 198 days end exactly, longer ones late by up to one of the coarsest units.
fn is_end(got: WindowLength, exact: WindowLength, now_ms: u64) -> bool {
    const EXACT_MS: u64 = 1 << 34;
    match (got, exact) {
        (WindowLength::Ms(got), WindowLength::Ms(exact)) if exact - now_ms < EXACT_MS => got == exact,
        (WindowLength::Ms(got), WindowLength::Ms(exact)) => (exact..=exact + 4_096).contains(&got),
        (got, exact) => got == exact,
    }
}

impl Naive {
    fn running(&mut self, key: &str, now_ms: u64) -> Option<(i64, WindowLength)> {
        self.0.retain(|_, (_, end)| !matches!(end, WindowLength::Ms(end) if *end <= now_ms));
        self.0.get(key).copied()
    }

    fn add(&mut self, key: &str, hit: &Hit, now_ms: u64) -> (i64, WindowLength) {
        let (before, mut ends) = self.running(key, now_ms).unwrap_or((0, end(now_ms, hit.window)));
        let count = before + hit.n;
        if let Some(Exceeding { above, window, once, double }) = hit.exceeding
            && count > above
            && !(once && before > above)
        {
            let factor = if double { 1_u128 << (count - above - 1).min(60) } else { 1 };
            let WindowLength::Ms(ms) = window else { unreachable!("these tests use windows that end") };
            let ms = u128::from(ms) * factor;
            let is_long = ms > u128::from(WindowLength::MOST_MS);
            ends = if is_long { WindowLength::Forever } else { end(now_ms, WindowLength::Ms(ms as u64)) };
        }
        self.0.insert(key.to_owned(), (count, ends));
        (count, ends)
    }
}

#[derive(Clone, Debug)]
enum Call {
    Add(u8, Hit),
    TakeBack(u8, u64),
    Set(u8, i64, u64),
    Get(u8),
    Delete(u8),
    Wait(u64),
}

const DAY_MS: u64 = 86_400_000;

/// Up to the longest that ends exactly.
fn window_ms() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 1..3_000_u64, 1 => (1..190_u64).prop_map(|days| days * DAY_MS)]
}

/// So long that an old end is ahead again only after more calls than there are.
fn wait_ms() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..2_000_u64, 1 => (1..8_u64).prop_map(|days| days * DAY_MS)]
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let key = 0..3_u8;
    let exceeding = proptest::option::of((0..6_i64, 1..5_000_u64, any::<bool>(), any::<bool>()).prop_map(
        |(above, ms, once, double)| Exceeding { above, window: WindowLength::Ms(ms), once, double },
    ));
    let add = (key.clone(), -2..5_i64, window_ms(), exceeding).prop_map(|(key, n, ms, exceeding)| {
        Call::Add(key, Hit { n, window: WindowLength::Ms(ms), exceeding })
    });
    let call = prop_oneof![
        6 => add,
        1 => (key.clone(), 0..4_u64).prop_map(|(key, n)| Call::TakeBack(key, n)),
        1 => (key.clone(), -3..20_i64, window_ms()).prop_map(|(key, count, ms)| Call::Set(key, count, ms)),
        1 => key.clone().prop_map(Call::Get),
        1 => key.prop_map(Call::Delete),
        2 => wait_ms().prop_map(Call::Wait),
    ];
    proptest::collection::vec(call, 0..60)
}

proptest! {
    #[test]
    fn does_what_a_map_does(calls in calls()) {
        let (mut counter, mut naive) = (counter(), Naive::default());
        let mut now = NOW;
        for call in calls {
            let now_ms = now / MS;
            match call {
                Call::Add(key, hit) => {
                    let key = key.to_string();
                    let counted = add(&mut counter, &key, hit, now);
                    let (count, ends) = naive.add(&key, &hit, now_ms);
                    prop_assert_eq!(counted.count, count);
                    prop_assert!(is_end(end(now_ms, counted.left), ends, now_ms), "{counted:?}, {ends:?}");
                }
                Call::TakeBack(key, n) => {
                    let key = key.to_string();
                    counter.take_back(hash(&key), n, now).expect("open");
                    if let Some((count, ends)) = naive.running(&key, now_ms)
                        && count > 0
                    {
                        naive.0.insert(key, ((count - n.cast_signed()).max(0), ends));
                    }
                }
                Call::Set(key, count, ms) => {
                    let window = WindowLength::Ms(ms);
                    counter.set(hash(&key.to_string()), count, window, now).expect("open");
                    naive.0.insert(key.to_string(), (count, end(now_ms, window)));
                }
                Call::Get(key) => {
                    let key = key.to_string();
                    let got = counter.get(hash(&key), now).expect("open");
                    let running = naive.running(&key, now_ms);
                    prop_assert_eq!(got.map(|hits| hits.count), running.map(|(count, _)| count));
                    if let (Some(hits), Some((_, ends))) = (got, running) {
                        prop_assert!(is_end(end(now_ms, hits.left), ends, now_ms), "{hits:?}, {ends:?}");
                    }
                }
                Call::Delete(key) => {
                    let key = key.to_string();
                    let ran = naive.running(&key, now_ms).is_some();
                    prop_assert_eq!(counter.delete(hash(&key), now).expect("open"), ran);
                    naive.0.remove(&key);
                }
                Call::Wait(ms) => now += ms * MS,
            }
        }
    }
}
