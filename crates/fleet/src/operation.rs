//! What can be asked of the server about a client.

use sluice_core::MAX_LIMITS;

/// An operation on one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Charges so many units if they are available.
    Take {
        /// Units.
        cost: u64,
    },
    /// Charges so many units for each call if they are available, and some to hold beside.
    Lease {
        /// Units of a call.
        cost: u64,
        /// Calls: 0 where more is asked for ahead of them.
        calls: u64,
        /// Units to hold; the server gives half of what the calls leave, at most.
        beside: u64,
        /// Units of each limit that are held beyond those of the others: of `beside`, so many fewer are charged.
        spare: [u64; MAX_LIMITS],
    },
    /// Gives units back that were held.
    GiveBack {
        /// Units of each limit.
        units: [u64; MAX_LIMITS],
        /// When they were granted, in microseconds of the server's clock.
        at: u64,
        /// What the grant has left the key at, of each limit.
        states: [u64; MAX_LIMITS],
    },
    /// The decision on a call of cost 1; charges nothing.
    Peek,
    /// Charges without a decision, down to an empty quota.
    Penalize {
        /// Units.
        cost: u64,
    },
    /// Returns units, up to a full quota.
    Refund {
        /// Units.
        cost: u64,
    },
    /// Takes a charge back.
    Undo {
        /// Units.
        cost: u64,
        /// When it was made, in microseconds of the server's clock.
        charged_at: u64,
        /// For each limit, when it has drained, in microseconds of the server's clock.
        settles: [u64; MAX_LIMITS],
    },
    /// Refuses every call for so long.
    Block {
        /// Microseconds.
        duration: u64,
    },
    /// Removes state and block.
    Reset,
    /// Says which options this process has.
    Announce,
}

impl Operation {
    /// Its name in the script.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Take { .. } => "take",
            Self::Lease { .. } => "lease",
            Self::GiveBack { .. } => "giveback",
            Self::Peek => "peek",
            Self::Penalize { .. } => "penalize",
            Self::Refund { .. } => "refund",
            Self::Undo { .. } => "undo",
            Self::Block { .. } => "block",
            Self::Reset => "reset",
            Self::Announce => "announce",
        }
    }

    /// Whether its answer is a decision.
    pub(crate) const fn decides(&self) -> bool {
        matches!(self, Self::Take { .. } | Self::Lease { .. } | Self::Peek)
    }

    /// Whether it gives back what was charged.
    pub(crate) const fn returns(&self) -> bool {
        matches!(self, Self::GiveBack { .. } | Self::Undo { .. })
    }

    /// Units that a call asks for; `None` where it is not charged.
    pub(crate) const fn charges(&self) -> Option<u64> {
        match *self {
            Self::Take { cost } | Self::Lease { cost, .. } => Some(cost),
            _ => None,
        }
    }

    /// Calls that one request stands for.
    pub(crate) const fn calls(&self) -> u64 {
        match *self {
            Self::Lease { calls, .. } => calls,
            _ => 1,
        }
    }

    /// Whether the script is told more of it than several clients of one call have room for.
    pub(crate) const fn goes_alone(&self) -> bool {
        matches!(self, Self::Undo { .. } | Self::GiveBack { .. } | Self::Announce)
    }

    /// Units that the decision is about.
    pub(crate) const fn cost(&self) -> u64 {
        match *self {
            Self::Take { cost }
            | Self::Lease { cost, .. }
            | Self::Penalize { cost }
            | Self::Refund { cost }
            | Self::Undo { cost, .. } => cost,
            Self::GiveBack { .. } | Self::Peek | Self::Block { .. } | Self::Reset | Self::Announce => 1,
        }
    }

    /// Whether calls of several callers for one client are one entry of the script's arguments.
    pub(crate) fn merges_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Lease { cost, .. }, Self::Lease { cost: others, .. }) => cost == others,
            _ => self == other && self.decides(),
        }
    }

    /// Takes over what another request for the same client wants beside its calls.
    pub(crate) fn absorb(&mut self, other: &Self) {
        if let (Self::Lease { beside, spare, .. }, Self::Lease { beside: others, spare: theirs, .. }) =
            (self, other)
            && others > beside
        {
            (*beside, *spare) = (*others, *theirs);
        }
    }
}
