//! A memory barrier that costs nothing where it is passed often and much where it is passed seldom.
//!
//! Two threads each write one word and then read the other's. With a barrier between write and read on both sides, at
//! least one of them sees what the other wrote (Dekker). Here the frequent side passes [`light`] and the rare side
//! [`heavy`]. On Linux the light barrier binds the compiler only, and `membarrier` makes every running thread of the
//! process pass a full one. Elsewhere both are full fences.

#[cfg(any(not(target_os = "linux"), sluice_loom, sluice_shuttle))]
use crate::runtime::sync::{Ordering, fence};

#[cfg(all(target_os = "linux", not(any(sluice_loom, sluice_shuttle))))]
mod asymmetric {
    use std::sync::Once;
    use std::sync::atomic::{AtomicBool, Ordering, compiler_fence, fence};

    use rustix::thread::{MembarrierCommand, membarrier};

    /// Whether `heavy` reaches all threads. Until then, and where the system forbids it, `light` is a full fence.
    static REACHES_ALL: AtomicBool = AtomicBool::new(false);

    pub(crate) fn prepare() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let registered = membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok();
            // Relaxed: a thread that does not see it yet passes the stronger barrier.
            REACHES_ALL.store(registered, Ordering::Relaxed);
        });
    }

    #[inline(always)]
    pub(crate) fn light() {
        if !REACHES_ALL.load(Ordering::Relaxed) {
            full();
        }
        compiler_fence(Ordering::SeqCst);
    }

    #[cold]
    fn full() {
        fence(Ordering::SeqCst);
    }

    pub(crate) fn heavy() -> bool {
        fence(Ordering::SeqCst);
        !REACHES_ALL.load(Ordering::Relaxed) || membarrier(MembarrierCommand::PrivateExpedited).is_ok()
    }
}

#[cfg(all(target_os = "linux", not(any(sluice_loom, sluice_shuttle))))]
pub(crate) use asymmetric::{heavy, light, prepare};

/// Before the first use of the other two.
#[cfg(any(not(target_os = "linux"), sluice_loom, sluice_shuttle))]
pub(crate) fn prepare() {}

/// The frequent side's, between its write and its read.
#[cfg(any(not(target_os = "linux"), sluice_loom, sluice_shuttle))]
#[inline(always)]
pub(crate) fn light() {
    fence(Ordering::SeqCst);
}

/// The rare side's. False when the system refused it: then nothing may be concluded from what is read.
#[cfg(any(not(target_os = "linux"), sluice_loom, sluice_shuttle))]
pub(crate) fn heavy() -> bool {
    fence(Ordering::SeqCst);
    true
}
