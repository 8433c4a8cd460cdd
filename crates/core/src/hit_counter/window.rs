//! What a hit does to the count of its key: pure functions from word, time and hit to the next word.

use super::word::{CountWord, Running};

/// How long a window lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowLength {
    /// Milliseconds. Beyond [`MOST_MS`](Self::MOST_MS) it never ends.
    Ms(u64),
    /// It never ends.
    Forever,
}

impl WindowLength {
    /// The longest window that ends: 34 years.
    pub const MOST_MS: u64 = (1 << 28) * 4_096;

    /// Twice as long for each of `doublings`.
    fn doubled(self, doublings: u32) -> Self {
        match self {
            Self::Ms(ms) if doublings < u64::BITS => match u64::try_from(u128::from(ms) << doublings) {
                Ok(ms) if ms <= Self::MOST_MS => Self::Ms(ms),
                _ => Self::Forever,
            },
            Self::Ms(_) | Self::Forever => Self::Forever,
        }
    }
}

/// What one call counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// How many hits; may be negative.
    pub n: i64,
    /// The window that begins where none runs.
    pub window: WindowLength,
    /// Another window for counts above a limit.
    pub exceeding: Option<Exceeding>,
}

/// The window of a count above a limit, which begins in the same step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeding {
    /// The limit.
    pub above: i64,
    /// The window that begins with a hit that leaves the count above it.
    pub window: WindowLength,
    /// Begins only with the hit that crosses the limit.
    pub once: bool,
    /// Twice as long with each hit after the first above the limit.
    pub double: bool,
}

impl Exceeding {
    /// The window that begins with a hit that takes the count from `before` to `after`.
    fn begun_by(&self, before: i64, after: i64) -> Option<WindowLength> {
        if after <= self.above || (self.once && before > self.above) {
            return None;
        }
        let doublings = if self.double { after.saturating_sub(self.above) - 1 } else { 0 };
        Some(self.window.doubled(u32::try_from(doublings).unwrap_or(u32::MAX)))
    }
}

/// A key's count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hits {
    /// Hits in the window.
    pub count: i64,
    /// Until the window ends.
    pub left: WindowLength,
    /// Whether the window began with this call.
    pub first: bool,
}

impl Hits {
    /// The largest count that is told apart: 1 006 632 959. Larger ones stay at it.
    pub const MOST: i64 = Running::MOST;
    /// The smallest count: −67 108 863.
    pub const LEAST: i64 = Running::LEAST;

    fn of(running: Running, first: bool) -> Self {
        Self { count: running.count, left: running.left, first }
    }
}

/// The word after `hit`, and what it counts. `longest`: the longest window, in milliseconds, that any word may have.
pub(super) fn add(word: CountWord, hit: &Hit, now_ms: u64, longest: u64) -> (CountWord, Hits) {
    let (before, running, first) = match word.running(now_ms, longest) {
        Some(running) => (running.count, running.counting(hit.n), false),
        None => (0, Running::begin(hit.n, hit.window, now_ms), true),
    };
    let after = running.count;
    match hit.exceeding.and_then(|exceeding| exceeding.begun_by(before, after)) {
        Some(window) => {
            let begun = Running::begin(after, window, now_ms);
            (begun.word(), Hits::of(begun, true))
        }
        None => (running.word(), Hits::of(running, first)),
    }
}

/// The word of a window that begins now.
pub(super) fn begin(count: i64, window: WindowLength, now_ms: u64) -> CountWord {
    Running::begin(count, window, now_ms).word()
}

/// The word after taking `n` hits back, down to none; `None` where nothing changes. The window stays.
pub(super) fn take_back(word: CountWord, n: u64, now_ms: u64, longest: u64) -> Option<CountWord> {
    let running = word.running(now_ms, longest).filter(|running| running.count > 0)?;
    let n = i64::try_from(n).unwrap_or(i64::MAX).min(running.count);
    Some(running.counting(-n).word())
}

/// What is lost with a key that has `left` of a window of `length` to run, as a number that orders as the rate of its hits
/// does. One with more left counts as having just begun.
///
/// By the rate, a hit that an evicted key may repeat costs as many hits of other keys as the table holds keys, however they
/// are spread: by the time left, one hit each pushes out any key late in its window; by the count, two hits each push out
/// any key early in its window.
pub(super) fn loss(word: CountWord, left: u64, length: u64) -> u64 {
    let hits = word.count().unsigned_abs().max(1);
    let age = length.saturating_sub(left).max(1);
    // Floats of one sign order as their bits do.
    (hits as f64 / age as f64).to_bits()
}

/// The count now; `None` where no window runs.
pub(super) fn hits(word: CountWord, now_ms: u64, longest: u64) -> Option<Hits> {
    word.running(now_ms, longest).map(|running| Hits::of(running, false))
}
