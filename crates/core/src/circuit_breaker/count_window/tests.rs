use std::collections::VecDeque;

use super::*;

const TAG: Tag = Tag(7);

fn outcome(n: u64) -> Outcome {
    Outcome { failed: n.is_multiple_of(3), slow: n.is_multiple_of(5) }
}

#[test]
fn the_window_holds_the_last_calls_and_no_others() {
    for calls in [1, 2, 15, 16, 17, 31, 32, 33, 100] {
        let window = CountWindow::new(calls, TAG);
        let mut last = VecDeque::new();
        // More laps than a block can tell apart.
        for n in 0..calls.min(33) * 1_100 {
            last.push_back(outcome(n * n % 7));
            if last.len() as u64 > calls {
                last.pop_front();
            }
            let mut expected = Counts::default();
            last.iter().for_each(|outcome| expected.add(*outcome));
            assert_eq!(window.record(TAG, outcome(n * n % 7)), Some(expected), "call {n} of {calls}");
        }
    }
}

#[test]
fn an_emptied_window_counts_reports_of_its_new_tag_only() {
    let window = CountWindow::new(20, TAG);
    for n in 0..35 {
        window.record(TAG, outcome(n));
    }
    window.reset(Tag(8));
    assert_eq!(window.counts(), Counts::default());
    assert_eq!(window.record(TAG, Outcome::FAILURE), None);
    assert_eq!(window.record(Tag(8), Outcome::FAILURE), Some(Counts { calls: 1, failures: 1, slow: 0 }));
}

/// Fails where the other blocks are counted after the swap, not before it: two reports return the same counts.
#[test]
fn concurrent_reports_are_linearised() {
    const EACH: u64 = 2_000;
    let window = CountWindow::new(4 * EACH, TAG);
    let mut seen: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let window = &window;
                let record = move |n| window.record(TAG, outcome(n * 4 + thread)).expect("current");
                scope.spawn(move || (0..EACH).map(record).collect::<Vec<_>>())
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    seen.sort_unstable_by_key(|counts| counts.calls);
    assert!(seen.iter().enumerate().all(|(index, counts)| counts.calls == index as u64 + 1));
    assert!(seen.windows(2).all(|pair| pair[1].failures - pair[0].failures <= 1));
    let mut expected = Counts::default();
    (0..4 * EACH).for_each(|n| expected.add(outcome(n)));
    assert_eq!((seen.last(), window.counts()), (Some(&expected), expected));
}
