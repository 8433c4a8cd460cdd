//! The window over which a closed circuit computes its rates.

use super::count_window::CountWindow;
use super::options::WindowOptions;
use super::rates::{Counts, Outcome};
use super::time_window::TimeWindow;
use crate::runtime::clock::MS;

/// The period in the closed state that a window counts for: the low bits of that state's number. A report of an earlier
/// period carries another tag. It is not counted even if it comes after the window was emptied and before the circuit
/// is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(pub(super) u16);

impl Tag {
    pub(super) const fn of(number: u64) -> Self {
        Self(number as u16)
    }
}

#[derive(Debug)]
pub(super) enum Window {
    Calls(CountWindow),
    Time(TimeWindow),
}

impl Window {
    pub(super) fn new(options: WindowOptions, tag: Tag) -> Self {
        match options {
            WindowOptions::Calls(calls) => Self::Calls(CountWindow::new(calls, tag)),
            WindowOptions::TimeMs(ms) => Self::Time(TimeWindow::new(ms * MS, tag)),
        }
    }

    /// Bytes allocated by the window.
    pub(super) fn bytes(options: WindowOptions) -> u64 {
        match options {
            WindowOptions::Calls(calls) => CountWindow::bytes(calls),
            WindowOptions::TimeMs(_) => TimeWindow::BYTES,
        }
    }

    /// Counts a call and returns the counts of the window right after it. `None` for a report of another period.
    pub(super) fn record(&self, tag: Tag, outcome: Outcome, now: u64) -> Option<Counts> {
        match self {
            Self::Calls(window) => window.record(tag, outcome),
            Self::Time(window) => window.record(tag, outcome, now),
        }
    }

    /// Prefetches what the report of a call reads.
    #[inline]
    pub(super) fn prefetch(&self) {
        match self {
            Self::Calls(window) => window.prefetch(),
            Self::Time(window) => window.prefetch(),
        }
    }

    pub(super) fn counts(&self, tag: Tag, now: u64) -> Counts {
        match self {
            Self::Calls(window) => window.counts(),
            Self::Time(window) => window.counts(tag, now),
        }
    }

    /// Empties the window of a circuit that is about to close under this tag. Under the circuit's lock.
    pub(super) fn reset(&self, tag: Tag) {
        match self {
            Self::Calls(window) => window.reset(tag),
            Self::Time(window) => window.reset(tag),
        }
    }
}
