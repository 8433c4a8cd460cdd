//! How long to wait between attempts to connect.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(20);
const LONGEST: Duration = Duration::from_secs(2);

/// The first attempt after a connection is immediate; then the waits double, each with a random part.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
}

impl BackOff {
    /// The server has answered.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// How long to wait before the next attempt. `random` is from 0 to 1: machines that lost a server together do not
    /// come back together.
    pub(crate) fn next(&mut self, random: f64) -> Duration {
        let attempt = self.failures;
        self.failures = self.failures.saturating_add(1);
        if attempt == 0 {
            return Duration::ZERO;
        }
        let doubled = FIRST.saturating_mul(1_u32.checked_shl(attempt - 1).unwrap_or(u32::MAX));
        doubled.min(LONGEST).mul_f64(0.5 + random / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_from_20_ms_to_2_s() {
        let mut back_off = BackOff::default();
        let waits: Vec<_> = (0..10).map(|_| back_off.next(1.0).as_millis()).collect();
        assert_eq!(waits, [0, 20, 40, 80, 160, 320, 640, 1_280, 2_000, 2_000]);
        assert_eq!(back_off.next(0.0).as_millis(), 1_000, "half of it is random");
        back_off.reset();
        assert_eq!(back_off.next(1.0), Duration::ZERO);
        for _ in 0..100 {
            assert!(back_off.next(0.5) <= LONGEST);
        }
    }
}
