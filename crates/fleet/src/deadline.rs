//! When the server must not charge any more.
//!
//! A call that its caller no longer waits for must not be charged: it was answered otherwise. So each script call carries
//! a deadline in the server's clock. That clock is known from its replies: a reply says what it showed before the reply
//! arrived here, so the server is ahead of this process by at least the difference. The largest difference seen is the best.

use std::time::{Duration, Instant};

/// A clock that differs by more than this from what was known was set.
const SET: i64 = 1_000_000;

/// What is known of a server's clock; anew for each connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerClock {
    origin: Instant,
    /// Microseconds that the server's clock is ahead of `origin`, at least.
    ahead: Option<i64>,
}

impl ServerClock {
    pub(crate) fn new(origin: Instant) -> Self {
        Self { origin, ahead: None }
    }

    /// A reply that arrived at `received` shows the server's clock at `server_us`.
    pub(crate) fn saw(&mut self, server_us: u64, received: Instant) {
        let ahead = i64::try_from(server_us).unwrap_or(i64::MAX) - self.local_us(received);
        self.ahead = Some(match self.ahead {
            Some(known) if (known - ahead).abs() < SET => known.max(ahead),
            _ => ahead,
        });
    }

    /// A moment in the server's clock, never later than it is; 0, which is none, while nothing is known of the clock.
    pub(crate) fn deadline_us(&self, at: Instant) -> u64 {
        let ahead = self.ahead.unwrap_or(i64::MIN / 2);
        u64::try_from(self.local_us(at) + ahead).unwrap_or_default()
    }

    fn local_us(&self, at: Instant) -> i64 {
        let since = |time: Duration| i64::try_from(time.as_micros()).unwrap_or(i64::MAX / 4);
        match at.checked_duration_since(self.origin) {
            Some(after) => since(after),
            None => -since(self.origin.duration_since(at)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Duration = Duration::from_micros(1);

    #[test]
    fn a_deadline_is_never_later_than_the_servers_clock_shows_then() {
        let origin = Instant::now();
        let server = |local: u32| 1_000_000_000 + u64::from(local);
        let mut clock = ServerClock::new(origin);
        assert_eq!(clock.deadline_us(origin), 0, "unknown");
        // The server read its clock at 100 and 5000; the replies took 400 and 30 us.
        clock.saw(server(100), origin + US * 500);
        assert_eq!(clock.deadline_us(origin + US * 1_000), server(1_000) - 400);
        clock.saw(server(5_000), origin + US * 5_030);
        assert_eq!(clock.deadline_us(origin + US * 6_000), server(6_000) - 30);
        clock.saw(server(7_000), origin + US * 7_900);
        assert_eq!(clock.deadline_us(origin + US * 8_000), server(8_000) - 30, "a slow reply says less");
    }

    #[test]
    fn follows_a_clock_that_is_set() {
        let origin = Instant::now();
        let mut clock = ServerClock::new(origin);
        clock.saw(5_000_000_000, origin);
        clock.saw(1_400_000_000, origin);
        assert_eq!(clock.deadline_us(origin), 1_400_000_000, "an hour back");
        clock.saw(5_000_000_000, origin);
        assert_eq!(clock.deadline_us(origin), 5_000_000_000, "and on");
    }
}
