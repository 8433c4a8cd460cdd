//! The clock of shared state: the system's monotonic one, from an origin that all processes read in the file. So windows
//! align for all of them, to UTC at the time of creation.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::system;

/// In the year 2079: the words of keys hold no time that is much later.
const LATEST: u64 = (3 << 60) - 1;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: u64,
    ahead: i64,
}

impl Clock {
    /// The origin for a file that is made now.
    pub(crate) fn new_origin() -> u64 {
        let date = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let date = u64::try_from(date.as_nanos()).unwrap_or(u64::MAX / 2);
        date.saturating_sub(system::monotonic(system::clock_ahead()))
    }

    pub(crate) fn of_origin(origin: u64) -> Self {
        Self { origin, ahead: system::clock_ahead() }
    }

    /// Nanoseconds since 1970, by the date at which the file was made.
    #[inline]
    pub(crate) fn now(self) -> u64 {
        self.origin.saturating_add(system::monotonic(self.ahead)).min(LATEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_at_the_date_and_goes_on() {
        let clock = Clock::of_origin(Clock::new_origin());
        let (first, date) = (clock.now(), SystemTime::now().duration_since(UNIX_EPOCH).expect("a date"));
        assert!(u128::from(first).abs_diff(date.as_nanos()) < 10_000_000_000);
        assert!(clock.now() >= first);
    }

    #[test]
    fn any_origin_gives_a_time() {
        assert_eq!(Clock::of_origin(u64::MAX).now(), LATEST);
    }
}
