//! How much a request matters.

/// The priority of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Shed last, and never beforehand.
    High,
    /// Shed after all that are low.
    Normal,
    /// Shed first.
    Low,
    /// Never shed.
    Exempt,
}

/// Priorities that are shed.
pub(super) const CLASSES: usize = 3;

/// All priorities.
pub(super) const PRIORITIES: usize = CLASSES + 1;

impl Priority {
    /// Its place among those that are shed, the highest first; none where it is exempt.
    #[inline]
    pub(super) const fn class(self) -> Option<usize> {
        match self {
            Self::Exempt => None,
            _ => Some(self as usize),
        }
    }
}
