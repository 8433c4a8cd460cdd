//! Every interleaving of small cases.

use loom::thread;
use std::sync::Arc;

use super::*;
use crate::runtime::key_hash::KeyHash;

const NOW: u64 = 1_000_000_000_000;
const SHORT: WindowLength = WindowLength::Ms(10);
/// Longer than [`SHORT`] and the lateness of clocks together.
const LONG: WindowLength = WindowLength::Ms(100_000_000);

fn counter() -> Arc<HitCounter> {
    counter_of(HitCounterOptions { max_keys: 1, ..HitCounterOptions::new() })
}

fn counter_of(options: HitCounterOptions) -> Arc<HitCounter> {
    Arc::new(HitCounter::try_new("model", &options.try_into().expect("valid")).expect("room"))
}

fn key() -> KeyHash {
    KeyHash::from_halves(0x1000, 0)
}

fn hit(n: i64, window: WindowLength) -> Hit {
    Hit { n, window, exceeding: None }
}

fn add(counter: &Arc<HitCounter>, hit: Hit) -> Hits {
    counter.enter().expect("open").add(key(), &hit, NOW)
}

/// Runs each call in a thread of its own, all at once; what they answered, in order.
fn at_once<const N: usize>(counter: &Arc<HitCounter>, hits: [Hit; N]) -> [Hits; N] {
    let threads = hits.map(|hit| {
        let counter = Arc::clone(counter);
        thread::spawn(move || add(&counter, hit))
    });
    threads.map(|thread| thread.join().expect("no panic"))
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(2);
    builder.check(model);
}

#[test]
fn concurrent_hits_all_count_and_one_begins_the_window() {
    check(|| {
        let counter = counter();
        let mut hits = at_once(&counter, [hit(1, SHORT), hit(2, SHORT)]);
        hits.sort_by_key(|hits| hits.count);
        assert_eq!(hits[1].count, 3);
        assert_eq!(hits.map(|hits| hits.first), [true, false]);
    });
}

/// One hit of two crosses the limit, and the window that begins then has the count of both.
#[test]
fn one_of_two_hits_crosses_the_limit() {
    check(|| {
        let counter = counter();
        let exceeding = Exceeding { above: 1, window: LONG, once: true, double: false };
        let both = at_once(&counter, [Hit { exceeding: Some(exceeding), ..hit(1, SHORT) }; 2]);
        let crossing = both.iter().filter(|hits| hits.left == LONG).count();
        assert_eq!(crossing, 1, "{both:?}");
        assert_eq!(counter.enter().expect("open").get(key(), NOW).map(|hits| hits.count), Some(2));
    });
}

/// One thread begins a window that is longer than any before while another counts.
#[test]
fn a_window_longer_than_any_before_is_not_taken_for_an_old_one() {
    check(|| {
        let counter = counter();
        let hits = at_once(&counter, [hit(1, LONG), hit(1, SHORT)]);
        assert_eq!(hits.iter().map(|hits| hits.count).max(), Some(2), "{hits:?}");
    });
}

#[test]
fn hits_taken_back_next_to_a_hit_add_up() {
    check(|| {
        let counter = counter();
        add(&counter, hit(3, SHORT));
        let taking = Arc::clone(&counter);
        let adding = Arc::clone(&counter);
        let threads = [
            thread::spawn(move || taking.enter().expect("open").take_back(key(), 2, NOW)),
            thread::spawn(move || {
                add(&adding, hit(1, SHORT));
            }),
        ];
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert_eq!(counter.enter().expect("open").get(key(), NOW).map(|hits| hits.count), Some(2));
    });
}

/// Whichever comes first: a key whose window runs is in the dump.
#[test]
fn a_key_that_is_hit_next_to_its_delete_has_its_text() {
    check(|| {
        // With room for another: a slot is taken before the place of the deleted key is given back.
        let counter =
            counter_of(HitCounterOptions { max_keys: 2, keep_keys: true, ..HitCounterOptions::new() });
        let hit_and_keep = |mut local: LocalHitCounter| {
            if local.add(key(), &hit(1, SHORT), NOW).expect("open").first {
                local.keep(key(), &[1]).expect("open");
            }
        };
        hit_and_keep(LocalHitCounter::new(Arc::clone(&counter)));
        let [adding, mut deleting] = [(); 2].map(|()| LocalHitCounter::new(Arc::clone(&counter)));
        let threads = [
            thread::spawn(move || hit_and_keep(adding)),
            thread::spawn(move || {
                deleting.delete(key(), NOW).expect("open");
            }),
        ];
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        let mut local = LocalHitCounter::new(counter);
        let runs = local.get(key(), NOW).expect("open").is_some();
        assert_eq!(local.dump(NOW).expect("kept").len(), usize::from(runs));
    });
}
