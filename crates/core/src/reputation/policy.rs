//! How much a failure counts, when failures ban, and for how long. Pure arithmetic.

use super::FOREVER;
use crate::runtime::clock::MS;

/// Most moments kept of one client's failures, in one process.
pub(super) const MOST_MOMENTS: u64 = 1024;

/// When a client is banned, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Policy {
    /// How many failures ban.
    pub(super) max_failures: u64,
    /// How long a failure counts, in nanoseconds.
    pub(super) find_time: u64,
    pub(super) ban_time_ms: u64,
    pub(super) ban_factor: f64,
    pub(super) max_ban_time_ms: u64,
    /// The largest share of a ban that is taken off at random.
    pub(super) jitter: f64,
    /// Most moments kept of one client's failures. Where more failures are needed to ban, those closer together than this
    /// fraction of `findTime` are kept as one moment.
    pub(super) most_moments: u64,
}

impl Policy {
    /// How much one failure counts for a client with so many past bans: 1 without any, else
    /// `min(2^(bans - 1) + 1, maxFailures)`. The rule of fail2ban's observer.
    pub(super) fn counts_each(&self, bans: u32) -> u64 {
        match bans {
            0 => 1,
            _ => 1_u64.checked_shl(bans - 1).unwrap_or(u64::MAX).saturating_add(1).min(self.max_failures),
        }
    }

    /// How long the `n`-th ban lasts, in nanoseconds. `chance` is a random number from 0 to 1.
    pub(super) fn nth_ban(&self, n: u32, chance: f64) -> u64 {
        let exponent = i32::try_from(n.saturating_sub(1)).unwrap_or(i32::MAX);
        let escalated = self.ban_time_ms as f64 * self.ban_factor.powi(exponent);
        let longest = escalated.min(self.max_ban_time_ms as f64);
        nanos(longest * (1.0 - self.jitter * chance))
    }

    /// How long a client must be without failure after a ban of this length until one ban is forgotten.
    pub(super) fn quiet_period(&self, last_ban: u64) -> u64 {
        self.find_time.max(last_ban)
    }

    /// Failures no further apart than this are kept as one moment. 0: only failures at the same time are.
    pub(super) fn moment(&self) -> u64 {
        if self.max_failures <= self.most_moments { 0 } else { self.find_time / self.most_moments }
    }
}

/// Milliseconds in nanoseconds. Whole milliseconds are converted apart: a double holds a century in steps of 512 ns, which
/// reports would round up to another millisecond.
fn nanos(ms: f64) -> u64 {
    let whole = ms.floor();
    whole as u64 * MS + ((ms - whole) * MS as f64).round() as u64
}

/// The end of a ban that starts `now`; `None` is a permanent ban.
pub(super) fn end_of(duration: Option<u64>, now: u64) -> u64 {
    duration.map_or(FOREVER, |duration| now.saturating_add(duration).min(FOREVER - 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Policy = Policy {
        max_failures: 5,
        find_time: 600_000 * MS,
        ban_time_ms: 60_000,
        ban_factor: 2.0,
        max_ban_time_ms: 1_000_000,
        jitter: 0.0,
        most_moments: MOST_MOMENTS,
    };

    #[test]
    fn each_ban_is_longer_than_the_last_up_to_the_longest() {
        let of = |factor, n| Policy { ban_factor: factor, ..POLICY }.nth_ban(n, 0.5) / MS;
        for (factor, lengths) in [
            (2.0, [60_000, 120_000, 240_000, 480_000, 960_000, 1_000_000]),
            (1.0, [60_000; 6]),
            (1.5, [60_000, 90_000, 135_000, 202_500, 303_750, 455_625]),
            (1.1, [60_000, 66_000, 72_600, 79_860, 87_846, 96_630]),
            (100.0, [60_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000]),
        ] {
            assert_eq!([1, 2, 3, 4, 5, 6].map(|n| of(factor, n)), lengths, "factor {factor}");
        }
        assert_eq!(of(2.0, u32::MAX), 1_000_000);
        assert_eq!(of(1e300, u32::MAX), 1_000_000);
    }

    #[test]
    fn a_ban_is_exact_to_the_millisecond_for_a_century() {
        let century = 36_525 * 86_400_000;
        let policy = Policy { ban_time_ms: century, max_ban_time_ms: century, ..POLICY };
        assert_eq!(policy.nth_ban(3, 0.0), century * MS);
        assert_eq!(Policy { ban_factor: 1.1, ..POLICY }.nth_ban(3, 0.0), 72_600 * MS);
    }

    #[test]
    fn jitter_shortens_also_the_longest_ban_and_never_lengthens() {
        let policy = Policy { jitter: 0.25, ..POLICY };
        assert_eq!([0.0, 0.5, 1.0].map(|chance| policy.nth_ban(1, chance) / MS), [60_000, 52_500, 45_000]);
        assert_eq!([0.0, 1.0].map(|chance| policy.nth_ban(9, chance) / MS), [1_000_000, 750_000]);
    }

    #[test]
    fn a_failure_counts_more_after_earlier_bans() {
        assert_eq!([0, 1, 2, 3, 4, 64, u32::MAX].map(|bans| POLICY.counts_each(bans)), [1, 2, 3, 5, 5, 5, 5]);
        let patient = Policy { max_failures: 1_000_000, ..POLICY };
        assert_eq!([1, 2, 3, 11, 33].map(|bans| patient.counts_each(bans)), [2, 3, 5, 1_025, 1_000_000]);
        assert_eq!(Policy { max_failures: 1, ..POLICY }.counts_each(3), 1);
    }

    #[test]
    fn a_temporary_ban_is_never_permanent() {
        assert_eq!(end_of(Some(5), 10), 15);
        assert_eq!(end_of(Some(u64::MAX), 10), FOREVER - 1);
        assert_eq!(end_of(None, 10), FOREVER);
    }
}
