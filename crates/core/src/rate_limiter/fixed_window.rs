//! A count per window that starts at the client's first hit.
//!
//! The word is `end : 62 - c | count : c`. `c` is the width of the limit at creation and 20 at least; `end`
//! is the end of the window in units of a sixteenth of a millisecond or coarser, rounded up, modulo its
//! field. A window is told from an old one by its distance from now, so no epoch is needed: an end is
//! ahead if it lies within [`REACH`] windows ahead. (A client that comes back after the field went round,
//! which takes years for common limits, may for once find an old window running.)

use crate::{Error, Result};

/// The finest unit of time: 1/16 ms. Whole milliseconds are whole units, and windows end on them exactly.
const FINEST_UNIT: u64 = 62_500;

/// Bits of the word; two are left for a table that wants to mark kinds of words.
const BITS: u32 = 62;
const LEAST_COUNT_BITS: u32 = 20;
/// The end needs this many: a window is then 1000 units at least, and the field goes round rarely.
const LEAST_END_BITS: u32 = 30;

/// A thread may be so many windows late: what then seems far ahead is still a window that runs.
const REACH: u64 = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FixedWindow {
    limit: u64,
    window: u64,
    layout: Layout,
}

/// How the word is divided; fixed at creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    count_bits: u32,
    unit: u64,
}

/// A window that runs.
struct Running {
    /// The field of the word.
    end: u64,
    count: u64,
    /// Nanoseconds until its end.
    left: u64,
}

impl Layout {
    fn new(limit: u64, window: u64) -> Self {
        let count_bits = LEAST_COUNT_BITS.max(u64::BITS - limit.leading_zeros());
        let end_bits = BITS.saturating_sub(count_bits);
        // The reach lies in the half of the field that is ahead.
        let fits = |unit: u64| window.div_ceil(unit) < 1 << end_bits.saturating_sub(5);
        let unit = (0..32).map(|doublings| FINEST_UNIT << doublings).find(|unit| fits(*unit));
        Self { count_bits, unit: unit.unwrap_or(u64::MAX) }
    }
}

impl FixedWindow {
    /// `layout` is that of creation, where the limit is changed later. `option` names the limit in errors.
    pub(crate) fn new(option: &str, limit: u64, window: u64, layout: Option<Layout>) -> Result<Self> {
        let layout = layout.unwrap_or_else(|| Layout::new(limit, window));
        let most = (1 << layout.count_bits) - 1;
        if limit > most || layout.count_bits > BITS - LEAST_END_BITS {
            let most = most.min((1 << (BITS - LEAST_END_BITS)) - 1);
            let accepted = format!("at most {most} for a fixed window of this limiter");
            return Err(Error::invalid_option(option, limit, accepted));
        }
        if window < layout.unit * 160 {
            let accepted = format!("a window of at least {} ms", (layout.unit * 160).div_ceil(1_000_000));
            return Err(Error::invalid_option(
                &format!("{option}, window"),
                format!("{} ms", window / 1_000_000),
                accepted,
            ));
        }
        Ok(Self { limit, window, layout })
    }

    pub(crate) const fn layout(&self) -> Layout {
        self.layout
    }

    pub(crate) const fn capacity(&self) -> u64 {
        self.limit
    }

    pub(crate) fn decide(&self, state: u64, now: u64, cost: u64) -> std::result::Result<u64, u64> {
        match self.running(state, now) {
            None => Ok(self.word(self.end_of_new(now), cost)),
            Some(Running { end, count, .. }) if count + cost <= self.limit => {
                Ok(self.word(end, count + cost))
            }
            Some(Running { left, .. }) => Err(left),
        }
    }

    pub(crate) fn penalize(&self, state: u64, now: u64, cost: u64) -> u64 {
        match self.running(state, now) {
            None => self.word(self.end_of_new(now), cost),
            Some(Running { end, count, .. }) => self.word(end, (count + cost).min(self.limit).max(count)),
        }
    }

    pub(crate) fn refund(&self, state: u64, now: u64, cost: u64) -> u64 {
        match self.running(state, now) {
            Some(Running { end, count, .. }) if count.min(self.limit) > cost => {
                self.word(end, count.min(self.limit) - cost)
            }
            // Nothing was used in this window: the next hit starts another.
            _ => 0,
        }
    }

    /// `settles_at` is the end of the window that was charged.
    pub(crate) fn undo(&self, state: u64, now: u64, cost: u64, settles_at: u64) -> u64 {
        if now < settles_at { self.refund(state, now, cost) } else { state }
    }

    pub(crate) fn remaining(&self, state: u64, now: u64) -> u64 {
        self.running(state, now).map_or(self.limit, |running| self.limit.saturating_sub(running.count))
    }

    pub(crate) fn reset_after(&self, state: u64, now: u64) -> u64 {
        self.running(state, now).map_or(0, |running| running.left)
    }

    pub(crate) fn until_more(&self, state: u64, now: u64) -> u64 {
        self.reset_after(state, now)
    }

    /// A window that another length has left, cut to end no later than one that starts now.
    pub(crate) fn adopt(&self, state: u64, now: u64) -> u64 {
        match self.running(state, now) {
            Some(Running { left, count, .. }) if left > self.window => self.word(self.end_of_new(now), count),
            _ => state,
        }
    }

    fn running(&self, state: u64, now: u64) -> Option<Running> {
        let Layout { count_bits, unit } = self.layout;
        let (end, count) = (state >> count_bits, state & ((1 << count_bits) - 1));
        let ahead = end.wrapping_sub(now / unit) & self.end_mask();
        let reach = (self.window.div_ceil(unit) + 1).saturating_mul(REACH).min(self.end_mask() / 2);
        (count > 0 && (1..=reach).contains(&ahead)).then(|| Running {
            end,
            count,
            left: ahead * unit - now % unit,
        })
    }

    fn end_of_new(&self, now: u64) -> u64 {
        (now + self.window).div_ceil(self.layout.unit) & self.end_mask()
    }

    fn end_mask(&self) -> u64 {
        (1 << (BITS - self.layout.count_bits)) - 1
    }

    fn word(&self, end: u64, count: u64) -> u64 {
        end << self.layout.count_bits | count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn window(limit: u64, window_ms: u64) -> FixedWindow {
        FixedWindow::new("limit", limit, window_ms * MS, None).expect("valid")
    }

    #[test]
    fn starts_at_the_first_hit_and_ends_to_the_millisecond() {
        let minute = window(2, 60_000);
        let start = 1_800_000_000_123 * MS;
        let one = minute.decide(0, start, 1).expect("first");
        let two = minute.decide(one, start + 59_000 * MS, 1).expect("second");
        assert_eq!(minute.decide(two, start + 59_999 * MS, 1), Err(MS));
        assert_eq!(minute.remaining(two, start + 60_000 * MS), 2);
        let next = minute.decide(two, start + 60_000 * MS, 2).expect("a new window");
        assert_eq!(minute.decide(next, start + 119_999 * MS, 1), Err(MS));
    }

    #[test]
    fn a_thread_that_is_late_does_not_start_the_window_anew() {
        let short = window(1, 10);
        let one = short.decide(0, 5_000 * MS, 1).expect("first");
        // It read its clock a hundred windows before.
        assert_eq!(short.decide(one, 4_000 * MS, 1), Err(1_010 * MS));
    }

    #[test]
    fn an_old_word_is_as_good_as_none() {
        let minute = window(1, 60_000);
        let one = minute.decide(0, 77 * MS, 1).expect("first");
        for later in [60_077, 3_600_000, 30 * 86_400_000, 365 * 86_400_000] {
            assert_eq!(minute.reset_after(one, later * MS), 0);
        }
    }

    #[test]
    fn giving_everything_back_forgets_the_window() {
        let minute = window(3, 60_000);
        let two = minute.decide(0, 0, 2).expect("first");
        assert_eq!(minute.refund(two, 10 * MS, 2), 0);
        assert_eq!(minute.remaining(minute.refund(two, 10 * MS, 1), 10 * MS), 2);
        assert_eq!(minute.refund(0, 0, 1), 0);
    }

    #[test]
    fn adopts_no_window_longer_than_its_own() {
        let hour = window(5, 3_600_000);
        let used = hour.decide(0, 0, 5).expect("first");
        let minute = FixedWindow::new("limit", 5, 60_000 * MS, Some(hour.layout())).expect("valid");
        let adopted = minute.adopt(used, 1_000 * MS);
        assert_eq!(minute.decide(adopted, 1_000 * MS, 1), Err(60_000 * MS));
        assert_eq!(minute.adopt(adopted, 2_000 * MS), adopted);
    }

    #[test]
    fn takes_limits_of_32_bits_and_no_wider() {
        let month = 30 * 86_400_000 * MS;
        assert!(FixedWindow::new("limit", (1 << 32) - 1, month, None).is_ok());
        let error = FixedWindow::new("limit", 1 << 32, month, None).expect_err("too wide");
        assert!(error.to_string().contains("limit is 4294967296; accepted: at most 4294967295"), "{error}");
        assert!(FixedWindow::new("limit", 1, 10 * MS, None).is_ok());
        assert!(FixedWindow::new("limit", 1, 9 * MS, None).is_err());
        let created = window(100, 1_000);
        assert!(
            FixedWindow::new("limit", 1 << 21, 1_000 * MS, Some(created.layout())).is_err(),
            "the cell is narrower"
        );
    }
}
