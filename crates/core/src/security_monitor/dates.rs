//! The dates of events, without a call of the system for each.

use crate::runtime::clock::{self, MS};

/// How long a date of the system is followed by the clock, in nanoseconds. Setting the system's date shows that much
/// later.
const FOLLOWED: u64 = MS;

/// The system's date at a time of the clock, of one thread.
#[derive(Debug, Default)]
pub(super) struct Dates {
    read_at: u64,
    /// Nanoseconds since 1970.
    date: u64,
}

impl Dates {
    /// The date in UTC milliseconds at `now`, the time of the clock.
    #[inline]
    pub(super) fn at(&mut self, now: u64) -> u64 {
        if clock::is_manual() {
            return now / MS;
        }
        let age = now.wrapping_sub(self.read_at);
        if age < FOLLOWED { (self.date + age) / MS } else { self.read(now) }
    }

    #[inline(never)]
    fn read(&mut self, now: u64) -> u64 {
        *self = Self { read_at: now, date: clock::system_time() };
        self.date / MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_goes_on_with_the_clock_until_it_is_read_again() {
        let _turn = clock::tests::TURN.lock();
        let now = clock::now();
        let mut dates = Dates { read_at: now, date: 1_500 * MS + 1 };
        assert_eq!([0, MS - 2, MS - 1].map(|age| dates.at(now + age)), [1_500, 1_500, 1_501]);
        for time in [now - 1, now + MS] {
            let mut dates = Dates { read_at: now, date: 1_500 * MS };
            let before = clock::system_time() / MS;
            let read = dates.at(time);
            assert!((before..=clock::system_time() / MS).contains(&read), "{read}");
            assert_eq!((dates.read_at, dates.date / MS), (time, read));
        }
    }
}
