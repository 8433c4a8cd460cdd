//! The generic cell rate algorithm, as pure functions.
//!
//! A client's whole state is one number: its theoretical arrival time (TAT), the moment at which its
//! bucket is full again. A TAT in the past is the same as none, so what has expired need not be removed.
//! Formulae: ITU-T I.371 in the form that Redis, governor and throttled use; `burst` cells of interval
//! `T` are tolerated ahead of time.

/// A rate, in the terms of the algorithm.
///
/// In any interval of length `w` it admits at most `burst + w / T` units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gcra {
    /// `T`: nanoseconds between two units at the sustained rate.
    pub(crate) emission_interval: u64,
    /// Units that may come at once.
    pub(crate) burst: u64,
}

/// Why a call was refused: what it waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It conforms after this many nanoseconds.
    For(u64),
    /// It asks for more than the burst and never conforms.
    Ever,
}

impl Gcra {
    /// How far ahead of now a TAT may lie: `burst * T`. Construction keeps it below 2^60.
    pub(crate) const fn tolerance(&self) -> u64 {
        self.burst * self.emission_interval
    }

    /// The TAT after admitting `cost` units, or why not. A refusal changes nothing.
    pub(crate) fn decide(&self, tat: u64, now: u64, cost: u64) -> Result<u64, Refused> {
        if cost > self.burst {
            return Err(Refused::Ever);
        }
        let next = self.base(tat, now) + cost * self.emission_interval;
        let latest = now + self.tolerance();
        if next > latest { Err(Refused::For(next - latest)) } else { Ok(next) }
    }

    /// The TAT after charging without asking; stops at an empty bucket.
    pub(crate) fn penalize(&self, tat: u64, now: u64, cost: u64) -> u64 {
        let charge = cost.min(self.burst) * self.emission_interval;
        (self.base(tat, now) + charge).min(now + self.tolerance())
    }

    /// The TAT after giving units back; never above a full bucket.
    pub(crate) fn refund(&self, tat: u64, now: u64, cost: u64) -> u64 {
        let credit = cost.min(self.burst) * self.emission_interval;
        self.base(tat, now).saturating_sub(credit).max(now)
    }

    /// Units that would be admitted at once.
    pub(crate) fn remaining(&self, tat: u64, now: u64) -> u64 {
        (self.tolerance() - self.debt(tat, now)) / self.emission_interval
    }

    /// Nanoseconds until the bucket is full.
    pub(crate) fn debt(&self, tat: u64, now: u64) -> u64 {
        self.base(tat, now) - now
    }

    /// Nanoseconds until one unit more is available; 0 when the bucket is full.
    pub(crate) fn until_more(&self, tat: u64, now: u64) -> u64 {
        match self.debt(tat, now) % self.emission_interval {
            0 => self.debt(tat, now).min(self.emission_interval),
            partial => partial,
        }
    }

    /// The TAT that counts at `now`. A legal one lies between now and now + tolerance: clamping bounds
    /// what a clock set back, or a rate made smaller by `reconfigure`, can lock out.
    fn base(&self, tat: u64, now: u64) -> u64 {
        tat.clamp(now, now + self.tolerance())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEN_PER_SECOND: Gcra = Gcra { emission_interval: 100, burst: 10 };

    #[test]
    fn admits_the_burst_then_one_per_interval() {
        let mut tat = 0;
        for _ in 0..10 {
            tat = TEN_PER_SECOND.decide(tat, 5, 1).expect("within the burst");
        }
        assert_eq!(TEN_PER_SECOND.decide(tat, 5, 1), Err(Refused::For(100)));
        assert_eq!(TEN_PER_SECOND.decide(tat, 104, 1), Err(Refused::For(1)));
        assert_eq!(TEN_PER_SECOND.decide(tat, 105, 1), Ok(1105));
    }

    #[test]
    fn refuses_for_ever_what_exceeds_the_burst() {
        assert_eq!(TEN_PER_SECOND.decide(0, 0, 11), Err(Refused::Ever));
        assert_eq!(TEN_PER_SECOND.decide(0, 0, u64::MAX), Err(Refused::Ever));
    }

    #[test]
    fn tells_when_more_quota_comes() {
        let full = 0;
        assert_eq!(TEN_PER_SECOND.until_more(full, 1_000), 0);
        assert_eq!(TEN_PER_SECOND.until_more(1_100, 1_000), 100);
        assert_eq!(TEN_PER_SECOND.until_more(1_250, 1_000), 50);
    }

    #[test]
    fn a_time_far_ahead_locks_out_for_the_tolerance_at_most() {
        assert_eq!(TEN_PER_SECOND.debt(u64::MAX / 4, 1_000), 1_000);
        assert_eq!(TEN_PER_SECOND.decide(u64::MAX / 4, 1_000, 1), Err(Refused::For(100)));
    }

    proptest! {
        /// The same rules in 128 bits and without tricks, over any sequence of operations.
        #[test]
        fn agrees_with_a_naive_bucket(
            emission_interval in 1_u64..2_000, burst in 1_u64..50,
            steps in prop::collection::vec((0_u64..5_000, 0_u8..3, 1_u64..60), 1..80),
        ) {
            let gcra = Gcra { emission_interval, burst };
            let (interval, tolerance) = (u128::from(emission_interval), u128::from(gcra.tolerance()));
            // The bucket as debt in time: it drains by itself and never exceeds the tolerance.
            let (mut tat, mut debt, mut now) = (0_u64, 0_u128, 0_u64);
            for (pause, operation, cost) in steps {
                now += pause;
                debt = debt.saturating_sub(u128::from(pause));
                let charge = u128::from(cost) * interval;
                match operation {
                    0 => match gcra.decide(tat, now, cost) {
                        Ok(next) => {
                            prop_assert!(debt + charge <= tolerance);
                            (tat, debt) = (next, debt + charge);
                        }
                        Err(Refused::For(wait)) => {
                            prop_assert_eq!(u128::from(wait), debt + charge - tolerance);
                            prop_assert!(gcra.decide(tat, now + wait - 1, cost).is_err());
                            prop_assert!(gcra.decide(tat, now + wait, cost).is_ok());
                        }
                        Err(Refused::Ever) => prop_assert!(cost > burst),
                    },
                    1 => {
                        tat = gcra.penalize(tat, now, cost);
                        debt = (debt + charge).min(tolerance);
                    }
                    _ => {
                        tat = gcra.refund(tat, now, cost);
                        debt = debt.saturating_sub(charge);
                    }
                }
                prop_assert_eq!(u128::from(gcra.debt(tat, now)), debt);
                prop_assert_eq!(u128::from(gcra.remaining(tat, now)), (tolerance - debt) / interval);
            }
        }
    }
}
