//! The lists and banned ranges in force, for readers of all threads.

use std::sync::Arc;

#[cfg(not(any(sluice_loom, sluice_shuttle)))]
use arc_swap::ArcSwap;

use super::ranges::Ranges;
use crate::runtime::planted::planted;
use crate::runtime::sync::{AtomicU64, Mutex, Ordering};

#[cfg(any(sluice_loom, sluice_shuttle))]
use self::modelled::ArcSwap;

#[cfg(not(any(sluice_loom, sluice_shuttle)))]
pub(super) type Loaded = arc_swap::Guard<Arc<Ranges>>;
#[cfg(any(sluice_loom, sluice_shuttle))]
pub(super) type Loaded = Arc<Ranges>;

/// Lists and banned ranges, exchanged as one. Most reputations have none, which is read from a flag.
///
/// The flag is raised before ranges are stored where there were none, and lowered after the last ones are gone, within
/// the lock of changes. So a reader that finds it lowered misses nothing that another reader has seen before.
pub(super) struct SharedRanges {
    in_force: ArcSwap<Ranges>,
    /// 0 only while there are no ranges.
    any: AtomicU64,
    /// Serializes changes.
    changing: Mutex<()>,
}

impl SharedRanges {
    pub(super) fn new(ranges: Ranges) -> Self {
        Self {
            any: AtomicU64::new(u64::from(!ranges.is_empty())),
            in_force: ArcSwap::from_pointee(ranges),
            changing: Mutex::new(()),
        }
    }

    /// All of them at one moment. Takes no lock.
    pub(super) fn load(&self) -> Loaded {
        self.in_force.load()
    }

    /// As [`load`](Self::load); `None` while there are none, which costs one atomic load.
    #[inline]
    pub(super) fn load_any(&self) -> Option<Loaded> {
        // Acquire: pairs with the last store of a change, so a thread that finds no ranges finds none afterwards either,
        // until the next change.
        if self.any.load(Ordering::Acquire) == 0 { None } else { Some(self.load()) }
    }

    /// Changes them, after every change that has begun.
    pub(super) fn change(&self, change: impl FnOnce(Ranges) -> Ranges) {
        self.change_and(change, |_| {});
    }

    /// As [`change`](Self::change). Then all threads see the change, and `follow` runs before the next one.
    pub(super) fn change_and(&self, change: impl FnOnce(Ranges) -> Ranges, follow: impl FnOnce(&Ranges)) {
        let one_at_a_time = self.changing.lock();
        let changed = change(Ranges::clone(&self.load()));
        let any = !changed.is_empty();
        if planted!(RangesFlagOutsideLock) {
            self.in_force.store(Arc::new(changed));
            drop(one_at_a_time);
            return self.any.store(any.into(), Ordering::Release);
        }
        if any && !planted!(RangesFlagRaisedLate) {
            // Relaxed: the exchange that follows releases it.
            self.any.store(1, Ordering::Relaxed);
        }
        self.in_force.store(Arc::new(changed));
        // Release: a thread that finds no ranges sees that they are gone.
        self.any.store(any.into(), Ordering::Release);
        follow(&self.load());
    }

    /// Looks at them while none of them changes.
    pub(super) fn hold(&self, look: impl FnOnce(&Ranges)) {
        let _one_at_a_time = self.changing.lock();
        look(&self.load());
    }
}

/// An exchange whose steps and order a model checker knows.
#[cfg(any(sluice_loom, sluice_shuttle))]
mod modelled {
    use std::sync::Arc;

    use crate::runtime::sync::Mutex;

    pub(super) struct ArcSwap<T>(Mutex<Arc<T>>);

    impl<T> ArcSwap<T> {
        pub(super) fn from_pointee(value: T) -> Self {
            Self(Mutex::new(Arc::new(value)))
        }

        pub(super) fn load(&self) -> Arc<T> {
            Arc::clone(&self.0.lock())
        }

        pub(super) fn store(&self, value: Arc<T>) {
            *self.0.lock() = value;
        }
    }
}

/// Every interleaving of two threads.
#[cfg(all(test, sluice_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::reputation::ranges::Lists;

    fn ranges(denied: &[&str]) -> Ranges {
        let denied: Vec<_> = denied.iter().map(|range| (*range).to_owned()).collect();
        let lists = Lists::parse("model", &[], &denied).expect("ranges");
        Ranges { lists: lists.into(), ..Ranges::default() }
    }

    #[test]
    fn the_flag_of_ranges_follows_the_last_of_two_changes() {
        loom::model(|| {
            let shared = Arc::new(SharedRanges::new(ranges(&["192.0.2.0/24"])));
            let other = Arc::clone(&shared);
            let emptied = thread::spawn(move || other.change(|_| Ranges::default()));
            shared.change(|_| ranges(&["198.51.100.0/24"]));
            emptied.join().expect("no panic");
            assert_eq!(shared.load_any().is_some(), !shared.load().is_empty());
        });
    }

    #[test]
    fn ranges_that_were_seen_are_not_missed_afterwards() {
        loom::model(|| {
            let shared = Arc::new(SharedRanges::new(Ranges::default()));
            let other = Arc::clone(&shared);
            let filled = thread::spawn(move || other.change(|_| ranges(&["192.0.2.0/24"])));
            if !shared.load().is_empty() {
                assert!(shared.load_any().is_some_and(|ranges| !ranges.is_empty()));
            }
            filled.join().expect("no panic");
            assert!(shared.load_any().is_some());
        });
    }
}
