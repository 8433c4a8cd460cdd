//! What the caller of an admitted call holds: an integer that a JavaScript number represents exactly.

/// The circuit that admitted a call, and a number: that of the circuit's state, or of the trial.
///
/// A circuit uses each number once, so a ticket reports only to the state or the trial it was given for. A forged or
/// outdated ticket reports to none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u64);

/// Bits of a circuit's serial. Serials wrap around after 16 million targets, numbers after 536 million changes of one
/// circuit. Only a ticket as old as that could be mistaken for another.
pub(super) const SERIAL_BITS: u32 = 24;
const NUMBER_BITS: u32 = 53 - SERIAL_BITS;
const NUMBER: u64 = (1 << NUMBER_BITS) - 1;

impl Ticket {
    /// The ticket of a call that was admitted uncounted.
    pub(super) const UNTRACKED: Self = Self(1);

    pub(super) const fn new(serial: u32, number: u64) -> Self {
        Self((serial as u64) << NUMBER_BITS | number & NUMBER)
    }

    /// The ticket of a number. A number that was never given is a ticket that reports to none.
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
    fn a_ticket_is_exact_as_a_double() {
        let last = Ticket::new((1 << SERIAL_BITS) - 1, u64::MAX);
        assert_eq!(last.number(), (1 << 53) - 1);
        assert_eq!((last.serial(), last.is_of(NUMBER), last.is_of(1)), ((1 << SERIAL_BITS) - 1, true, false));
        assert_eq!(Ticket::UNTRACKED.serial(), 0);
    }
}
