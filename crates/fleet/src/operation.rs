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
}

impl Operation {
    /// Its name in the script.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Take { .. } => "take",
            Self::Peek => "peek",
            Self::Penalize { .. } => "penalize",
            Self::Refund { .. } => "refund",
            Self::Undo { .. } => "undo",
            Self::Block { .. } => "block",
            Self::Reset => "reset",
        }
    }

    /// Whether its answer is a decision.
    pub(crate) const fn decides(&self) -> bool {
        matches!(self, Self::Take { .. } | Self::Peek)
    }

    /// Units that the decision is about.
    pub(crate) const fn cost(&self) -> u64 {
        match *self {
            Self::Take { cost }
            | Self::Penalize { cost }
            | Self::Refund { cost }
            | Self::Undo { cost, .. } => cost,
            Self::Peek | Self::Block { .. } | Self::Reset => 1,
        }
    }

    /// Whether calls of several callers for one client are one entry of the script's arguments.
    pub(crate) fn merges_with(&self, other: &Self) -> bool {
        self == other && self.decides()
    }
}
