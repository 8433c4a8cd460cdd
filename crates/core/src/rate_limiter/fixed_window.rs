//! A count per window, which starts with the key's first call.
//!
//! The word is `end : 62 - c | count : c`. `c` is the width of the limit at creation, at least 20. `end` is the end of the
//! window, in units of a sixteenth of a millisecond or coarser, rounded up, modulo its field. A running window differs
//! from an old one by the distance of its end from now, so no epoch is needed: an end is ahead if it is within the reach
//! of the longest window that the limiter has had. A key that returns just before the field wraps may once find an old
//! window running. The field wraps after a year for a limit of five million a day, after nine years for common limits.

use super::algorithm::LATE;
use crate::runtime::clock::MS;
use crate::{Error, Result};

/// The finest unit of time: 1/16 ms. Whole milliseconds are whole units, so windows end on them exactly.
const FINEST_UNIT: u64 = 62_500;

/// The coarsest unit is the finest, doubled so often.
const MOST_DOUBLINGS: u32 = 31;

/// Bits of the word. The table uses the other two.
const BITS: u32 = 62;
const LEAST_COUNT_BITS: u32 = 20;
/// Bits of the end, at least: a window then has at least 1000 units, and the field rarely wraps.
const LEAST_END_BITS: u32 = 30;

/// Units of a window, at least: 10 ms of the finest, otherwise enough for an end that is exact to 0.1 %.
const LEAST_UNITS_OF_FINEST: u64 = 160;
const LEAST_UNITS: u64 = 1_000;

/// Windows that a thread may be late: this many, or [`LATE`] where that is less. An end that seems to be that far ahead
/// still belongs to a running window.
const REACH: u64 = 1_024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FixedWindow {
    limit: u64,
    window: u64,
    layout: Layout,
    /// How many units ahead an end may be. It never shrinks, so the words of a longer window that this one replaces stay
    /// readable.
    reach: u64,
}

/// How the word is divided. Fixed at creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    count_bits: u32,
    /// How often the finest unit is doubled.
    doublings: u32,
}

/// A running window.
struct Running {
    /// The field of the word.
    end: u64,
    count: u64,
    /// Nanoseconds until its end, less what the end was rounded up by: a window that starts now has exactly its length
    /// left.
    left: u64,
}

impl Layout {
    fn new(limit: u64, window: u64) -> Self {
        let count_bits = LEAST_COUNT_BITS.max(u64::BITS - limit.leading_zeros());
        let end_bits = BITS.saturating_sub(count_bits);
        // The reach must fit in the half of the field that is ahead of now.
        let fits = |unit: u64| window.div_ceil(unit) < 1 << end_bits.saturating_sub(5);
        // Always found for a limit that `FixedWindow::new` accepts.
        let doublings = (0..MOST_DOUBLINGS).find(|doublings| fits(FINEST_UNIT << doublings));
        Self { count_bits, doublings: doublings.unwrap_or(MOST_DOUBLINGS) }
    }

    const fn unit(self) -> u64 {
        FINEST_UNIT << self.doublings
    }

    /// Whole units of a time. Two steps, so that the processor divides by a constant.
    #[inline]
    const fn units(self, time: u64) -> u64 {
        (time >> self.doublings) / FINEST_UNIT
    }

    /// A window that is too short would not end exact to 0.1 %; one that is too long would wrap the field.
    fn check_window(self, option: &str, window: u64) -> Result<()> {
        let units = if self.doublings == 0 { LEAST_UNITS_OF_FINEST } else { LEAST_UNITS };
        let (least, most) = (self.unit() * units, self.unit().saturating_mul(self.end_mask() / 4));
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
    /// `existing` is the window that it replaces, whose words it must read. `option` names the limit in errors.
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
        let reach = (reach.div_ceil(layout.unit()) + 1).min(layout.end_mask() / 2);
        let reach = existing.map_or(reach, |existing| existing.reach.max(reach));
        Ok(Self { limit, window, layout, reach })
    }

    pub(crate) const fn capacity(&self) -> u64 {
        self.limit
    }

    pub(crate) const fn window(&self) -> u64 {
        self.window
    }

    pub(super) const fn reach(&self) -> u64 {
        self.reach
    }

    /// The same window, which reads the words of one with that reach, too.
    pub(super) fn reaching(self, reach: u64) -> Self {
        let reach = self.reach.max(reach.min(self.layout.end_mask() / 2));
        Self { reach, ..self }
    }

    /// The word of a window that ends at `end`, rounded up to a unit.
    pub(crate) fn word_ending(&self, end: u64, count: u64) -> u64 {
        self.word(self.end_field(end), count.min((1 << self.layout.count_bits) - 1))
    }

    #[inline]
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
            // Nothing is used in this window: the next call starts another.
            _ => 0,
        }
    }

    /// `settles_at` is the end of the window that was charged. A count beyond the limit is kept: some calls have a limit of
    /// their own.
    pub(crate) fn undo(&self, state: u64, now: u64, cost: u64, settles_at: u64) -> u64 {
        match self.running(state, now) {
            Some(_) if now >= settles_at => state,
            Some(Running { end, count, .. }) if count > cost => self.word(end, count - cost),
            _ => 0,
        }
    }

    #[inline]
    pub(crate) fn remaining(&self, state: u64, now: u64) -> u64 {
        self.running(state, now).map_or(self.limit, |running| self.limit.saturating_sub(running.count))
    }

    #[inline]
    pub(crate) fn reset_after(&self, state: u64, now: u64) -> u64 {
        self.running(state, now).map_or(0, |running| running.left)
    }

    #[inline]
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

    #[inline]
    fn running(&self, state: u64, now: u64) -> Option<Running> {
        let Layout { count_bits, .. } = self.layout;
        let (end, count) = (state >> count_bits, state & ((1 << count_bits) - 1));
        let (unit, units) = (self.layout.unit(), self.layout.units(now));
        let ahead = end.wrapping_sub(units) & self.layout.end_mask();
        (count > 0 && (1..=self.reach).contains(&ahead)).then(|| Running {
            end,
            count,
            left: self.without_rounding(ahead * unit - (now - units * unit)),
        })
    }

    fn without_rounding(&self, left: u64) -> u64 {
        if (self.window..self.window + self.layout.unit()).contains(&left) { self.window } else { left }
    }

    fn end_of_new(&self, now: u64) -> u64 {
        self.end_field(now + self.window)
    }

    /// The field of an end, rounded up to a unit.
    fn end_field(&self, end: u64) -> u64 {
        let units = self.layout.units(end);
        (units + u64::from(units * self.layout.unit() < end)) & self.layout.end_mask()
    }

    fn word(&self, end: u64, count: u64) -> u64 {
        end << self.layout.count_bits | count
    }
}

#[cfg(test)]
mod tests;
