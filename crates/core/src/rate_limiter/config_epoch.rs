//! The config epoch: a word that each call reads before it decides and after it has written.
//!
//! The word is `reconfigurations : 63 | closed : 1`. It is raised after the config was replaced, and before the words of
//! keys are adapted to the new one.
//!
//! Where several processes share it, it is `generation 52 : row 10 : cell 1 : closed 1`: the config of a generation is in
//! a cell of the row of the process that reconfigured. Generation 0 is the config of creation, which is in no cell.

use std::io;

use crate::runtime::arena::Arena;
use crate::runtime::region::Pinned;
use crate::runtime::sync::{AtomicU64, Ordering};

const CLOSED: u64 = 1;
const RECONFIGURED: u64 = 2;

const CELL_SHIFT: u32 = 1;
const ROW_SHIFT: u32 = 2;
const ROW_BITS: u32 = 10;
const GENERATION_SHIFT: u32 = ROW_SHIFT + ROW_BITS;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ConfigEpoch(u64);

/// Where a config that processes share is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) row: usize,
    pub(super) cell: usize,
}

impl ConfigEpoch {
    #[inline]
    pub(crate) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }

    /// Of processes: how often any of them reconfigured.
    pub(super) fn generation(self) -> u64 {
        self.0 >> GENERATION_SHIFT
    }

    /// Of processes: where the config is; `None` for that of creation.
    pub(super) fn place(self) -> Option<Place> {
        let row = (self.0 >> ROW_SHIFT) % (1 << ROW_BITS);
        let cell = (self.0 >> CELL_SHIFT) & 1;
        (self.generation() > 0).then_some(Place { row: row as usize, cell: cell as usize })
    }

    /// Of processes: the epoch that follows this one, with its config in `place`.
    pub(super) fn next_in(self, place: Place) -> Self {
        let place = (place.row as u64) << ROW_SHIFT | (place.cell as u64) << CELL_SHIFT;
        Self((self.generation() + 1) << GENERATION_SHIFT | place | self.0 & CLOSED)
    }
}

#[derive(Clone)]
pub(crate) struct AtomicConfigEpoch(Pinned<AtomicU64>);

impl AtomicConfigEpoch {
    pub(super) fn of_process() -> Self {
        Self(Pinned::of_process())
    }

    pub(crate) fn in_arena(arena: &Arena) -> io::Result<Self> {
        arena.pinned().map(Self)
    }

    /// Brings a config of processes into force; false when another came first. `SeqCst`, as in [`get`](Self::get). It
    /// publishes the words of the config.
    pub(super) fn swap_if(&self, seen: ConfigEpoch, next: ConfigEpoch) -> bool {
        self.0.compare_exchange(seen.0, next.0, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// `SeqCst`, like the exchange of a key's state: of a call that writes by the old config and a reconfiguration,
    /// one sees the other.
    #[inline]
    pub(crate) fn get(&self) -> ConfigEpoch {
        ConfigEpoch(self.0.load(Ordering::SeqCst))
    }

    pub(super) fn advance(&self) {
        self.0.fetch_add(RECONFIGURED, Ordering::SeqCst);
    }

    /// False where it was closed before.
    pub(crate) fn close(&self) -> bool {
        self.0.fetch_or(CLOSED, Ordering::SeqCst) & CLOSED == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_the_config_of_a_generation_is() {
        let created = ConfigEpoch::default();
        assert_eq!((created.generation(), created.place()), (0, None));
        let place = Place { row: 63, cell: 1 };
        let first = created.next_in(place);
        assert_eq!((first.generation(), first.place(), first.is_closed()), (1, Some(place), false));
        let second = first.next_in(Place { row: 0, cell: 0 });
        assert_eq!((second.generation(), second.place()), (2, Some(Place { row: 0, cell: 0 })));
        let closed = ConfigEpoch(second.0 | CLOSED);
        assert!(closed.is_closed() && closed.next_in(place).is_closed());
        assert_eq!(closed.place(), second.place());
    }
}
