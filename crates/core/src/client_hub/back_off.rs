//! The pause after a failed refresh. The stale value is served during it.

use crate::circuit_breaker::chance;
use crate::runtime::clock::MS;

const FIRST: u64 = 1_000 * MS;
const MOST: u64 = 30_000 * MS;

/// The share of a pause that jitter may remove, so that keys that failed together are not refreshed together.
const JITTER: f64 = 0.2;

/// The pause after the k-th failure in a row, counted from 0: `min(1 s · 2^k, 30 s) · (1 − 0.2 · U[0,1])`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BackOff {
    failures: u32,
    since: u64,
    wait: u64,
}

impl BackOff {
    /// The pause after one more failure.
    pub(super) fn after(previous: Option<Self>, now: u64) -> Self {
        Self::by_chance(previous, now, chance())
    }

    /// When the next refresh may begin.
    pub(super) fn until(self) -> u64 {
        self.since.saturating_add(self.wait)
    }

    pub(super) fn clock_was_set_back(&mut self, now: u64) {
        self.since = self.since.min(now);
    }

    fn by_chance(previous: Option<Self>, now: u64, chance: f64) -> Self {
        let failures = previous.map_or(1, |previous| previous.failures.saturating_add(1));
        // Beyond 30 doublings it is `MOST` in any case.
        let longest = (FIRST << (failures - 1).min(30)).min(MOST);
        let wait = longest - (longest as f64 * JITTER * chance) as u64;
        Self { failures, since: now, wait }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_from_one_second_to_thirty() {
        let mut last = None;
        let waits = [(); 8].map(|()| {
            let next = BackOff::by_chance(last, 5, 0.0);
            last = Some(next);
            (next.until() - 5) / FIRST
        });
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        let worn_out = BackOff { failures: u32::MAX, since: 0, wait: MOST };
        assert_eq!(BackOff::by_chance(Some(worn_out), 0, 0.0).until(), MOST);
    }

    #[test]
    fn jitter_removes_a_fifth_at_most() {
        let waits = [0.0, 0.5, 1.0].map(|chance| BackOff::by_chance(None, 0, chance).until() / MS);
        assert_eq!(waits, [1_000, 900, 800]);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_lengthen_the_pause() {
        let mut back_off = BackOff::by_chance(None, 10 * FIRST, 0.0);
        back_off.clock_was_set_back(FIRST);
        assert_eq!(back_off.until(), 2 * FIRST);
    }
}
