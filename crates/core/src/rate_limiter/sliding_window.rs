//! The counts of the current window and the one before, weighted by time.
//!
//! Windows are aligned to multiples of their length. The estimate is `prev * (1 - f) + curr`, where f is the elapsed
//! share of the current window (Cloudflare, "How we built rate limiting capable of scaling to millions of domains",
//! 2017): exact to that formula, approximate to a log of all calls.
//!
//! The word is `index : 62 - 2c | prev : c | curr : c`. `c` is the width of the limit at creation, at least 20. The index
//! of the window is kept modulo its field, so a key that returns after exactly 2^22 windows (where c is 20) may once find
//! an old count: after 48 days with windows of a second.

use super::algorithm::LATE;
use crate::{Error, Result};

/// Bits of the word. The table uses the other two.
const BITS: u32 = 62;
const LEAST_COUNT_BITS: u32 = 20;
const MOST_COUNT_BITS: u32 = 23;

/// Windows that a thread may be late: this many, or [`LATE`] where that is less, and always one. A count that seems to be
/// that far in the future belongs to the present.
const REACH: u64 = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlidingWindow {
    limit: u64,
    window: u64,
    count_bits: u32,
}

/// The counts of a key at one moment.
#[derive(Clone, Copy)]
struct Counts {
    index: u64,
    prev: u64,
    curr: u64,
    /// Nanoseconds of the current window that have passed.
    elapsed: u64,
}

impl SlidingWindow {
    /// `count_bits` is the width chosen at creation, where the limit is reconfigured. `option` names the limit in errors.
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

    #[inline]
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
        // The latest use is returned first: older use weighs less already.
        let curr = counts.curr.saturating_sub(cost);
        let prev = counts.prev.saturating_sub(cost - (counts.curr - curr));
        if curr == 0 && prev == 0 { 0 } else { self.word(Counts { prev, curr, ..counts }) }
    }

    /// Returns units to the window that was charged at `charged_at`.
    pub(crate) fn undo(&self, state: u64, now: u64, cost: u64, charged_at: u64) -> u64 {
        let counts = self.counts(state, now);
        let undone = match counts.index.wrapping_sub(charged_at / self.window) & self.index_mask() {
            0 => Counts { curr: counts.curr.saturating_sub(cost), ..counts },
            1 => Counts { prev: counts.prev.saturating_sub(cost), ..counts },
            _ => return state,
        };
        if undone.curr == 0 && undone.prev == 0 { 0 } else { self.word(undone) }
    }

    #[inline]
    pub(crate) fn remaining(&self, state: u64, now: u64) -> u64 {
        self.room(self.counts(state, now))
    }

    #[inline]
    pub(crate) fn reset_after(&self, state: u64, now: u64) -> u64 {
        let counts = self.counts(state, now);
        let left = self.window - counts.elapsed;
        match counts {
            Counts { curr: 0, prev: 0, .. } => 0,
            Counts { curr: 0, .. } => self.late_by(counts, now) + left,
            _ => self.late_by(counts, now) + left + self.window,
        }
    }

    #[inline]
    pub(crate) fn until_more(&self, state: u64, now: u64) -> u64 {
        let counts = self.counts(state, now);
        match self.room(counts) {
            room if room >= self.limit => 0,
            room => self.late_by(counts, now) + self.wait_for(counts, room + 1),
        }
    }

    /// Whether `prev * (1 - f) + curr + cost <= limit`, in whole numbers.
    #[inline]
    fn has_room(&self, counts: Counts, cost: u64) -> bool {
        let weighted = u128::from(counts.prev) * u128::from(self.window - counts.elapsed);
        let free = i128::from(self.limit) - i128::from(counts.curr) - i128::from(cost);
        free >= 0 && weighted <= free as u128 * u128::from(self.window)
    }

    /// The largest cost that has room.
    #[inline]
    fn room(&self, counts: Counts) -> u64 {
        let used = counts.curr + share(counts.prev, self.window - counts.elapsed, self.window);
        self.limit.saturating_sub(used)
    }

    /// Nanoseconds until `cost`, which has no room now, has room.
    #[inline]
    fn wait_for(&self, counts: Counts, cost: u64) -> u64 {
        let left = self.window - counts.elapsed;
        match self.limit.checked_sub(counts.curr + cost) {
            // In this window: once the one before weighs little enough.
            Some(free) if counts.prev > 0 => self.fades_to(counts.prev, free).saturating_sub(counts.elapsed),
            // In the next window, where the current count is the previous one.
            _ => left + self.fades_to(counts.curr, self.limit - cost),
        }
    }

    /// When in a window a previous count has faded to `most`: the least e with prev * (w - e) <= most * w.
    #[inline]
    fn fades_to(&self, prev: u64, most: u64) -> u64 {
        if prev <= most {
            return 0;
        }
        share(self.window, prev - most, prev)
    }

    #[inline]
    fn counts(&self, state: u64, now: u64) -> Counts {
        let mask = (1 << self.count_bits) - 1;
        let (index, prev, curr) =
            (state >> (2 * self.count_bits), (state >> self.count_bits) & mask, state & mask);
        let (present, elapsed) = ((now / self.window) & self.index_mask(), now % self.window);
        match present.wrapping_sub(index) & self.index_mask() {
            0 => Counts { index, prev, curr, elapsed },
            1 => Counts { index: present, prev: curr, curr: 0, elapsed },
            // The thread is late: it decides as at the start of the word's window.
            age if age > self.index_mask() - self.reach() && state != 0 => {
                Counts { index, prev, curr, elapsed: 0 }
            }
            _ => Counts { index: present, prev: 0, curr: 0, elapsed },
        }
    }

    /// Nanoseconds by which a late thread decides ahead of its clock.
    #[inline]
    fn late_by(&self, counts: Counts, now: u64) -> u64 {
        let windows = counts.index.wrapping_sub(now / self.window) & self.index_mask();
        if windows == 0 { 0 } else { windows * self.window - now % self.window }
    }

    fn reach(&self) -> u64 {
        REACH.min(LATE / self.window).max(1)
    }

    /// The word of these counts at `now`.
    pub(crate) fn word_at(&self, now: u64, previous: u64, current: u64) -> u64 {
        let most = (1 << self.count_bits) - 1;
        let (prev, curr) = (previous.min(most), current.min(most));
        let index = (now / self.window) & self.index_mask();
        if prev == 0 && curr == 0 { 0 } else { self.word(Counts { index, prev, curr, elapsed: 0 }) }
    }

    fn index_mask(&self) -> u64 {
        (1 << (BITS - 2 * self.count_bits)) - 1
    }

    fn word(&self, Counts { index, prev, curr, .. }: Counts) -> u64 {
        (((index << self.count_bits) | prev) << self.count_bits) | curr
    }
}

/// `whole * part / of`, rounded up. In 64 bits where they suffice: a division of 128 bits costs more than a call.
#[inline]
fn share(whole: u64, part: u64, of: u64) -> u64 {
    match whole.checked_mul(part) {
        Some(product) => product.div_ceil(of),
        None => (u128::from(whole) * u128::from(part)).div_ceil(u128::from(of)) as u64,
    }
}

#[cfg(test)]
mod tests;
