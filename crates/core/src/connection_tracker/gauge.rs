//! A count that never exceeds its bound.

use crate::runtime::sync::{AtomicU64, Ordering};

/// A number of things that exist, over all threads.
#[derive(Debug)]
pub(crate) struct Gauge {
    count: AtomicU64,
}

impl Gauge {
    pub(crate) fn new() -> Self {
        Self { count: AtomicU64::new(0) }
    }

    pub(crate) fn get(&self) -> u64 {
        // Relaxed: a number to report; no other read depends on it.
        self.count.load(Ordering::Relaxed)
    }

    /// Adds one unless there are `most`. Lock-free.
    pub(crate) fn try_raise(&self, most: u64) -> bool {
        // Relaxed: all changes of one word have one order, which keeps the bound.
        let raise = |count| (count < most).then_some(count + 1);
        self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, raise).is_ok()
    }

    /// Takes one away and returns how many are left. Each successful raise is lowered once.
    pub(crate) fn lower(&self) -> u64 {
        self.count.fetch_sub(1, Ordering::Relaxed) - 1
    }
}

/// Planted bug, tried once: with load, compare, store in `try_raise`, both models fail.
#[cfg(all(test, sluice_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[test]
    fn never_exceeds_its_bound() {
        loom::model(|| {
            let gauge = Arc::new(Gauge::new());
            let raises: Vec<_> = (0..3)
                .map(|_| {
                    let gauge = Arc::clone(&gauge);
                    thread::spawn(move || gauge.try_raise(2))
                })
                .collect();
            let raised = raises.into_iter().filter_map(|raise| raise.join().ok()).filter(|raised| *raised);
            assert_eq!((raised.count(), gauge.get()), (2, 2));
        });
    }

    #[test]
    fn concurrent_raises_and_lowers_add_up() {
        loom::model(|| {
            let gauge = Arc::new(Gauge::new());
            assert!(gauge.try_raise(1));
            let visits: Vec<_> = (0..2)
                .map(|_| {
                    let gauge = Arc::clone(&gauge);
                    thread::spawn(move || {
                        if gauge.try_raise(1) {
                            gauge.lower();
                        }
                    })
                })
                .collect();
            let leaving = {
                let gauge = Arc::clone(&gauge);
                thread::spawn(move || gauge.lower())
            };
            for visit in visits {
                visit.join().expect("no panic");
            }
            leaving.join().expect("no panic");
            assert_eq!(gauge.get(), 0);
        });
    }
}
