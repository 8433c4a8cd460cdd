//! What a closed circuit remembers of its calls.

use super::count_window::CountWindow;
use super::options::WindowOptions;
use super::rates::{Counts, Outcome};
use super::time_window::TimeWindow;
use crate::runtime::clock::MS;

/// For which time in the closed state a window counts: the end of that state's number. A report of an earlier
/// time carries another tag, and is not counted even when it comes between the emptying and the closing.
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

    /// Bytes beside the window itself.
    pub(super) fn bytes(options: WindowOptions) -> u64 {
        match options {
            WindowOptions::Calls(calls) => CountWindow::bytes(calls),
            WindowOptions::TimeMs(_) => TimeWindow::BYTES,
        }
    }

    /// Counts a call, and tells what the window holds right after it. `None` for a report of another time.
    pub(super) fn record(&self, tag: Tag, outcome: Outcome, now: u64) -> Option<Counts> {
        match self {
            Self::Calls(window) => window.record(tag, outcome),
            Self::Time(window) => window.record(tag, outcome, now),
        }
    }

    pub(super) fn counts(&self, tag: Tag, now: u64) -> Counts {
        match self {
            Self::Calls(window) => window.counts(),
            Self::Time(window) => window.counts(tag, now),
        }
    }

    /// Forgets everything, for a circuit that is to close under this tag. Under the circuit's lock.
    pub(super) fn reset(&self, tag: Tag) {
        match self {
            Self::Calls(window) => window.reset(tag),
            Self::Time(window) => window.reset(tag),
        }
    }
}
