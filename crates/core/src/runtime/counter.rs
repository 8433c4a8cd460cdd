//! The counter of the processor: a clock that costs no call of the system, and that several processes can read as one.
#![allow(unsafe_code, reason = "the instruction that reads it has no safe form")]

/// What a tick of the counter takes, in nanoseconds of 2^32 ticks. Where the system's clock is the counter, a tick is a
/// nanosecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate(u64);

impl Rate {
    /// The clock of the system, whose ticks are nanoseconds.
    const NANOSECOND: Self = Self(1 << 32);

    pub(super) fn of(counter: &quanta::Clock) -> Self {
        Self(counter.delta_as_nanos(0, 1 << 32))
    }

    /// Of so many nanoseconds of 2^32 ticks.
    #[must_use]
    pub const fn from_bits(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds of 2^32 ticks.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    pub(super) fn is_of_processor(self) -> bool {
        self != Self::NANOSECOND
    }

    /// Whole nanoseconds of so many ticks: one multiplication, exact to 2^-32 of a nanosecond a tick.
    #[inline]
    #[must_use]
    pub fn nanos(self, ticks: u64) -> u64 {
        ((u128::from(ticks) * u128::from(self.0)) >> 32) as u64
    }
}

/// Whether [`ticks`] reads the counter of this processor.
pub const IS_READ: bool = cfg!(target_arch = "x86_64");

/// The processor's counter; 0 on processors where it is not read.
#[inline(always)]
#[must_use]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every processor of this architecture has the instruction, and it touches no memory.
    return unsafe { std::arch::x86_64::_rdtsc() };
    #[cfg(not(target_arch = "x86_64"))]
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_become_nanoseconds_at_every_boundary() {
        let rates =
            [1 << 32, u64::from(u32::MAX), 1, 1_431_655_765, 2_045_222_521, 178_956_970_666, u64::MAX >> 20];
        let powers = (0..64).map(|power| 1_u64 << power);
        let ticks: Vec<u64> =
            powers.flat_map(|ticks| [ticks - 1, ticks, ticks + 1]).chain([u64::MAX]).collect();
        for rate in rates {
            for &ticks in &ticks {
                let exact = u128::from(ticks) * u128::from(rate) / (1 << 32);
                if let Ok(exact) = u64::try_from(exact) {
                    assert_eq!(Rate(rate).nanos(ticks), exact, "{ticks} ticks at {rate}");
                }
            }
        }
        assert_eq!(Rate(1 << 32).nanos(u64::MAX), u64::MAX);
    }

    #[test]
    fn agrees_with_the_conversion_of_the_counter() {
        let counter = quanta::Clock::new();
        let rate = Rate::of(&counter);
        let started = counter.raw();
        let mut before = 0;
        // Up to about a month of ticks.
        for ticks in (0..54).flat_map(|power| [(1_u64 << power) - 1, 1 << power, (1 << power) + 1]) {
            let nanos = rate.nanos(ticks);
            let general = counter.delta_as_nanos(started, started.saturating_add(ticks));
            let most = 1 + (ticks >> 32);
            assert!(nanos.abs_diff(general) <= most, "{ticks} ticks: {nanos}, {general}");
            assert!(nanos >= before, "{ticks} ticks");
            before = nanos;
        }
    }

    #[test]
    fn is_the_counter_that_the_rate_is_of() {
        let clock = quanta::Clock::new();
        if Rate::of(&clock).is_of_processor() {
            let (before, ticks, after) = (clock.raw(), ticks(), clock.raw());
            assert!(before <= ticks && ticks <= after, "{before}, {ticks}, {after}");
        }
    }
}
