//! The last calls, exactly so many, counted without a lock.

use super::rates::{Counts, Outcome};
use super::window::Tag;
use crate::runtime::sync::{AtomicU64, Ordering};

/// Outcomes in one word.
const BLOCK: u64 = 16;

/// A ring of the outcomes of the last `calls` calls.
///
/// The ring is cut into blocks of one word each. A block holds its outcomes, how many of them were written
/// in this lap, and which lap that is; the places behind those are still of the lap before. One
/// compare-and-swap of the current block writes an outcome over the one that leaves the window. The other
/// blocks do not change before the current one is full: so what they were between its load and a successful
/// swap is what they are at the swap, and the counts that `record` returns are those of the window at one
/// moment. Reports of any number of threads have the same results as the same reports one after the other.
#[derive(Debug)]
pub(super) struct CountWindow {
    calls: u64,
    cursor: AtomicU64,
    blocks: Box<[AtomicU64]>,
}

impl CountWindow {
    /// Bytes of the ring of so many calls.
    pub(super) fn bytes(calls: u64) -> u64 {
        calls.div_ceil(BLOCK) * size_of::<AtomicU64>() as u64
    }

    pub(super) fn new(calls: u64, tag: Tag) -> Self {
        let blocks = (0..calls.div_ceil(BLOCK)).map(|_| AtomicU64::new(Block::empty(tag).0));
        Self { calls, cursor: AtomicU64::new(Cursor::new(tag, 0).0), blocks: blocks.collect() }
    }

    /// Writes an outcome; the counts of the window right after it. `None`, and nothing is written, when the
    /// window was emptied under another tag.
    pub(super) fn record(&self, tag: Tag, outcome: Outcome) -> Option<Counts> {
        loop {
            // Acquire, here and below: pairs with the swap of a block and of the cursor, so that who sees the
            // ring at one block sees all blocks before it full.
            let cursor = Cursor(self.cursor.load(Ordering::Acquire));
            if cursor.tag() != tag {
                return None;
            }
            let (index, lap) = self.place(cursor);
            let block = Block(self.blocks[index].load(Ordering::Acquire));
            if block.tag() != tag {
                return None;
            }
            let length = self.length(index);
            match block.stage(lap, length) {
                Stage::Full => self.advance(cursor),
                // The cursor has moved on since it was read.
                Stage::Later => {}
                Stage::Current => {
                    let next = block.with(outcome, lap);
                    let mut counts = self.count_except(index);
                    counts += next.counts(length);
                    let (current, new) = (block.0, next.0);
                    let swapped = self.blocks[index].compare_exchange_weak(
                        current,
                        new,
                        Ordering::AcqRel,
                        Ordering::Relaxed,
                    );
                    if swapped.is_ok() {
                        return Some(counts);
                    }
                }
            }
        }
    }

    /// What is in the window; while calls are reported, the blocks may be of different moments.
    pub(super) fn counts(&self) -> Counts {
        self.count_except(usize::MAX)
    }

    /// Empties it; reports under other tags find no way in. One caller at a time.
    pub(super) fn reset(&self, tag: Tag) {
        // Swaps: they come after the last report of before, or that finds the new tag.
        for block in &self.blocks {
            block.swap(Block::empty(tag).0, Ordering::AcqRel);
        }
        self.cursor.swap(Cursor::new(tag, 0).0, Ordering::AcqRel);
    }

    /// The block that is written to, and its lap.
    fn place(&self, cursor: Cursor) -> (usize, u64) {
        let blocks = self.blocks.len() as u64;
        ((cursor.block() % blocks) as usize, cursor.block() / blocks)
    }

    fn advance(&self, cursor: Cursor) {
        let next = Cursor::new(cursor.tag(), cursor.block() + 1);
        // Whoever comes first moves it; it is moved once.
        let _ = self.cursor.compare_exchange(cursor.0, next.0, Ordering::AcqRel, Ordering::Relaxed);
    }

    /// Outcomes in a block: the last one holds what is left.
    fn length(&self, index: usize) -> u64 {
        BLOCK.min(self.calls - index as u64 * BLOCK)
    }

    fn count_except(&self, skipped: usize) -> Counts {
        let mut counts = Counts::default();
        for (index, block) in self.blocks.iter().enumerate() {
            if index != skipped {
                counts += Block(block.load(Ordering::Acquire)).counts(self.length(index));
            }
        }
        counts
    }
}

/// Where the ring is written: `tag` in 16 bits, the number of blocks that are full in 48.
#[derive(Clone, Copy)]
struct Cursor(u64);

impl Cursor {
    const fn new(tag: Tag, block: u64) -> Self {
        Self((tag.0 as u64) << 48 | block & ((1 << 48) - 1))
    }

    const fn tag(self) -> Tag {
        Tag((self.0 >> 48) as u16)
    }

    const fn block(self) -> u64 {
        self.0 & ((1 << 48) - 1)
    }
}

/// Outcomes of one block: which failed (16 bits), which were slow (16), how many are of this lap (5), whether
/// there was a lap before (1), the lap (10) and the tag (16).
///
/// Laps come round after 1024: a report would have to stand still between its load and its swap while exactly
/// so many windows pass to swap a block of another lap, and then it only judged by counts of that moment.
#[derive(Clone, Copy)]
struct Block(u64);

/// How a block stands to the lap in which it is to be written.
enum Stage {
    Current,
    Full,
    Later,
}

const SLOW_AT: u64 = 16;
const FILLED_AT: u64 = 32;
const LAPPED_AT: u64 = 37;
const LAP_AT: u64 = 38;
const TAG_AT: u64 = 48;
const LAPS: u64 = 1 << 10;

impl Block {
    const fn empty(tag: Tag) -> Self {
        Self((tag.0 as u64) << TAG_AT)
    }

    const fn tag(self) -> Tag {
        Tag((self.0 >> TAG_AT) as u16)
    }

    const fn filled(self) -> u64 {
        self.0 >> FILLED_AT & 0x1f
    }

    const fn lapped(self) -> bool {
        self.0 >> LAPPED_AT & 1 == 1
    }

    const fn lap(self) -> u64 {
        self.0 >> LAP_AT & (LAPS - 1)
    }

    fn stage(self, lap: u64, length: u64) -> Stage {
        let (this, last) = (lap % LAPS, lap.wrapping_sub(1) % LAPS);
        if self.filled() == 0 {
            // Never written: only the first lap finds it so.
            return if lap == 0 { Stage::Current } else { Stage::Later };
        }
        match self.lap() {
            found if found == this && self.filled() < length => Stage::Current,
            found if found == this => Stage::Full,
            found if found == last => Stage::Current,
            _ => Stage::Later,
        }
    }

    /// With one more outcome of this lap, which is `Current`.
    fn with(self, outcome: Outcome, lap: u64) -> Self {
        let begins = self.filled() == 0 || self.lap() != lap % LAPS;
        let place = if begins { 0 } else { self.filled() };
        let outcomes = self.0 & !(1 << place) & !(1 << (SLOW_AT + place)) & ((1 << FILLED_AT) - 1);
        Self(
            outcomes
                | u64::from(outcome.failed) << place
                | u64::from(outcome.slow) << (SLOW_AT + place)
                | (place + 1) << FILLED_AT
                | u64::from(lap > 0) << LAPPED_AT
                | (lap % LAPS) << LAP_AT
                | u64::from(self.tag().0) << TAG_AT,
        )
    }

    fn counts(self, length: u64) -> Counts {
        let ones = |at: u64| u64::from((self.0 >> at & 0xffff).count_ones());
        Counts {
            calls: if self.lapped() { length } else { self.filled() },
            failures: ones(0),
            slow: ones(SLOW_AT),
        }
    }
}

#[cfg(all(test, not(sluice_loom)))]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    const TAG: Tag = Tag(7);

    fn outcome(n: u64) -> Outcome {
        Outcome { failed: n.is_multiple_of(3), slow: n.is_multiple_of(5) }
    }

    #[test]
    fn holds_the_last_calls_and_no_others() {
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
    fn an_emptied_window_takes_reports_of_its_new_tag_only() {
        let window = CountWindow::new(20, TAG);
        for n in 0..35 {
            window.record(TAG, outcome(n));
        }
        window.reset(Tag(8));
        assert_eq!(window.counts(), Counts::default());
        assert_eq!(window.record(TAG, Outcome::FAILURE), None);
        assert_eq!(window.record(Tag(8), Outcome::FAILURE), Some(Counts { calls: 1, failures: 1, slow: 0 }));
    }

    /// With the other blocks counted after the swap, not before it, this fails: two reports are told the same.
    #[test]
    fn reports_of_many_threads_have_an_order() {
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
}

/// Planted bugs, tried once: with load, compare, store in place of the swap of a block, all models fail; without
/// the look at a block's tag, the third.
#[cfg(all(test, sluice_loom))]
mod models {
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

    /// The window is full and its oldest call is its only failure. The second report, the first of another block,
    /// pushes that call out. The counts are those of two reports one after the other.
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
}
