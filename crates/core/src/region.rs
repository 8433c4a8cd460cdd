//! Memory that starts as zeros: pages that nobody has written to take no room.
//!
//! The one module of the engine that needs `unsafe`.
#![allow(unsafe_code, reason = "zeroed memory has no safe constructor, and prefetching takes an address")]

use crate::sync::AtomicU64;

/// Types whose default is all zero bytes.
///
/// # Safety
///
/// All zero bytes must be a valid value of the type, and its default.
pub(crate) unsafe trait Zeroed: Default {}

// SAFETY: an integer.
unsafe impl Zeroed for AtomicU64 {}

/// Two cache lines, which processors often fetch together.
#[derive(Debug, Default)]
#[repr(C, align(128))]
pub(crate) struct LinePair(pub(crate) [[AtomicU64; 8]; 2]);

// SAFETY: integers.
unsafe impl Zeroed for LinePair {}

/// So many zeros; the operating system hands their pages out when they are first written.
#[cfg(not(any(sluice_loom, sluice_shuttle)))]
pub(crate) fn zeroed<T: Zeroed>(count: usize) -> Box<[T]> {
    use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};

    if count == 0 || size_of::<T>() == 0 {
        return Box::default();
    }
    let layout = Layout::array::<T>(count).unwrap_or_else(|_| handle_alloc_error(Layout::new::<T>()));
    // SAFETY: the size is not zero. `Zeroed` makes zeros a value, and a box frees by the same layout.
    unsafe {
        let memory = alloc_zeroed(layout).cast::<T>();
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        #[cfg(target_os = "linux")]
        prefer_huge_pages(memory.cast(), layout.size());
        Box::from_raw(std::ptr::slice_from_raw_parts_mut(memory, count))
    }
}

/// Of so much memory, what calls wait for is less the memory than the tables of its pages.
#[cfg(all(target_os = "linux", not(any(sluice_loom, sluice_shuttle))))]
const LARGE: usize = 64 << 20;

/// A wish: where the system has none to give, pages stay small.
#[cfg(all(target_os = "linux", not(any(sluice_loom, sluice_shuttle))))]
fn prefer_huge_pages(memory: *mut u8, size: usize) {
    const HUGE_PAGE: usize = 2 << 20;
    let skipped = memory.align_offset(HUGE_PAGE);
    if size < LARGE || skipped > size {
        return;
    }
    // SAFETY: the range lies in memory that was just allocated; the advice changes nothing that it holds.
    unsafe {
        libc::madvise(memory.add(skipped).cast(), size - skipped, libc::MADV_HUGEPAGE);
    }
}

/// The atomics of model checkers are more than their bytes.
#[cfg(any(sluice_loom, sluice_shuttle))]
pub(crate) fn zeroed<T: Zeroed>(count: usize) -> Box<[T]> {
    std::iter::repeat_with(T::default).take(count).collect()
}

/// Asks for the cache line of a value before it is needed.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint to the processor; it reads nothing that the program could see, at any address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
