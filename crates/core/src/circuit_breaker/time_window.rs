//! The calls of a period, counted by slices of time without a lock.

use super::rates::{Counts, Outcome};
use super::window::Tag;
use crate::runtime::region;
use crate::runtime::sync::{AtomicU64, Ordering};

/// Slices of a window. Calls leave it by tenths of its length.
const SLICES: u64 = 10;

/// Counts of the current slice of time and the nine before it.
///
/// A call counts for at least nine tenths of the window's length and at most all of it. Each count is a word that also
/// names its slice. The first report of a new slice overwrites the count of the old one, so nothing sweeps.
///
/// A report raises the count of calls before that of failures, and a reader reads failures first. So a reader never
/// sees a rate above the true one. It sees every report that ended before it began to read: of concurrent reports, the
/// last to end sees them all.
#[derive(Debug)]
pub(super) struct TimeWindow {
    /// Nanoseconds of a slice.
    length: u64,
    slices: Box<[Slice]>,
}

#[derive(Debug)]
struct Slice {
    calls: AtomicU64,
    failures: AtomicU64,
    slow: AtomicU64,
}

impl TimeWindow {
    /// Bytes of the slices.
    pub(super) const BYTES: u64 = SLICES * size_of::<Slice>() as u64;

    pub(super) fn new(nanos: u64, tag: Tag) -> Self {
        Self::of_slices(SLICES, nanos, tag)
    }

    fn of_slices(slices: u64, nanos: u64, tag: Tag) -> Self {
        let count = || AtomicU64::new(Count::none(tag).0);
        let slice = |_: u64| Slice { calls: count(), failures: count(), slow: count() };
        Self { length: nanos.div_ceil(slices), slices: (0..slices).map(slice).collect() }
    }

    /// Counts a call and returns the counts of the window after it. `None` when the window was emptied under another
    /// tag.
    pub(super) fn record(&self, tag: Tag, outcome: Outcome, now: u64) -> Option<Counts> {
        let time = now / self.length;
        let slice = &self.slices[(time % self.slices.len() as u64) as usize];
        let counted = raise(&slice.calls, tag, time)
            && (!outcome.failed || raise(&slice.failures, tag, time))
            && (!outcome.slow || raise(&slice.slow, tag, time));
        counted.then(|| self.counts_to(tag, time))
    }

    /// Prefetches what a report reads.
    #[inline]
    pub(super) fn prefetch(&self) {
        region::prefetch_all(&*self.slices);
    }

    /// The counts of the window at a time.
    pub(super) fn counts(&self, tag: Tag, now: u64) -> Counts {
        self.counts_to(tag, now / self.length)
    }

    /// The counts of the window that ends with this slice of time.
    fn counts_to(&self, tag: Tag, newest: u64) -> Counts {
        let slices = self.slices.len() as u64;
        let mut counts = Counts::default();
        for slice in &*self.slices {
            // Failures first: see the type.
            counts.failures += read(&slice.failures, tag, newest, slices);
            counts.slow += read(&slice.slow, tag, newest, slices);
            counts.calls += read(&slice.calls, tag, newest, slices);
        }
        counts
    }

    /// Empties the window. Reports under other tags no longer count. One caller at a time.
    pub(super) fn reset(&self, tag: Tag) {
        for Slice { calls, failures, slow } in &*self.slices {
            for count in [calls, failures, slow] {
                // A swap: a report from before either comes first, or finds the new tag.
                count.swap(Count::none(tag).0, Ordering::AcqRel);
            }
        }
    }
}

/// Adds one to the count of a slice. False when the word belongs to another tag, or to a later slice: then the thread
/// was suspended for a whole window, and the call would have left it by now.
fn raise(word: &AtomicU64, tag: Tag, time: u64) -> bool {
    // Release: a reader of this count sees those that the report raised before. Acquire: so do readers of later counts.
    let raise = |word| Count(word).raised(tag, time).map(|count| count.0);
    word.fetch_update(Ordering::AcqRel, Ordering::Acquire, raise).is_ok()
}

fn read(word: &AtomicU64, tag: Tag, newest: u64, slices: u64) -> u64 {
    Count(word.load(Ordering::Acquire)).within(tag, newest, slices)
}

/// A count (22 bits) with its slice of time (32 bits) and its tag (10 bits).
///
/// It counts at most four million calls in a slice. Slices wrap around after 2^32: a target that is called after
/// exactly that time finds its old counts.
#[derive(Clone, Copy)]
struct Count(u64);

const MOST: u64 = (1 << 22) - 1;
const TIME_AT: u32 = 22;
const TIMES: u64 = 1 << 32;
/// By how many slices a report may be late and be recognised as late.
const LATEST: u64 = 1 << 16;
const TAG_AT: u32 = 54;
const TAGS: u64 = 1 << 10;

impl Count {
    const fn none(tag: Tag) -> Self {
        Self((tag.0 as u64 % TAGS) << TAG_AT)
    }

    const fn new(tag: Tag, time: u64, count: u64) -> Self {
        Self(Self::none(tag).0 | (time % TIMES) << TIME_AT | count)
    }

    fn raised(self, tag: Tag, time: u64) -> Option<Self> {
        if !self.is_under(tag) {
            return None;
        }
        match self.age(time) {
            0 => Some(Self::new(tag, time, (self.count() + 1).min(MOST))),
            // The word is of a later slice: this report read the clock a window ago.
            age if age > TIMES - LATEST && self.count() > 0 => None,
            _ => Some(Self::new(tag, time, 1)),
        }
    }

    /// The count, if its slice is in the window of `slices` slices that ends with `newest`.
    fn within(self, tag: Tag, newest: u64, slices: u64) -> u64 {
        if self.count() == 0 {
            return 0;
        }
        let age = self.age(newest);
        // A slice that began after this clock was read is in the window too.
        let is_in = !(slices..=TIMES - slices).contains(&age);
        if self.is_under(tag) && is_in { self.count() } else { 0 }
    }

    fn is_under(self, tag: Tag) -> bool {
        self.0 >> TAG_AT == u64::from(tag.0) % TAGS
    }

    /// The age in slices, modulo 2^32.
    fn age(self, time: u64) -> u64 {
        (time % TIMES).wrapping_sub(self.0 >> TIME_AT & (TIMES - 1)) & (TIMES - 1)
    }

    fn count(self) -> u64 {
        self.0 & MOST
    }
}

#[cfg(all(test, not(sluice_loom)))]
mod tests {
    use super::*;

    const TAG: Tag = Tag(3);
    /// 2026, in nanoseconds.
    const START: u64 = 1_780_000_000_000_000_000;

    fn counts(calls: u64, failures: u64) -> Counts {
        Counts { calls, failures, slow: 0 }
    }

    #[test]
    fn calls_leave_the_window_by_tenths() {
        let window = TimeWindow::new(1_000, TAG);
        assert_eq!(window.record(TAG, Outcome::FAILURE, START), Some(counts(1, 1)));
        assert_eq!(window.record(TAG, Outcome::SUCCESS, START + 550), Some(counts(2, 1)));
        assert_eq!(window.record(TAG, Outcome::SUCCESS, START + 999), Some(counts(3, 1)));
        assert_eq!(window.record(TAG, Outcome::SUCCESS, START + 1_000), Some(counts(3, 0)));
        assert_eq!(window.counts(TAG, START + 1_499), counts(3, 0));
        assert_eq!(window.counts(TAG, START + 1_500), counts(2, 0));
        assert_eq!(window.counts(TAG, START + 5_000), counts(0, 0));
        assert_eq!(window.record(TAG, Outcome::FAILURE, START + 5_000), Some(counts(1, 1)));
    }

    #[test]
    fn a_report_that_is_a_window_late_does_not_count() {
        let window = TimeWindow::new(1_000, TAG);
        window.record(TAG, Outcome::SUCCESS, START + 100);
        assert_eq!(window.record(TAG, Outcome::FAILURE, START + 99), Some(counts(2, 1)));
        window.record(TAG, Outcome::SUCCESS, START + 1_150);
        assert_eq!(window.record(TAG, Outcome::FAILURE, START + 150), None);
    }

    #[test]
    fn a_full_count_stays_full() {
        let full = Count::new(TAG, 9, MOST);
        assert_eq!(full.raised(TAG, 9).map(Count::count), Some(MOST));
        assert_eq!(full.raised(TAG, 19).map(Count::count), Some(1));
    }

    #[test]
    fn an_emptied_window_counts_reports_of_its_new_tag_only() {
        let window = TimeWindow::new(1_000, TAG);
        window.record(TAG, Outcome::FAILURE, START);
        window.reset(Tag(4));
        assert_eq!(window.counts(Tag(4), START), counts(0, 0));
        assert_eq!(window.record(TAG, Outcome::FAILURE, START), None);
        assert_eq!(window.record(Tag(4), Outcome::FAILURE, START), Some(counts(1, 1)));
    }

    #[test]
    fn concurrent_reports_all_count() {
        let window = TimeWindow::new(1_000, TAG);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..5_000 {
                        let outcome = Outcome { failed: n % 2 == 0, slow: n % 4 == 0 };
                        window.record(TAG, outcome, START + n % 1_000).expect("current");
                    }
                });
            }
        });
        let expected = Counts { calls: 20_000, failures: 10_000, slow: 5_000 };
        assert_eq!(window.counts(TAG, START + 999), expected);
    }
}

/// Tried once: with load, compare, store in place of the update, the first model fails; with failures raised before
/// calls, the second; without the check of the tag, the third.
#[cfg(all(test, sluice_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    const TAG: Tag = Tag(1);

    #[test]
    fn a_new_slice_begins_once() {
        loom::model(|| {
            let window = Arc::new(TimeWindow::of_slices(2, 1_000, TAG));
            window.record(TAG, Outcome::FAILURE, 0);
            let reports: Vec<_> = (0..2)
                .map(|_| {
                    let window = Arc::clone(&window);
                    thread::spawn(move || window.record(TAG, Outcome::FAILURE, 1_000))
                })
                .collect();
            for report in reports {
                report.join().expect("no panic");
            }
            assert_eq!(window.counts(TAG, 1_000), Counts { calls: 2, failures: 2, slow: 0 });
        });
    }

    #[test]
    fn a_failure_is_never_seen_without_its_call() {
        loom::model(|| {
            let window = Arc::new(TimeWindow::of_slices(2, 1_000, TAG));
            let report = {
                let window = Arc::clone(&window);
                thread::spawn(move || window.record(TAG, Outcome::FAILURE, 0))
            };
            let reader = {
                let window = Arc::clone(&window);
                thread::spawn(move || window.counts(TAG, 0))
            };
            let counts = reader.join().expect("no panic");
            assert!(counts.failures <= counts.calls);
            assert_eq!(report.join().expect("no panic"), Some(Counts { calls: 1, failures: 1, slow: 0 }));
        });
    }

    #[test]
    fn a_report_from_before_a_reset_is_not_counted_after_it() {
        loom::model(|| {
            let window = Arc::new(TimeWindow::of_slices(2, 1_000, TAG));
            let late = {
                let window = Arc::clone(&window);
                thread::spawn(move || window.record(TAG, Outcome::FAILURE, 0))
            };
            let reset = {
                let window = Arc::clone(&window);
                thread::spawn(move || {
                    window.reset(Tag(2));
                    window.record(Tag(2), Outcome::SUCCESS, 0)
                })
            };
            late.join().expect("no panic");
            let counts = Counts { calls: 1, failures: 0, slow: 0 };
            assert_eq!(reset.join().expect("no panic"), Some(counts));
            assert_eq!(window.counts(Tag(2), 0), counts);
        });
    }
}
