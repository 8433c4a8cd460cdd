//! Tried once: with load, compare, store in place of the swap of a block, all models fail; without the check of a
//! block's tag, the third fails.

use loom::sync::Arc;
use loom::thread;

use super::*;

const TAG: Tag = Tag(1);

fn record_in_threads(window: &Arc<CountWindow>, outcomes: &[Outcome]) -> Vec<Counts> {
    let threads: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            let (window, outcome) = (Arc::clone(window), *outcome);
            thread::spawn(move || window.record(TAG, outcome).expect("current"))
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
}

#[test]
fn each_report_is_counted_once() {
    loom::model(|| {
        let window = Arc::new(CountWindow::new(2, TAG));
        let mut seen = record_in_threads(&window, &[Outcome::FAILURE; 3]);
        seen.sort_unstable_by_key(|counts| counts.calls);
        let of = |calls| Counts { calls, failures: calls, slow: 0 };
        assert_eq!(seen, [of(1), of(2), of(2)]);
    });
}

/// The window is full and its oldest call is its only failure. The second report, the first of another block, pushes
/// that call out. The counts are those of two reports one after the other.
#[test]
fn a_report_sees_a_consistent_window_across_blocks() {
    loom::model(|| {
        let window = Arc::new(CountWindow::new(BLOCK + 1, TAG));
        window.record(TAG, Outcome::FAILURE);
        for _ in 1..=BLOCK - 1 {
            window.record(TAG, Outcome::SUCCESS);
        }
        let mut seen = record_in_threads(&window, &[Outcome::SUCCESS; 2]);
        seen.sort_unstable_by_key(|counts| counts.failures);
        let of = |failures| Counts { calls: BLOCK + 1, failures, slow: 0 };
        assert_eq!(seen, [of(0), of(1)]);
    });
}

#[test]
fn a_report_from_before_a_reset_is_not_counted_after_it() {
    loom::model(|| {
        let window = Arc::new(CountWindow::new(2, TAG));
        let late = {
            let window = Arc::clone(&window);
            thread::spawn(move || window.record(TAG, Outcome::FAILURE))
        };
        let reset = {
            let window = Arc::clone(&window);
            thread::spawn(move || {
                window.reset(Tag(2));
                window.record(Tag(2), Outcome::SUCCESS)
            })
        };
        late.join().expect("no panic");
        let counts = Counts { calls: 1, failures: 0, slow: 0 };
        assert_eq!(reset.join().expect("no panic"), Some(counts));
        assert_eq!(window.counts(), counts);
    });
}
