//! A count per window that starts at the client's first hit.
//!
//! The word is `end : 62 - c | count : c`. `c` is the width of the limit at creation and 20 at least; `end`
//! is the end of the window in units of a sixteenth of a millisecond or coarser, rounded up, modulo its
//! field. A window is told from an old one by its distance from now, so no epoch is needed: an end is
//! ahead if it lies within [`REACH`] of the longest window that the limiter has had. (A client that comes
//! back just before the field has gone round, which takes a year for a limit of five million a day and nine
//! years for common limits, may for once find an old window running.)

use super::algorithm::LATE;
use crate::runtime::clock::MS;
use crate::{Error, Result};

/// The finest unit of time: 1/16 ms. Whole milliseconds are whole units, and windows end on them exactly.
const FINEST_UNIT: u64 = 62_500;

/// Bits of the word; two are left for a table that wants to mark kinds of words.
const BITS: u32 = 62;
const LEAST_COUNT_BITS: u32 = 20;
/// The end needs this many: a window is then 1000 units at least, and the field goes round rarely.
const LEAST_END_BITS: u32 = 30;

/// A window has so many units at least: 10 ms of the finest, else enough for an end that is true to 0.1 %.
const LEAST_UNITS_OF_FINEST: u64 = 160;
const LEAST_UNITS: u64 = 1_000;

/// A thread may be so many windows late, or [`LATE`] where that is less: what then seems far ahead is still a
/// window that runs.
const REACH: u64 = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FixedWindow {
    limit: u64,
    window: u64,
    layout: Layout,
    /// How many units ahead an end may lie. It never shrinks: the words of a longer window that this one
    /// replaces stay readable.
    reach: u64,
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
    /// Nanoseconds until its end, without what the end was rounded up by: a window that begins now has its whole
    /// length left, and no more.
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

    /// What is too short would not end true to 0.1 %; what is too long would go round the field.
    fn check_window(self, option: &str, window: u64) -> Result<()> {
        let units = if self.unit == FINEST_UNIT { LEAST_UNITS_OF_FINEST } else { LEAST_UNITS };
        let (least, most) = (self.unit * units, self.unit.saturating_mul(self.end_mask() / 4));
        let accepted = if window < least {
            format!("a window of at least {} ms", least.div_ceil(MS))
        } else if window > most {
            format!("a window of at most {} ms", most / MS)
        } else {
            return Ok(());
        };
        let given = format!("{} ms", window / MS);
        Err(Error::invalid_option(&format!("{option}, window"), given, accepted))
    }

    fn end_mask(self) -> u64 {
        (1 << (BITS - self.count_bits)) - 1
    }
}

impl FixedWindow {
    /// `existing` is the one it replaces, whose words it reads. `option` names the limit in errors.
    pub(crate) fn new(option: &str, limit: u64, window: u64, existing: Option<&Self>) -> Result<Self> {
        let layout = existing.map_or_else(|| Layout::new(limit, window), |existing| existing.layout);
        let most = (1 << layout.count_bits) - 1;
        if limit > most || layout.count_bits > BITS - LEAST_END_BITS {
            let most = most.min((1 << (BITS - LEAST_END_BITS)) - 1);
            let accepted = format!("at most {most} for a fixed window of this limiter");
            return Err(Error::invalid_option(option, limit, accepted));
        }
        layout.check_window(option, window)?;
        let reach = window + window.saturating_mul(REACH).min(LATE);
        let reach = (reach.div_ceil(layout.unit) + 1).min(layout.end_mask() / 2);
        let reach = existing.map_or(reach, |existing| existing.reach.max(reach));
        Ok(Self { limit, window, layout, reach })
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

    /// `settles_at` is the end of the window that was charged. What it counts beyond the limit stays counted:
    /// some calls have a limit of their own.
    pub(crate) fn undo(&self, state: u64, now: u64, cost: u64, settles_at: u64) -> u64 {
        match self.running(state, now) {
            Some(_) if now >= settles_at => state,
            Some(Running { end, count, .. }) if count > cost => self.word(end, count - cost),
            _ => 0,
        }
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
        let ahead = end.wrapping_sub(now / unit) & self.layout.end_mask();
        (count > 0 && (1..=self.reach).contains(&ahead)).then(|| Running {
            end,
            count,
            left: self.without_rounding(ahead * unit - now % unit),
        })
    }

    fn without_rounding(&self, left: u64) -> u64 {
        if (self.window..self.window + self.layout.unit).contains(&left) { self.window } else { left }
    }

    fn end_of_new(&self, now: u64) -> u64 {
        (now + self.window).div_ceil(self.layout.unit) & self.layout.end_mask()
    }

    fn word(&self, end: u64, count: u64) -> u64 {
        end << self.layout.count_bits | count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn is_never_reported_as_longer_than_it_is() {
        let minute = window(2, 60_000);
        for nanos in [0, 1, FINEST_UNIT - 1, FINEST_UNIT + 1, MS - 1] {
            let start = 1_800_000_000_123 * MS + nanos;
            let one = minute.decide(0, start, 2).expect("first");
            assert_eq!(minute.reset_after(one, start), 60_000 * MS);
            assert_eq!(minute.decide(one, start, 1), Err(60_000 * MS));
            assert!(minute.decide(one, start + 60_000 * MS - 1, 1).is_err(), "nor is it shorter");
        }
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

    /// Its end is as far behind as it seems ahead.
    #[test]
    fn a_client_that_was_long_away_finds_no_old_window() {
        let day = 86_400_000;
        let daily = window(5_000_000, day);
        let spent = daily.decide(0, 0, 5_000_000).expect("first");
        for days in 1..390 {
            assert_eq!(daily.remaining(spent, days * day * MS), 5_000_000, "after {days} days");
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
        let minute = FixedWindow::new("limit", 5, 60_000 * MS, Some(&hour)).expect("valid");
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
        let century = 36_525 * 86_400_000 * MS;
        assert!(FixedWindow::new("limit", (1 << 32) - 1, century, None).is_ok());
        assert!(FixedWindow::new("limit", 1, 9 * MS, None).is_err());
        let created = window(100, 1_000);
        assert!(
            FixedWindow::new("limit", 1 << 21, 1_000 * MS, Some(&created)).is_err(),
            "the cell is narrower"
        );
    }

    /// What a thousand windows of its own do not span is still read, and cut.
    #[test]
    fn adopts_what_a_much_longer_window_has_left() {
        let month = window(5, 30 * 86_400_000);
        let used = month.decide(0, 0, 5).expect("first");
        let second = FixedWindow::new("limit", 5, 1_000 * MS, Some(&month)).expect("valid");
        let adopted = second.adopt(used, 400 * MS);
        assert_eq!(second.decide(adopted, 400 * MS, 1), Err(1_000 * MS));
        assert_eq!(second.remaining(adopted, 1_400 * MS), 5);
        // Before the cut it is refused, not forgotten.
        assert!(second.decide(used, 400 * MS, 1).is_err());
    }

    #[test]
    fn no_window_is_replaced_by_one_that_its_word_cannot_hold() {
        let wide = window(1 << 31, 1_000);
        let hour = FixedWindow::new("limit", 1, 3_600_000 * MS, Some(&wide)).expect("fits");
        assert_eq!(hour.decide(hour.decide(0, 0, 1).expect("first"), 0, 1), Err(3_600_000 * MS));
        let error = FixedWindow::new("limit", 1, 86_400_000 * MS, Some(&wide)).expect_err("too long");
        assert!(
            error.to_string().contains("window is 86400000 ms; accepted: a window of at most"),
            "{error}"
        );
        let coarse = window((1 << 32) - 1, 30 * 86_400_000);
        assert!(FixedWindow::new("limit", 1, 60_000 * MS, Some(&coarse)).is_err(), "500 units are too few");
        assert!(FixedWindow::new("limit", 1, 600_000 * MS, Some(&coarse)).is_ok());
    }
}
