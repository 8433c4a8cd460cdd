//! What a flood of new keys buys a client that wants to be forgotten, once the table is full.

use std::sync::Arc;

use super::*;
use crate::runtime::clock::MS;
use crate::runtime::key_hash::KeyHash;

const BEGIN_MS: u64 = 1_800_000_000_000;
const MAX_KEYS: u64 = 500;
const WINDOW_MS: u64 = 60_000;
const WINDOWS: u64 = 3;
/// A new key of the flood each so often: in each window, 15 times as many as the table holds.
const BETWEEN_KEYS_MS: u64 = 8;
const FLOOD_KEYS: u64 = WINDOWS * WINDOW_MS / BETWEEN_KEYS_MS;
/// The table is full by then.
const FULL_MS: u64 = WINDOW_MS / 10;

/// When a client makes a hit.
#[derive(Clone, Copy, Debug)]
enum Client {
    /// Whenever its count is below the limit.
    Greedy,
    /// Whenever it was forgotten.
    Forgotten,
    /// At twice the rate of its limit.
    Steady,
}

impl Client {
    fn hits(self, count: Option<i64>, limit: i64, ms: u64) -> bool {
        match self {
            Self::Greedy => count.is_none_or(|count| count < limit),
            Self::Forgotten => count.is_none(),
            Self::Steady => ms.is_multiple_of(WINDOW_MS / (2 * limit.cast_unsigned())),
        }
    }
}

fn key(number: u64) -> KeyHash {
    let mixed = |factor: u64| number.wrapping_mul(factor).rotate_left(29).wrapping_mul(factor);
    KeyHash::from_halves(mixed(0x9E37_79B9_7F4A_7C15), mixed(0xD1B5_4A32_D192_ED03))
}

/// Keys of a flood, which are hit `each` times in windows of `window_ms`.
#[derive(Clone, Copy, Debug)]
struct Flood {
    each: i64,
    window_ms: u64,
}

/// Hits of the client that were within its limit, during the flood.
fn admitted(client: Client, limit: i64, flood: Flood) -> u64 {
    let options = HitCounterOptions { max_keys: MAX_KEYS, ..HitCounterOptions::new() };
    let counter = HitCounter::try_new("c", &options.try_into().expect("valid")).expect("room");
    let mut counter = LocalHitCounter::new(Arc::new(counter));
    let hit = |n, ms| Hit { n, window: WindowLength::Ms(ms), exceeding: None };
    let mut admitted = 0;
    for ms in 0..WINDOWS * WINDOW_MS {
        let now = (BEGIN_MS + ms) * MS;
        if ms % BETWEEN_KEYS_MS == 0 {
            counter.add(key(1 + ms), &hit(flood.each, flood.window_ms), now).expect("open");
        }
        let count = counter.get(key(0), now).expect("open").map(|hits| hits.count);
        if ms >= FULL_MS && client.hits(count, limit, ms) {
            admitted += u64::from(counter.add(key(0), &hit(1, WINDOW_MS), now).expect("open").count <= limit);
        }
    }
    let evicted = counter.counter().stats(BEGIN_MS * MS).expect("open").live_evictions;
    assert!(evicted > FLOOD_KEYS - 2 * MAX_KEYS, "the table is full");
    admitted
}

/// A hit that a forgotten client may repeat costs as many hits of the flood as the table holds keys, whichever way the two
/// are spread, and also where the windows of the flood are longer.
#[test]
fn each_hit_that_is_forgotten_costs_as_many_as_the_table_holds_keys() {
    for (client, limit) in [(Client::Greedy, 5), (Client::Forgotten, 5), (Client::Steady, 100)] {
        for (each, windows) in [(1, 1), (2, 1), (5, 1), (1, 60), (2, 60), (5, 60)] {
            let flood = Flood { each, window_ms: windows * WINDOW_MS };
            let admitted = admitted(client, limit, flood);
            let bought = FLOOD_KEYS * each.cast_unsigned() / MAX_KEYS;
            let most = WINDOWS * limit.cast_unsigned() + bought;
            assert!(admitted <= most, "{client:?}: {admitted} of {most}, {flood:?}");
        }
    }
}

/// A client that a rule has blocked for longer than the windows of the flood is not forgotten while it has more left.
#[test]
fn a_client_that_is_blocked_for_longer_outlasts_the_flood() {
    let options = HitCounterOptions { max_keys: MAX_KEYS, ..HitCounterOptions::new() };
    let counter = HitCounter::try_new("c", &options.try_into().expect("valid")).expect("room");
    let mut counter = LocalHitCounter::new(Arc::new(counter));
    let hit = |n| Hit { n, window: WindowLength::Ms(WINDOW_MS), exceeding: None };
    let block = Exceeding { above: 2, window: WindowLength::Ms(4 * WINDOW_MS), once: true, double: false };
    let now = |ms| (BEGIN_MS + ms) * MS;
    counter.add(key(0), &Hit { exceeding: Some(block), ..hit(3) }, now(0)).expect("open");
    for ms in 0..WINDOWS * WINDOW_MS {
        counter.add(key(1 + ms), &hit(5), now(ms)).expect("open");
    }
    let blocked = counter.get(key(0), now(WINDOWS * WINDOW_MS)).expect("open");
    assert_eq!(blocked.map(|hits| hits.count), Some(3));
}
