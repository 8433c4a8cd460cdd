//! Where the memory of a table comes from: the system, for the threads of one process, or a mapping that several
//! processes share.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::runtime::memory::MemoryUse;
use crate::runtime::region::{ALIGNMENT, Pinned, Region, Zeroed};
use crate::runtime::sync::AtomicU64;

/// Hands out regions one after the other: by default of this process, mapped as they are asked for. In a mapping, the same
/// regions asked for in the same order are the same memory in each process.
#[derive(Default)]
pub struct Arena {
    #[cfg(not(any(sluice_loom, sluice_shuttle)))]
    mapping: Option<Arc<memmap2::MmapRaw>>,
    is_shared: bool,
    taken: Cell<usize>,
    /// Counts the pages that this process is the first to write.
    in_use: Arc<MemoryUse>,
}

/// A word that many threads write, on cache lines of its own.
pub(crate) enum Word {
    Own(CachePadded<AtomicU64>),
    #[cfg(not(any(sluice_loom, sluice_shuttle)))]
    Shared(Region<AtomicU64>),
}

impl Deref for Word {
    type Target = AtomicU64;

    #[inline]
    fn deref(&self) -> &AtomicU64 {
        match self {
            Self::Own(word) => word,
            #[cfg(not(any(sluice_loom, sluice_shuttle)))]
            Self::Shared(words) => &words[0],
        }
    }
}

impl Arena {
    /// The memory of a mapping, from its first byte on. It may be that of a file which other processes have mapped too:
    /// all of it is then changed by atomic accesses only.
    #[cfg(not(any(sluice_loom, sluice_shuttle)))]
    #[must_use]
    pub fn in_mapping(mapping: Arc<memmap2::MmapRaw>) -> Self {
        Self { mapping: Some(mapping), is_shared: true, ..Self::default() }
    }

    /// Memory of this process, handed out like that of a mapping: to measure how many bytes one needs.
    #[must_use]
    pub fn measure() -> Self {
        Self { is_shared: true, ..Self::default() }
    }

    /// Leaves out as many bytes.
    pub fn skip(&self, bytes: usize) {
        self.taken.set(self.taken.get().saturating_add(bytes).next_multiple_of(ALIGNMENT));
    }

    /// Bytes that were handed out or left out so far.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.get()
    }

    /// Whether other processes may have the same memory.
    pub(crate) fn is_shared(&self) -> bool {
        self.is_shared
    }

    pub(crate) fn in_use(&self) -> Arc<MemoryUse> {
        Arc::clone(&self.in_use)
    }

    /// So many values: zeros, or what was written to them in the mapping. An error where the system has no room for them,
    /// or the mapping is too short.
    pub(crate) fn region<T: Zeroed>(&self, count: usize) -> io::Result<Region<T>> {
        let from = self.taken.get();
        let bytes = count.checked_mul(size_of::<T>()).filter(|bytes| *bytes < usize::MAX / 4);
        self.skip(bytes.ok_or(io::ErrorKind::OutOfMemory)?);
        #[cfg(not(any(sluice_loom, sluice_shuttle)))]
        if let Some(mapping) = &self.mapping {
            return Region::within(mapping, from, count);
        }
        let _ = from;
        Region::zeroed(count)
    }

    /// A value by itself: zeros, or what was written to it in the mapping.
    pub(crate) fn pinned<T: Zeroed + Send + Sync + 'static>(&self) -> io::Result<Pinned<T>> {
        #[cfg(not(any(sluice_loom, sluice_shuttle)))]
        if self.mapping.is_some() {
            return Ok(Pinned::within(&Arc::new(self.region(1)?), 0));
        }
        self.skip(size_of::<T>());
        Ok(Pinned::of_process())
    }

    /// A word of 0, or what was written to it in the mapping.
    pub(crate) fn word(&self) -> io::Result<Word> {
        #[cfg(not(any(sluice_loom, sluice_shuttle)))]
        if self.mapping.is_some() {
            return self.region(1).map(Word::Shared);
        }
        self.skip(size_of::<u64>());
        Ok(Word::Own(CachePadded::default()))
    }
}

impl fmt::Debug for Arena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arena").field("is_shared", &self.is_shared).field("taken", &self.taken).finish()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
pub(crate) mod tests {
    use super::*;
    use crate::runtime::sync::Ordering;

    /// A mapping of zeros. Its memory is this process's alone, but handed out like that of a file.
    pub(crate) fn mapping(bytes: usize) -> Arc<memmap2::MmapRaw> {
        Arc::new(memmap2::MmapMut::map_anon(bytes).expect("room").into())
    }

    #[test]
    fn the_same_order_gives_the_same_memory() {
        let mapping = mapping(4_096);
        let take = || {
            let arena = Arena::in_mapping(Arc::clone(&mapping));
            arena.skip(100);
            let words = (arena.word().expect("room"), arena.region::<AtomicU64>(3).expect("room"));
            (words, arena.taken())
        };
        let (((one, several), taken), ((same_one, same_several), _)) = (take(), take());
        one.store(1, Ordering::Relaxed);
        several[2].store(2, Ordering::Relaxed);
        assert_eq!(same_one.load(Ordering::Relaxed), 1);
        assert_eq!(same_several.iter().map(|word| word.load(Ordering::Relaxed)).sum::<u64>(), 2);
        assert_eq!(taken, 128 + 128 + 128);
    }

    #[test]
    fn a_measure_takes_as_many_bytes_as_a_mapping() {
        let (measure, shared) = (Arena::measure(), Arena::in_mapping(mapping(4_096)));
        for arena in [&measure, &shared] {
            arena.skip(1);
            arena.word().expect("room");
            arena.pinned::<AtomicU64>().expect("room");
            arena.region::<AtomicU64>(100).expect("room");
        }
        let bytes = 128 + 128 + 128 + 896;
        assert_eq!((measure.taken(), shared.taken()), (bytes, bytes));
        assert!(measure.is_shared() && shared.is_shared() && !Arena::default().is_shared());
    }

    #[test]
    fn a_mapping_that_is_too_short_is_an_error() {
        let arena = Arena::in_mapping(mapping(4_096));
        assert!(arena.region::<AtomicU64>(512).is_ok());
        assert!(arena.region::<AtomicU64>(1).is_err() && arena.word().is_err());
        assert!(Arena::in_mapping(mapping(4_096)).region::<AtomicU64>(513).is_err());
        assert!(Arena::in_mapping(mapping(4_096)).region::<AtomicU64>(usize::MAX / 8).is_err());
    }
}
