//! Names of processes, for what they hold in shared memory.

/// A process that has, or had, a row: `row + 1 : 12 | epoch : 22`. The epoch says which owner of the row it is, modulo its
/// field: a name is taken for a later one after four million owners of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(u64);

const EPOCH_BITS: u32 = 22;
const EPOCHS: u64 = 1 << EPOCH_BITS;

impl Owner {
    pub(super) fn new(row: usize, epoch: u64) -> Self {
        let epoch = epoch % EPOCHS;
        Self((row as u64 + 1) << EPOCH_BITS | epoch)
    }

    /// The row, which may be none where the name was read from shared memory.
    #[must_use]
    pub fn row(self) -> usize {
        usize::try_from(self.0 >> EPOCH_BITS).unwrap_or(usize::MAX).wrapping_sub(1)
    }

    pub(super) fn is_of_epoch(self, epoch: u64) -> bool {
        self.0 % EPOCHS == epoch % EPOCHS
    }

    /// As it is stored; never 0.
    #[must_use]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// What was stored; `None` for 0.
    pub(crate) const fn from_bits(bits: u64) -> Option<Self> {
        if bits == 0 { None } else { Some(Self(bits)) }
    }
}
