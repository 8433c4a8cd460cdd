//! The generic cell rate algorithm.
//!
//! The word is the theoretical arrival time (TAT): the time at which the key's bucket is full again.
//! Formulae: ITU-T I.371, in the form that Redis, governor and throttled use. `burst` cells of interval `T` are
//! tolerated ahead of time.

/// A rate, in the terms of the algorithm.
///
/// In any interval of length `w` it admits at most `burst + w / T` units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// `T`: nanoseconds between two units at the sustained rate.
    pub(crate) emission_interval: u64,
    /// Units that may arrive at once.
    pub(crate) burst: u64,
}

impl Gcra {
    pub(crate) const fn capacity(&self) -> u64 {
        self.burst
    }

    /// How far ahead of now a TAT may be: `burst * T`. Construction keeps it at most 2^60.
    pub(crate) const fn tolerance(&self) -> u64 {
        self.burst * self.emission_interval
    }

    /// `cost` is at most the burst.
    #[inline]
    pub(crate) fn decide(&self, tat: u64, now: u64, cost: u64) -> Result<u64, u64> {
        let next = tat.max(now) + cost * self.emission_interval;
        let latest = now + self.tolerance();
        if next > latest { Err(next - latest) } else { Ok(next) }
    }

    pub(crate) fn penalize(&self, tat: u64, now: u64, cost: u64) -> u64 {
        let next = (tat.max(now) + cost * self.emission_interval).min(now + self.tolerance());
        // A thread with an old clock must not lower what later threads have charged.
        next.max(tat)
    }

    pub(crate) fn refund(&self, tat: u64, now: u64, cost: u64) -> u64 {
        tat.saturating_sub(cost * self.emission_interval).max(now)
    }

    /// `settles_at` is when the charge and all charges before it have drained. What has drained is not returned twice.
    pub(crate) fn undo(&self, tat: u64, now: u64, cost: u64, settles_at: u64) -> u64 {
        let credit = cost.saturating_mul(self.emission_interval).min(settles_at.saturating_sub(now));
        tat.saturating_sub(credit).max(now)
    }

    /// Divides the debt and not what is left, as [`until_more`](Self::until_more) does: a caller of both pays one division.
    #[inline]
    pub(crate) fn remaining(&self, tat: u64, now: u64) -> u64 {
        let debt = self.reset_after(tat, now);
        if self.lacks_a_unit(debt) { 0 } else { self.burst - debt.div_ceil(self.emission_interval) }
    }

    #[inline]
    pub(crate) fn reset_after(&self, tat: u64, now: u64) -> u64 {
        tat.saturating_sub(now)
    }

    #[inline]
    pub(crate) fn until_more(&self, tat: u64, now: u64) -> u64 {
        let debt = self.reset_after(tat, now);
        if self.lacks_a_unit(debt) {
            return debt + self.emission_interval - self.tolerance();
        }
        match debt % self.emission_interval {
            0 => self.emission_interval.min(debt),
            part => part,
        }
    }

    /// Whether a call of cost 1 is refused at this debt.
    fn lacks_a_unit(&self, debt: u64) -> bool {
        debt + self.emission_interval > self.tolerance()
    }

    /// A TAT that other parameters have left, cut to what these could have left.
    pub(crate) fn adopt(&self, tat: u64, now: u64) -> u64 {
        tat.min(now + self.tolerance())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_PER_SECOND: Gcra = Gcra { emission_interval: 100, burst: 10 };

    #[test]
    fn admits_the_burst_then_one_per_interval() {
        let mut tat = 0;
        for _ in 0..10 {
            tat = TEN_PER_SECOND.decide(tat, 5, 1).expect("within the burst");
        }
        assert_eq!(TEN_PER_SECOND.decide(tat, 5, 1), Err(100));
        assert_eq!(TEN_PER_SECOND.decide(tat, 104, 1), Err(1));
        assert_eq!(TEN_PER_SECOND.decide(tat, 105, 1), Ok(1105));
    }

    #[test]
    fn says_when_more_quota_is_available() {
        let full = 0;
        assert_eq!(TEN_PER_SECOND.until_more(full, 1_000), 0);
        assert_eq!(TEN_PER_SECOND.until_more(1_100, 1_000), 100);
        assert_eq!(TEN_PER_SECOND.until_more(1_250, 1_000), 50);
        assert_eq!(TEN_PER_SECOND.until_more(2_250, 1_000), 350, "more debt than it has burst");
    }

    #[test]
    fn each_unit_that_remains_is_admitted_and_no_more() {
        for debt in 0..=1_100 {
            let (tat, now) = (5_000 + debt, 5_000);
            let remaining = TEN_PER_SECOND.remaining(tat, now);
            let admits = |cost| TEN_PER_SECOND.decide(tat, now, cost).is_ok();
            assert!(remaining == 0 || admits(remaining));
            assert!(!admits(remaining + 1));
            let then = now + TEN_PER_SECOND.until_more(tat, now);
            let more = u64::from(debt > 0);
            assert_eq!(TEN_PER_SECOND.remaining(tat, then), remaining + more);
            assert!(debt == 0 || TEN_PER_SECOND.remaining(tat, then - 1) == remaining);
        }
    }

    #[test]
    fn adopts_no_more_debt_than_it_has_burst() {
        let tat = TEN_PER_SECOND.adopt(3_600_000, 1_000);
        assert_eq!(TEN_PER_SECOND.decide(tat, 1_000, 1), Err(100));
        assert!(TEN_PER_SECOND.decide(tat, 1_100, 1).is_ok());
    }

    #[test]
    fn returns_only_what_has_not_drained() {
        let one = TEN_PER_SECOND.decide(0, 0, 1).expect("first");
        let two = TEN_PER_SECOND.decide(one, 150, 1).expect("after the first has drained");
        assert_eq!(TEN_PER_SECOND.undo(two, 160, 1, one), two, "the first has drained");
        assert_eq!(TEN_PER_SECOND.undo(two, 160, 1, two), 160);
    }

    #[test]
    fn a_penalty_by_an_old_clock_lowers_nothing() {
        assert_eq!(TEN_PER_SECOND.penalize(9_000, 1_000, 1), 9_000);
    }
}
