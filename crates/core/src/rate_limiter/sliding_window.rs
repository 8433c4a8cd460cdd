//! Two counters, of this window and the one before, weighted by time.
//!
//! Windows are aligned to multiples of their length. The estimate is `prev * (1 - f) + curr`, where f is
//! the share of the current window that has passed (Cloudflare, "How we built rate limiting capable of
//! scaling to millions of domains", 2017): exact to that formula, approximate to a log of all calls.
//!
//! The word is `index : 62 - 2c | prev : c | curr : c`. `c` is the width of the limit at creation and 20 at
//! least; the index of the window is kept modulo its field. (A client that comes back after exactly 2^22
//! windows, where c is 20, may for once find an old count: after 48 days where a window is a second.)

use super::algorithm::LATE;
use crate::{Error, Result};

/// Bits of the word; two are left for a table that wants to mark kinds of words.
const BITS: u32 = 62;
const LEAST_COUNT_BITS: u32 = 20;
const MOST_COUNT_BITS: u32 = 23;

/// A thread may be so many windows late, or [`LATE`] where that is less, but always one: a count that then
/// seems to be of the future is of the present.
const REACH: u64 = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlidingWindow {
    limit: u64,
    window: u64,
    count_bits: u32,
}

/// A client at one moment.
#[derive(Clone, Copy)]
struct Counts {
    index: u64,
    prev: u64,
    curr: u64,
    /// Nanoseconds of the current window that have passed.
    elapsed: u64,
}

impl SlidingWindow {
    /// `count_bits` are those of creation, where the limit is changed later. `option` names the limit in errors.
    pub(crate) fn new(option: &str, limit: u64, window: u64, count_bits: Option<u32>) -> Result<Self> {
        let needed = LEAST_COUNT_BITS.max(u64::BITS - limit.leading_zeros());
        let count_bits = count_bits.unwrap_or(needed.min(MOST_COUNT_BITS));
        if needed > count_bits {
            let accepted =
                format!("at most {} for a sliding window of this limiter", (1_u64 << count_bits) - 1);
            return Err(Error::invalid_option(option, limit, accepted));
        }
        Ok(Self { limit, window, count_bits })
    }

    pub(crate) const fn count_bits(&self) -> u32 {
        self.count_bits
    }

    pub(crate) const fn window(&self) -> u64 {
        self.window
    }

    pub(crate) const fn capacity(&self) -> u64 {
        self.limit
    }

    pub(crate) fn decide(&self, state: u64, now: u64, cost: u64) -> std::result::Result<u64, u64> {
        let counts = self.counts(state, now);
        if self.has_room(counts, cost) {
            return Ok(self.word(Counts { curr: counts.curr + cost, ..counts }));
        }
        Err(self.late_by(counts, now) + self.wait_for(counts, cost))
    }

    pub(crate) fn penalize(&self, state: u64, now: u64, cost: u64) -> u64 {
        let counts = self.counts(state, now);
        let curr = counts.curr + cost.min(self.room(counts));
        self.word(Counts { curr, ..counts })
    }

    pub(crate) fn refund(&self, state: u64, now: u64, cost: u64) -> u64 {
        let counts = self.counts(state, now);
        // What was used last is given back first; what is older weighs less already.
        let curr = counts.curr.saturating_sub(cost);
        let prev = counts.prev.saturating_sub(cost - (counts.curr - curr));
        if curr == 0 && prev == 0 { 0 } else { self.word(Counts { prev, curr, ..counts }) }
    }

    /// Gives back to the window that was charged at `charged_at`.
    pub(crate) fn undo(&self, state: u64, now: u64, cost: u64, charged_at: u64) -> u64 {
        let counts = self.counts(state, now);
        let undone = match counts.index.wrapping_sub(charged_at / self.window) & self.index_mask() {
            0 => Counts { curr: counts.curr.saturating_sub(cost), ..counts },
            1 => Counts { prev: counts.prev.saturating_sub(cost), ..counts },
            _ => return state,
        };
        if undone.curr == 0 && undone.prev == 0 { 0 } else { self.word(undone) }
    }

    pub(crate) fn remaining(&self, state: u64, now: u64) -> u64 {
        self.room(self.counts(state, now))
    }

    pub(crate) fn reset_after(&self, state: u64, now: u64) -> u64 {
        let counts = self.counts(state, now);
        let left = self.window - counts.elapsed;
        match counts {
            Counts { curr: 0, prev: 0, .. } => 0,
            Counts { curr: 0, .. } => self.late_by(counts, now) + left,
            _ => self.late_by(counts, now) + left + self.window,
        }
    }

    pub(crate) fn until_more(&self, state: u64, now: u64) -> u64 {
        let counts = self.counts(state, now);
        match self.room(counts) {
            room if room >= self.limit => 0,
            room => self.late_by(counts, now) + self.wait_for(counts, room + 1),
        }
    }

    /// Whether `prev * (1 - f) + curr + cost <= limit`, in whole numbers.
    fn has_room(&self, counts: Counts, cost: u64) -> bool {
        let weighted = u128::from(counts.prev) * u128::from(self.window - counts.elapsed);
        let free = i128::from(self.limit) - i128::from(counts.curr) - i128::from(cost);
        free >= 0 && weighted <= free as u128 * u128::from(self.window)
    }

    /// The largest cost that has room.
    fn room(&self, counts: Counts) -> u64 {
        let weighted = u128::from(counts.prev) * u128::from(self.window - counts.elapsed);
        let used = counts.curr + weighted.div_ceil(u128::from(self.window)) as u64;
        self.limit.saturating_sub(used)
    }

    /// Nanoseconds until `cost` has room, which it has not now.
    fn wait_for(&self, counts: Counts, cost: u64) -> u64 {
        let left = self.window - counts.elapsed;
        match self.limit.checked_sub(counts.curr + cost) {
            // In this window already: when the one before weighs little enough.
            Some(free) if counts.prev > 0 => self.fades_to(counts.prev, free).saturating_sub(counts.elapsed),
            // In the next one, in which the current count is the previous.
            _ => left + self.fades_to(counts.curr, self.limit - cost),
        }
    }

    /// When, in a window, a previous count has faded to `most`: the least e with prev * (w - e) <= most * w.
    fn fades_to(&self, prev: u64, most: u64) -> u64 {
        if prev <= most {
            return 0;
        }
        let excess = u128::from(prev - most) * u128::from(self.window);
        excess.div_ceil(u128::from(prev)) as u64
    }

    fn counts(&self, state: u64, now: u64) -> Counts {
        let mask = (1 << self.count_bits) - 1;
        let (index, prev, curr) =
            (state >> (2 * self.count_bits), (state >> self.count_bits) & mask, state & mask);
        let (present, elapsed) = ((now / self.window) & self.index_mask(), now % self.window);
        match present.wrapping_sub(index) & self.index_mask() {
            0 => Counts { index, prev, curr, elapsed },
            1 => Counts { index: present, prev: curr, curr: 0, elapsed },
            // The thread is late: it decides as at the start of the window that the word is of.
            age if age > self.index_mask() - self.reach() && state != 0 => {
                Counts { index, prev, curr, elapsed: 0 }
            }
            _ => Counts { index: present, prev: 0, curr: 0, elapsed },
        }
    }

    /// Nanoseconds by which a late thread decides ahead of its clock.
    fn late_by(&self, counts: Counts, now: u64) -> u64 {
        let windows = counts.index.wrapping_sub(now / self.window) & self.index_mask();
        if windows == 0 { 0 } else { windows * self.window - now % self.window }
    }

    fn reach(&self) -> u64 {
        REACH.min(LATE / self.window).max(1)
    }

    fn index_mask(&self) -> u64 {
        (1 << (BITS - 2 * self.count_bits)) - 1
    }

    fn word(&self, Counts { index, prev, curr, .. }: Counts) -> u64 {
        (((index << self.count_bits) | prev) << self.count_bits) | curr
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn window(limit: u64, window_ms: u64) -> SlidingWindow {
        SlidingWindow::new("limit", limit, window_ms * MS, None).expect("valid")
    }

    /// The published example: 42 in the last minute, 18 in this one, a quarter of which has passed.
    #[test]
    fn weighs_the_previous_window_by_what_is_left_of_this_one() {
        let minute = window(50, 60_000);
        let mut state = minute.decide(0, 59_000 * MS, 42).expect("previous");
        state = minute.decide(state, 75_000 * MS, 18).expect("31.5 + 18 = 49.5");
        assert_eq!(minute.remaining(state, 75_000 * MS), 0);
        let wait = minute.decide(state, 75_000 * MS, 1).expect_err("50.5");
        assert!(minute.decide(state, 75_000 * MS + wait - 1, 1).is_err());
        assert!(minute.decide(state, 75_000 * MS + wait, 1).is_ok());
    }

    #[test]
    fn a_limit_of_one_is_admitted_again() {
        let second = window(1, 1_000);
        let one = second.decide(0, 250 * MS, 1).expect("first");
        let wait = second.decide(one, 250 * MS, 1).expect_err("used");
        assert_eq!(wait, 1_750 * MS, "until the count before has faded whole");
        assert!(second.decide(one, 2_000 * MS, 1).is_ok());
        assert_eq!(second.reset_after(one, 250 * MS), 1_750 * MS);
    }

    #[test]
    fn a_late_thread_finds_the_count_of_the_newer_window() {
        let second = window(2, 1_000);
        let state = second.decide(0, 5_000 * MS, 2).expect("window 5");
        let wait = second.decide(state, 4_999 * MS, 1).expect_err("it read its clock in window 4");
        assert_eq!(wait, MS + 1_500 * MS);
    }

    #[test]
    fn gives_back_the_newest_first() {
        let second = window(10, 1_000);
        let state =
            second.decide(0, 0, 4).and_then(|state| second.decide(state, 1_000 * MS, 3)).expect("room");
        assert_eq!(second.remaining(state, 1_000 * MS), 3);
        assert_eq!(second.remaining(second.refund(state, 1_000 * MS, 3), 1_000 * MS), 6);
        assert_eq!(second.remaining(second.refund(state, 1_000 * MS, 5), 1_000 * MS), 8);
        assert_eq!(second.refund(state, 1_000 * MS, 10), 0);
    }

    #[test]
    fn gives_back_to_the_window_that_was_charged() {
        let second = window(10, 1_000);
        let state =
            second.decide(0, 0, 4).and_then(|state| second.decide(state, 1_000 * MS, 3)).expect("room");
        let undone = second.undo(state, 1_000 * MS, 4, 0);
        assert_eq!(second.remaining(undone, 1_000 * MS), 7);
        assert_eq!(second.undo(state, 2_000 * MS, 4, 0), state, "it weighs nothing any more");
    }

    #[test]
    fn takes_limits_of_23_bits_and_no_wider() {
        assert!(SlidingWindow::new("limit", (1 << 23) - 1, MS, None).is_ok());
        let error = SlidingWindow::new("limit", 1 << 23, MS, None).expect_err("too wide");
        assert!(error.to_string().contains("accepted: at most 8388607"), "{error}");
        assert!(SlidingWindow::new("limit", 1 << 20, MS, Some(20)).is_err(), "the cell is narrower");
    }
}
