//! Memory that starts as zeros and takes no room before it is written: pages of the system, untouched until used.
//!
//! One of the few modules of the engine that need `unsafe`.
#![allow(
    unsafe_code,
    reason = "a mapping is bytes until its type is named, and prefetching takes an address"
)]

use std::io;
use std::ops::Deref;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::runtime::sync::AtomicU64;

/// Types whose default is all zero bytes, and of which any bytes are a value.
///
/// # Safety
///
/// Any bytes must be a valid value of the type, all zeros its default. It changes by atomic accesses alone, as another
/// process may have it too. The type has no `Drop`, and its alignment is at most 128 bytes.
pub(crate) unsafe trait Zeroed: Default {}

// SAFETY: an atomic integer.
unsafe impl Zeroed for AtomicU64 {}

/// A cache line of eight words.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct CacheLine(pub(crate) [AtomicU64; 8]);

// SAFETY: atomic integers.
unsafe impl Zeroed for CacheLine {}

/// A cache line of eight counters. They publish nothing, so model checkers need not see them.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct CounterLine(pub(crate) [std::sync::atomic::AtomicU64; 8]);

// SAFETY: atomic integers.
unsafe impl Zeroed for CounterLine {}

/// Bytes that are taken at a time, as far as they are counted. Some systems have larger pages.
pub(crate) const PAGE: usize = 4_096;

/// Where each region of an arena starts: on a multiple of this.
pub(super) const ALIGNMENT: usize = 128;

/// A slice of zeros that takes memory page by page, as it is written. Dropping it gives the pages back to the system. Or a
/// slice of a mapping that processes share, whose pages were there before.
#[cfg(not(any(sluice_loom, sluice_shuttle)))]
#[derive(Debug)]
pub(crate) struct Region<T> {
    start: std::ptr::NonNull<T>,
    count: usize,
    _memory: Memory,
}

/// What a region points into, and lives as long as.
#[cfg(not(any(sluice_loom, sluice_shuttle)))]
#[derive(Debug)]
#[expect(dead_code, reason = "held, so that the memory stays mapped")]
enum Memory {
    Own(memmap2::MmapMut),
    Shared(Arc<memmap2::MmapRaw>),
}

// SAFETY: it owns its values, as a `Box<[T]>` does, or shares them with other processes as it does with other threads.
#[cfg(not(any(sluice_loom, sluice_shuttle)))]
unsafe impl<T: Send> Send for Region<T> {}

// SAFETY: it gives out shared references only, as a `Box<[T]>` does.
#[cfg(not(any(sluice_loom, sluice_shuttle)))]
unsafe impl<T: Sync> Sync for Region<T> {}

#[cfg(not(any(sluice_loom, sluice_shuttle)))]
impl<T: Zeroed> Region<T> {
    /// So many zeros; an error where the system has no room for them.
    pub(crate) fn zeroed(count: usize) -> io::Result<Self> {
        const { Self::check() };
        let bytes = count.max(1).checked_mul(size_of::<T>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // Not reserved: a large table that few clients use must not count against what others may ask for.
        let mut memory = memmap2::MmapOptions::new().len(bytes).no_reserve_swap().map_anon()?;
        #[cfg(target_os = "linux")]
        choose_page_size(&memory);
        let start = std::ptr::NonNull::new(memory.as_mut_ptr().cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, count, _memory: Memory::Own(memory) })
    }

    /// So many values of a shared mapping, from a byte of it on; an error where it ends before.
    pub(super) fn within(mapping: &Arc<memmap2::MmapRaw>, from: usize, count: usize) -> io::Result<Self> {
        const { Self::check() };
        let end = count.checked_mul(size_of::<T>()).and_then(|bytes| bytes.checked_add(from));
        let start = std::ptr::NonNull::new(mapping.as_mut_ptr().wrapping_add(from).cast::<T>());
        match start {
            Some(start) if end.is_some_and(|end| end <= mapping.len()) && start.is_aligned() => {
                Ok(Self { start, count, _memory: Memory::Shared(Arc::clone(mapping)) })
            }
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    const fn check() {
        assert!(size_of::<T>() > 0 && align_of::<T>() <= ALIGNMENT && !std::mem::needs_drop::<T>());
    }
}

#[cfg(not(any(sluice_loom, sluice_shuttle)))]
impl<T> Deref for Region<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the memory has room for `count` values from `start` on, which is aligned for them, and stays mapped as
        // long as `self` lives. Any bytes are values of a `Zeroed` type, and another process can change them by atomic
        // accesses only.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.count) }
    }
}

/// Regions of this size and more ask for huge pages: beyond it, page table look-ups cost more than the memory itself.
#[cfg(all(target_os = "linux", not(any(sluice_loom, sluice_shuttle))))]
const LARGE: usize = 64 << 20;

/// A wish, which the system may refuse. A small region asks for small pages, as does the beginning of a large one,
/// where the first clients are: there a huge page would make two megabytes resident for one of them.
#[cfg(all(target_os = "linux", not(any(sluice_loom, sluice_shuttle))))]
fn choose_page_size(memory: &memmap2::MmapMut) {
    use memmap2::Advice;

    const HUGE_PAGE: usize = 2 << 20;
    let small = if memory.len() < LARGE { memory.len() } else { HUGE_PAGE };
    // Refused where the kernel is built without huge pages: then all pages are small.
    let _ = memory.advise_range(Advice::NoHugePage, 0, small);
    if small < memory.len() {
        let _ = memory.advise_range(Advice::HugePage, small, memory.len() - small);
    }
}

/// The atomics of model checkers are more than their bytes.
#[cfg(any(sluice_loom, sluice_shuttle))]
#[derive(Debug)]
pub(crate) struct Region<T>(Box<[T]>);

#[cfg(any(sluice_loom, sluice_shuttle))]
impl<T: Zeroed> Region<T> {
    pub(crate) fn zeroed(count: usize) -> io::Result<Self> {
        Ok(Self(std::iter::repeat_with(T::default).take(count).collect()))
    }
}

#[cfg(any(sluice_loom, sluice_shuttle))]
impl<T> Deref for Region<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

/// A value that stays where it is, in memory of this process or of several. It costs one load more than a field.
pub(crate) struct Pinned<T> {
    at: std::ptr::NonNull<T>,
    /// Owns what `at` points to.
    keeper: Arc<dyn Send + Sync>,
}

// SAFETY: it gives out shared references only.
unsafe impl<T: Sync> Send for Pinned<T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Pinned<T> {}

impl<T: Zeroed + Send + Sync + 'static> Pinned<T> {
    /// A value of this process.
    pub(crate) fn of_process() -> Self {
        let value = Arc::new(CachePadded::<T>::default());
        Self { at: std::ptr::NonNull::from(&**value), keeper: value }
    }

    /// A value of a region.
    ///
    /// # Panics
    /// The region is shorter.
    pub(crate) fn within(region: &Arc<Region<T>>, index: usize) -> Self {
        Self { at: std::ptr::NonNull::from(&region[index]), keeper: Arc::<Region<T>>::clone(region) }
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl<T> Clone for Pinned<T> {
    fn clone(&self) -> Self {
        Self { at: self.at, keeper: Arc::clone(&self.keeper) }
    }
}

impl<T> Deref for Pinned<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: it points into what `keeper` owns, which neither moves nor gives out mutable references, and is dropped
        // after `self`.
        unsafe { self.at.as_ref() }
    }
}

/// Asks for the cache line in which a value begins before it is needed.
#[inline(always)]
pub(crate) fn prefetch<T>(value: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint to the processor; it reads nothing that the program could see, at any address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(value.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// As [`prefetch`], for each cache line of a value, or for the first ones of a large value.
#[inline(always)]
pub(crate) fn prefetch_all<T: ?Sized>(value: &T) {
    const MOST: usize = 6 * LINE;
    const LINE: usize = size_of::<CacheLine>();
    let start = std::ptr::from_ref(value).cast::<u8>();
    let size = size_of_val(value).min(MOST);
    let mut offset = 0;
    while offset < size {
        prefetch(start.wrapping_add(offset));
        offset += LINE;
    }
    // A value begins anywhere in its first line, so it may end in one more.
    prefetch(start.wrapping_add(size.saturating_sub(1)));
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;
    use crate::runtime::sync::Ordering;

    #[test]
    fn begins_as_zeros_and_keeps_what_is_written() {
        let region = Region::<AtomicU64>::zeroed(10_000).expect("room");
        region[9_999].store(7, Ordering::Relaxed);
        let sum: u64 = region.iter().map(|word| word.load(Ordering::Relaxed)).sum();
        assert_eq!((region.len(), sum), (10_000, 7));
        assert!(Region::<AtomicU64>::zeroed(0).expect("room").is_empty());
    }

    #[test]
    fn lines_are_aligned() {
        let region = Region::<CacheLine>::zeroed(3).expect("room");
        assert!(region.iter().all(|line| std::ptr::from_ref(line).addr() % 64 == 0));
    }

    #[test]
    fn what_the_system_cannot_map_is_an_error() {
        assert!(Region::<AtomicU64>::zeroed(usize::MAX / 8).is_err());
        assert!(Region::<AtomicU64>::zeroed(usize::MAX).is_err());
    }
}
