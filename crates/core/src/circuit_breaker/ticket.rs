//! What a caller holds of a permitted call: a number that JavaScript counts exactly.

/// Which circuit permitted a call, and under which number: that of its state, or of the trial call.
///
/// Numbers of a circuit are used once, so a ticket reports at most to the state, or for the trial, that it
/// was given in. A forged or outdated one reports to nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// Bits of a circuit's serial. Serials come round after 16 million peers, numbers after 536 million changes
/// of one circuit: a ticket would have to be as old as that to be taken for another.
pub(super) const SERIAL_BITS: u32 = 24;
const NUMBER_BITS: u32 = 53 - SERIAL_BITS;
const NUMBER: u64 = (1 << NUMBER_BITS) - 1;

impl Ticket {
    /// Of a call that was let pass without being counted.
    pub(super) const UNTRACKED: Self = Self(1);

    pub(super) const fn new(serial: u32, number: u64) -> Self {
        Self((serial as u64) << NUMBER_BITS | number & NUMBER)
    }

    /// From its number; any number is a ticket, if of nobody.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// From 1 to 2^53 - 1.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    pub(super) const fn serial(self) -> u32 {
        (self.0 >> NUMBER_BITS) as u32
    }

    /// Whether it was given under this number.
    pub(super) const fn is_of(self, number: u64) -> bool {
        self.0 & NUMBER == number & NUMBER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_a_number_that_doubles_count() {
        let last = Ticket::new((1 << SERIAL_BITS) - 1, u64::MAX);
        assert_eq!(last.number(), (1 << 53) - 1);
        assert_eq!((last.serial(), last.is_of(NUMBER), last.is_of(1)), ((1 << SERIAL_BITS) - 1, true, false));
        assert_eq!(Ticket::UNTRACKED.serial(), 0);
    }
}
