use std::sync::Arc;

use super::*;
use crate::Overflow;
use crate::runtime::clock::MS;
use crate::runtime::key_hash::{KeyHash, hash_utf16};

pub(super) const NOW: u64 = 1_800_000_000_123 * MS + 999_999;

fn counter_of(options: HitCounterOptions) -> LocalHitCounter {
    let counter = HitCounter::try_new("c", &options.try_into().expect("valid")).expect("room");
    LocalHitCounter::new(Arc::new(counter))
}

pub(super) fn counter() -> LocalHitCounter {
    counter_of(HitCounterOptions { max_keys: 100, ..HitCounterOptions::new() })
}

fn units(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

pub(super) fn add(counter: &mut LocalHitCounter, key: &str, hit: Hit, now: u64) -> Hits {
    let hits = counter.add(hash(key), &hit, now).expect("open");
    if hits.first && counter.keeps_keys() {
        counter.keep(hash(key), &units(key)).expect("open");
    }
    hits
}

pub(super) fn hash(key: &str) -> KeyHash {
    hash_utf16(&units(key))
}

const fn hit(n: i64, ms: u64) -> Hit {
    Hit { n, window: WindowLength::Ms(ms), exceeding: None }
}

const fn hits(count: i64, ms: u64, first: bool) -> Hits {
    Hits { count, left: WindowLength::Ms(ms), first }
}

#[test]
fn counts_from_the_first_hit_to_the_millisecond() {
    let mut counter = counter();
    assert_eq!(add(&mut counter, "a", hit(1, 1_000), NOW), hits(1, 1_000, true));
    assert_eq!(add(&mut counter, "a", hit(1, 5_000), NOW + 1), hits(2, 999, false));
    counter.take_back(hash("a"), 5, NOW + 1).expect("open");
    assert_eq!(counter.get(hash("a"), NOW + 1), Ok(Some(hits(0, 999, false))));
    assert_eq!(add(&mut counter, "a", hit(-3, 1_000), NOW + 1), hits(-3, 999, false));
    counter.take_back(hash("a"), 1, NOW + 1).expect("open");
    assert_eq!(counter.get(hash("a"), NOW + 1), Ok(Some(hits(-3, 999, false))), "not above 0");
    assert_eq!(counter.get(hash("a"), NOW + 999 * MS + 1), Ok(None));
    assert_eq!(add(&mut counter, "a", hit(1, 2_000), NOW + 1_000 * MS), hits(1, 2_000, true));
}

#[test]
fn a_window_that_never_ends_keeps_its_count() {
    let mut counter = counter();
    let forever = Hit { n: 1, window: WindowLength::Forever, exceeding: None };
    add(&mut counter, "a", forever, NOW);
    let after = add(&mut counter, "a", hit(1, 10), NOW + (1 << 61));
    assert_eq!(after, Hits { count: 2, left: WindowLength::Forever, first: false });
}

#[test]
fn a_count_above_the_limit_begins_another_window() {
    let mut counter = counter();
    let exceeding = Exceeding { above: 2, window: WindowLength::Ms(60_000), once: false, double: false };
    let with = |exceeding| Hit { exceeding: Some(exceeding), ..hit(1, 1_000) };
    let mut count = |key: &str, exceeding, now| add(&mut counter, key, with(exceeding), now);
    for expected in [hits(1, 1_000, true), hits(2, 1_000, false), hits(3, 60_000, true)] {
        assert_eq!(count("each", exceeding, NOW), expected);
    }
    assert_eq!(count("each", exceeding, NOW + 5 * MS), hits(4, 60_000, true), "begins anew with each");

    let once = Exceeding { once: true, ..exceeding };
    for _ in 0..3 {
        count("once", once, NOW);
    }
    assert_eq!(count("once", once, NOW + 5 * MS), hits(4, 59_995, false), "begins once");

    let double = Exceeding { double: true, ..exceeding };
    let left = |hits: Hits| hits.left;
    let doubled: Vec<_> = (0..5).map(|_| left(count("double", double, NOW))).collect();
    let ms = [1_000, 1_000, 60_000, 120_000, 240_000].map(WindowLength::Ms);
    assert_eq!(doubled, ms);
    for _ in 0..60 {
        count("double", double, NOW);
    }
    assert_eq!(left(count("double", double, NOW)), WindowLength::Forever);
}

/// The end of a window over 198 days is kept in coarser units, so a later call shows a little more left.
#[test]
fn a_long_window_ends_late_by_less_than_a_unit() {
    let mut counter = counter();
    let long = (1 << 34) + 1;
    assert_eq!(add(&mut counter, "a", hit(1, long), NOW), hits(1, long, true));
    let WindowLength::Ms(left) = add(&mut counter, "a", hit(1, long), NOW).left else { panic!("it ends") };
    assert!((long..long + 64).contains(&left), "{left}");
}

#[test]
fn set_gives_count_and_window_in_one_step() {
    let mut counter = counter();
    add(&mut counter, "a", hit(1, 10), NOW);
    assert_eq!(counter.set(hash("a"), 7, WindowLength::Ms(500), NOW + MS), Ok(true));
    assert_eq!(counter.get(hash("a"), NOW + 2 * MS), Ok(Some(hits(7, 499, false))));
    assert_eq!(counter.delete(hash("a"), NOW + 2 * MS), Ok(true));
    assert_eq!(counter.delete(hash("a"), NOW + 2 * MS), Ok(false));
}

#[test]
fn a_call_with_an_earlier_time_moves_no_end() {
    let mut counter = counter();
    add(&mut counter, "a", hit(1, 1_000), NOW);
    assert_eq!(add(&mut counter, "a", hit(1, 1_000), NOW - 400 * MS), hits(2, 1_000, false));
    assert_eq!(counter.get(hash("a"), NOW + 999 * MS), Ok(Some(hits(2, 1, false))));
    assert_eq!(counter.get(hash("a"), NOW + 1_000 * MS), Ok(None));
}

#[test]
fn a_full_table_denies_or_allows_without_counting() {
    for (overflow, count) in [(Overflow::Deny, i64::MAX), (Overflow::Allow, 1)] {
        let options = HitCounterOptions { max_keys: 1, overflow, ..HitCounterOptions::new() };
        let mut counter = counter_of(options);
        let mut refused = 0;
        for key in 0..100 {
            let hits = add(&mut counter, &key.to_string(), hit(1, 1_000), NOW);
            refused += u64::from(hits.count != 1);
            assert!(hits.count == 1 || hits.count == count);
        }
        let stats = counter.counter().stats(NOW).expect("open");
        assert_eq!(stats.size + stats.untracked, 100);
        assert_eq!(refused, if overflow == Overflow::Deny { stats.untracked } else { 0 });
    }
}

#[test]
fn a_count_at_the_end_of_its_range_is_counted() {
    let mut counter = counter();
    assert_eq!(add(&mut counter, "a", hit(i64::MAX, 1_000), NOW).count, Hits::MOST);
    assert_eq!(add(&mut counter, "a", hit(1, 1_000), NOW).count, Hits::MOST);
    assert_eq!(counter.counter().stats(NOW).expect("open").saturated, 2);
    counter.take_back(hash("a"), 5, NOW).expect("open");
    assert_eq!(counter.get(hash("a"), NOW).map(|hits| hits.map(|hits| hits.count)), Ok(Some(Hits::MOST - 5)));
}

#[test]
fn dumps_the_keys_whose_window_runs() {
    let mut counter =
        counter_of(HitCounterOptions { max_keys: 100, keep_keys: true, ..HitCounterOptions::new() });
    add(&mut counter, "a", hit(3, 1_000), NOW);
    add(&mut counter, "b", hit(1, 10), NOW);
    let later = NOW + 20 * MS;
    let a = KeptHits { key: units("a").into(), hits: hits(3, 980, false) };
    assert_eq!(counter.dump(later), Ok(vec![a]));
    counter.clear().expect("open");
    assert_eq!(counter.dump(later), Ok(Vec::new()));
    let error = self::counter().dump(NOW).expect_err("no texts");
    assert_eq!(error.to_string(), "HitCounter keepKeys is false; accepted: true, for dump and restore");
}

/// A caller's times may jump: a hit in the far future evicts as expired, and later hits count all the same.
#[test]
fn a_time_far_ahead_loses_no_later_hit() {
    let mut counter = counter_of(HitCounterOptions { max_keys: 1, ..HitCounterOptions::new() });
    for key in 0..200 {
        add(&mut counter, &key.to_string(), hit(1, 1_000), NOW);
        add(&mut counter, &format!("late {key}"), hit(1, 1_000), NOW + (1 << 61));
    }
    assert_eq!(add(&mut counter, "a", hit(1, 1_000), NOW).count, 1);
    assert_eq!(add(&mut counter, "a", hit(1, 1_000), NOW).count, 2);
    counter.set(hash("b"), 7, WindowLength::Ms(1_000), NOW).expect("open");
    assert_eq!(counter.get(hash("b"), NOW), Ok(Some(hits(7, 1_000, false))));
}

#[test]
fn a_dump_for_another_time_drops_no_text() {
    let mut counter =
        counter_of(HitCounterOptions { max_keys: 100, keep_keys: true, ..HitCounterOptions::new() });
    add(&mut counter, "a", hit(1, 1_000), NOW);
    assert_eq!(counter.dump(NOW + 5_000 * MS), Ok(Vec::new()));
    assert_eq!(counter.dump(NOW).expect("kept").len(), 1);
}

#[test]
fn texts_of_ended_windows_are_dropped() {
    let options = HitCounterOptions { max_keys: 8, keep_keys: true, ..HitCounterOptions::new() };
    let mut counter = counter_of(options);
    for key in 0..10_000_u64 {
        add(&mut counter, &key.to_string(), hit(1, 1), NOW + key * MS);
    }
    assert!(counter.dump(NOW + 9_999 * MS).expect("kept").len() <= 1);
}

#[test]
fn hits_of_eight_threads_all_count() {
    let counter = Arc::clone(counter().counter());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut local = LocalHitCounter::new(Arc::clone(&counter));
                for turn in 0..10_000_u64 {
                    let key = (turn % 10).to_string();
                    add(&mut local, &key, hit(1, 60_000), NOW + turn);
                }
            });
        }
    });
    let mut local = LocalHitCounter::new(counter);
    for key in 0..10 {
        let found = local.get(hash(&key.to_string()), NOW + 10_000).expect("open");
        assert_eq!(found.map(|hits| hits.count), Some(8_000));
    }
}

#[test]
fn hits_and_hits_taken_back_of_eight_threads_add_up() {
    let counter = Arc::clone(counter().counter());
    let mut local = LocalHitCounter::new(Arc::clone(&counter));
    add(&mut local, "a", hit(100_000, 60_000), NOW);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut local = LocalHitCounter::new(Arc::clone(&counter));
                for _ in 0..10_000 {
                    add(&mut local, "a", hit(3, 60_000), NOW);
                    local.take_back(hash("a"), 1, NOW).expect("open");
                    add(&mut local, "a", hit(-1, 60_000), NOW);
                }
            });
        }
    });
    assert_eq!(local.get(hash("a"), NOW), Ok(Some(hits(180_000, 60_000, false))));
}

/// Further hits leave a count at the end of its range there. Hits that are taken back count down from that end.
#[test]
fn hits_of_eight_threads_never_wrap_a_count() {
    let counter = Arc::clone(counter().counter());
    let at_the_end: u64 = std::thread::scope(|scope| {
        let threads = [(); 8].map(|()| {
            scope.spawn(|| {
                let mut local = LocalHitCounter::new(Arc::clone(&counter));
                let counts = [(); 1_000].map(|()| add(&mut local, "a", hit(1 << 20, 60_000), NOW).count);
                assert!(counts.is_sorted(), "never less than before");
                counts.iter().filter(|count| **count == Hits::MOST).count() as u64
            })
        });
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert!(at_the_end > 0);
    assert_eq!(counter.stats(NOW).expect("open").saturated, at_the_end);
}
