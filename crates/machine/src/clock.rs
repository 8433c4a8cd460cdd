//! The clock of shared state. All processes read the same counter of the processor, by a rate that is in the file, so their
//! times are one; it costs no call of the system. Windows align for all of them, to UTC at the time of creation.
//!
//! The counter is used where the kernel takes its own time from it, having found it to be the same for all cores. Each look
//! at the other processes compares it with the system's clock. Where the two part, a word of the file (`ClockWord`) has all
//! processes go by the system's from then on, and the time does not go back.

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use sluice_core::machine::ClockWord;
use sluice_core::runtime::clock;
use sluice_core::runtime::counter::{IS_READ, Rate, ticks};

use crate::system;

/// In the year 2079: the words of keys hold no time that is much later.
const LATEST: u64 = (3 << 60) - 1;
/// By how much the clocks may part from one look to the next, in nanoseconds: what it takes to read both.
const PARTED: u64 = 1_000_000;
/// And one nanosecond in so many that have passed: the rate is measured, and the system's clock is steered.
const DRIFT: u64 = 1_000;
/// How often the kernel is asked whether it trusts the counter, in nanoseconds.
const ASKED_EVERY: u64 = 1_000_000_000;

/// The date, and both clocks, when the file was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Start {
    /// In nanoseconds since 1970.
    pub(crate) date: u64,
    /// The system's monotonic clock, in nanoseconds.
    pub(crate) system: u64,
    /// The counter of the processor.
    pub(crate) ticks: u64,
    /// Nanoseconds of 2^32 ticks; 0: the counter is not the clock.
    pub(crate) rate: u64,
}

impl Start {
    /// Of a file that is made now.
    pub(crate) fn now() -> Self {
        let rate = if system::trusts_counter() == Some(true) { clock::counter_rate() } else { None };
        let rate = rate.map_or(0, Rate::bits);
        let mut both = Both::read(system::clock_ahead());
        loop {
            let date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let date = u64::try_from(date.as_nanos()).unwrap_or(u64::MAX / 2);
            let after = Both::read(system::clock_ahead());
            // Where the thread rested in between, all are read again: windows are aligned by them.
            if after.system.saturating_sub(both.system) <= PARTED {
                return Self { date, system: both.system, ticks: both.ticks, rate };
            }
            both = after;
        }
    }

    pub(crate) const fn numbers(self) -> [u64; 4] {
        [self.date, self.system, self.ticks, self.rate]
    }

    pub(crate) const fn of_numbers([date, system, ticks, rate]: [u64; 4]) -> Self {
        Self { date, system, ticks, rate }
    }

    fn by_counter(self, ticks: u64) -> u64 {
        // The counter of one core may be a few ticks behind that of another.
        self.after(ticks.saturating_sub(self.ticks))
    }

    /// The time after so many ticks of the counter.
    #[inline]
    fn after(self, passed: u64) -> u64 {
        self.date.saturating_add(Rate::from_bits(self.rate).nanos(passed))
    }

    fn by_system(self, system: u64) -> u64 {
        self.date.saturating_add(system.saturating_sub(self.system))
    }
}

/// Both clocks at one moment.
#[derive(Clone, Copy)]
struct Both {
    system: u64,
    ticks: u64,
    /// Nanoseconds between two readings of the system's clock, before and after that of the counter.
    apart: u64,
}

impl Both {
    const CLOSE: u64 = 1_000;
    const ATTEMPTS: usize = 8;

    /// The thread may be suspended in between: the closest of some readings.
    fn read(ahead: i64) -> Self {
        let mut closest = Self::read_once(ahead);
        for _ in 1..Self::ATTEMPTS {
            if closest.apart <= Self::CLOSE {
                break;
            }
            let again = Self::read_once(ahead);
            closest = if again.apart < closest.apart { again } else { closest };
        }
        closest
    }

    fn read_once(ahead: i64) -> Self {
        let (system, ticks, after) = (system::monotonic(ahead), ticks(), system::monotonic(ahead));
        Self { system, ticks, apart: after.saturating_sub(system) }
    }
}

/// A comparison of the two clocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    /// The time by the system's clock.
    at: u64,
    /// By how many nanoseconds the counter's time is ahead of it.
    ahead: i64,
    /// When the kernel was asked last.
    asked_at: u64,
}

impl Look {
    fn of(start: Start, both: Both) -> Self {
        let at = start.by_system(both.system);
        let ahead = start.by_counter(both.ticks).cast_signed().wrapping_sub(at.cast_signed());
        Self { at, ahead, asked_at: 0 }
    }

    /// Whether the clocks have parted since the look before.
    fn has_parted_from(self, before: Self, apart: u64) -> bool {
        let passed = self.at.saturating_sub(before.at);
        self.ahead.abs_diff(before.ahead) > PARTED + passed / DRIFT + apart
    }
}

pub(crate) struct Clock {
    start: Start,
    /// By which clock all processes go.
    word: ClockWord,
    /// Nanoseconds that the system's clock of this namespace is ahead of the machine's.
    namespace: i64,
    last: Mutex<Look>,
}

impl Clock {
    pub(crate) fn new(start: Start, word: ClockWord) -> Self {
        let last = Look { at: start.date, ..Look::default() };
        let clock = Self { start, word, namespace: system::clock_ahead(), last: Mutex::new(last) };
        if !IS_READ && clock.goes_by_counter() {
            // Of a program for another processor, which this machine runs as well. Later than what the counter says there.
            let passed = system::monotonic(clock.namespace).saturating_sub(start.system);
            clock.word.leave_counter((PARTED + passed / DRIFT).cast_signed());
        }
        clock
    }

    /// Nanoseconds since 1970, by the date at which the file was made.
    #[inline]
    pub(crate) fn now(&self) -> u64 {
        let now = match self.word.ahead_of_system() {
            None if self.start.rate != 0 => self.by_counter(ticks()),
            ahead => self.by_system(ahead.unwrap_or(0)),
        };
        now.min(LATEST)
    }

    #[inline]
    fn by_counter(&self, ticks: u64) -> u64 {
        let passed = ticks.checked_sub(self.start.ticks);
        passed.map_or_else(|| self.before_start(), |passed| self.start.after(passed))
    }

    /// The counter was set back, and its time would stand still until it is where it was; or this core is a few ticks behind.
    #[cold]
    #[inline(never)]
    fn before_start(&self) -> u64 {
        self.check();
        self.word.ahead_of_system().map_or(self.start.date, |ahead| self.by_system(ahead))
    }

    #[cold]
    #[inline(never)]
    fn by_system(&self, ahead: i64) -> u64 {
        self.start.by_system(system::monotonic(self.namespace)).saturating_add_signed(ahead)
    }

    fn goes_by_counter(&self) -> bool {
        self.start.rate != 0 && self.word.ahead_of_system().is_none()
    }

    /// Compares the counter with the system's clock, where it is the clock. If it has left that, or the kernel does not trust
    /// it any more, all processes go by the system's from now on.
    pub(crate) fn check(&self) {
        if self.goes_by_counter() {
            self.compare(Both::read(self.namespace), system::trusts_counter);
        }
    }

    fn compare(&self, both: Both, trusts_counter: impl FnOnce() -> Option<bool>) {
        let mut last = self.last.lock();
        let look = Look { asked_at: last.asked_at, ..Look::of(self.start, both) };
        let is_to_ask = look.at.saturating_sub(look.asked_at) >= ASKED_EVERY;
        if look.has_parted_from(*last, both.apart) || (is_to_ask && trusts_counter() == Some(false)) {
            // Later than what the counter says now, and than what it said while it was right.
            return self.word.leave_counter(look.ahead.max(last.ahead));
        }
        *last = if is_to_ask { Look { asked_at: look.at, ..look } } else { look };
    }
}

#[cfg(test)]
mod tests;
