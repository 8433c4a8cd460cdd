//! A value that calls of many threads use until it is retired. It is dropped once no call is inside.
//!
//! A thread that calls often has a [`Handle`], whose entrance says whether a call of it is inside. A call sets its
//! entrance and then reads the mark; retirement sets the mark and then reads the entrances. The barriers between
//! (`barrier`) let at least one of the two see the other: either the call turns back, or the value outlives it. A call that
//! leaves reads the mark in the same way, and drops the value if it is the last one.
//! Garbage collection plays no part in it: a handle that nothing uses keeps nothing.
#![allow(
    unsafe_code,
    reason = "which calls are inside, and so whether the value exists, is known only at run time"
)]

use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use crate::runtime::barrier;
use crate::runtime::planted::planted;
use crate::runtime::sync::{AtomicU64, Mutex, Ordering, UnsafeCell};

/// A value that can be retired while calls use it.
pub(crate) struct Retirable<T> {
    value: UnsafeCell<ManuallyDrop<T>>,
    is_retired: AtomicU64,
    /// Calls inside that came in without a handle.
    guests: CachePadded<AtomicU64>,
    exit: Mutex<Exit>,
}

/// Decided by one thread at a time.
#[derive(Default)]
struct Exit {
    entrances: Vec<Arc<Entrance>>,
    /// Retirement has passed its barrier: no call can come in any more.
    is_shut: bool,
    is_dropped: bool,
}

/// Where the calls of one handle come in, one at a time.
#[derive(Debug, Default)]
struct Entrance(CachePadded<AtomicU64>);

const OUTSIDE: u64 = 0;
const INSIDE: u64 = 1;

// SAFETY: threads share the value by reference, and any of them may drop it.
unsafe impl<T: Send + Sync> Sync for Retirable<T> {}
// SAFETY: it owns its value.
unsafe impl<T: Send> Send for Retirable<T> {}

impl<T> Retirable<T> {
    pub(crate) fn new(value: T) -> Self {
        barrier::prepare();
        Self {
            value: UnsafeCell::new(ManuallyDrop::new(value)),
            is_retired: AtomicU64::new(0),
            guests: CachePadded::default(),
            exit: Mutex::default(),
        }
    }

    /// Begins a call as [`Handle::enter`] does, for calls that are made seldom.
    pub(crate) fn enter(&self) -> Option<Inside<'_, T>> {
        // Relaxed: the barrier orders it before the read of the mark.
        self.guests.fetch_add(1, Ordering::Relaxed);
        barrier::light();
        let inside = Inside { retirable: self, entrance: None };
        self.is_open().then_some(inside)
    }

    /// As [`enter`](Self::enter), for as long as the answer lives, in whichever thread.
    pub(crate) fn stay(self: &Arc<Self>) -> Option<Stay<T>> {
        std::mem::forget(self.enter()?);
        Some(Stay(Arc::clone(self)))
    }

    /// Lets no call in any more, and drops the value with the last call that is inside: now, where there is none.
    /// Where the system refuses the barrier, the value lives as long as `self`.
    pub(crate) fn retire(&self) {
        {
            let mut exit = self.exit.lock();
            self.is_retired.store(1, Ordering::Relaxed);
            // Under the lock: a call that leaves and sees the mark blocks here until the entrances are read.
            exit.is_shut = barrier::heavy();
        }
        self.drop_if_deserted();
    }

    #[inline]
    fn is_open(&self) -> bool {
        // Relaxed: the barrier before it orders it after the write of the same call.
        self.is_retired.load(Ordering::Relaxed) == 0
    }

    #[inline]
    fn leave(&self, entrance: Option<&Entrance>) {
        // Release: what the call did is done before the value is dropped.
        match entrance {
            Some(entrance) => entrance.0.store(OUTSIDE, Ordering::Release),
            None => {
                self.guests.fetch_sub(1, Ordering::Release);
            }
        }
        barrier::light();
        if !planted!(LastCallDropsNothing) && !self.is_open() {
            self.drop_if_deserted();
        }
    }

    #[cold]
    fn drop_if_deserted(&self) {
        let value = {
            let mut exit = self.exit.lock();
            if !exit.is_shut || exit.is_dropped || self.has_calls_inside(&exit) {
                return;
            }
            exit.is_dropped = true;
            // SAFETY: no call is inside, none can come in, and `is_dropped` lets one thread come here once.
            self.value.with_mut(|value| unsafe { ManuallyDrop::take(&mut *value) })
        };
        drop(value);
    }

    fn has_calls_inside(&self, exit: &Exit) -> bool {
        // Acquire: pairs with the release of calls that left.
        let is_inside = |entrance: &Arc<Entrance>| entrance.0.load(Ordering::Acquire) != OUTSIDE;
        let has_guests = !planted!(GuestsNotChecked) && self.guests.load(Ordering::Acquire) > 0;
        has_guests || (!planted!(EntrancesNotChecked) && exit.entrances.iter().any(is_inside))
    }
}

impl<T> Drop for Retirable<T> {
    fn drop(&mut self) {
        if !self.exit.lock().is_dropped {
            // SAFETY: nothing else has a reference, and the value was not dropped.
            self.value.with_mut(|value| unsafe { ManuallyDrop::drop(&mut *value) });
        }
    }
}

/// One thread's way in: a call costs two writes that no other thread makes, and no more.
pub(crate) struct Handle<T> {
    retirable: Arc<Retirable<T>>,
    entrance: Arc<Entrance>,
}

impl<T> Handle<T> {
    pub(crate) fn new(retirable: Arc<Retirable<T>>) -> Self {
        let entrance = Arc::<Entrance>::default();
        retirable.exit.lock().entrances.push(Arc::clone(&entrance));
        Self { retirable, entrance }
    }

    /// Begins a call; `None` when the value was retired.
    #[inline]
    pub(crate) fn enter(&mut self) -> Option<Inside<'_, T>> {
        // Relaxed: the barrier orders it before the read of the mark. `&mut`: the call before has left.
        self.entrance.0.store(INSIDE, Ordering::Relaxed);
        if !planted!(NoBarrierAfterEntrance) {
            barrier::light();
        }
        let inside = Inside { retirable: &self.retirable, entrance: Some(&self.entrance) };
        self.retirable.is_open().then_some(inside)
    }
}

impl<T> Drop for Handle<T> {
    fn drop(&mut self) {
        self.retirable.exit.lock().entrances.retain(|open| !Arc::ptr_eq(open, &self.entrance));
    }
}

/// A call that is inside: the value is there until it is dropped.
pub(crate) struct Inside<'a, T> {
    retirable: &'a Retirable<T>,
    entrance: Option<&'a Entrance>,
}

impl<T> Deref for Inside<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this call is inside, so the value is not dropped, and nothing has a mutable reference to it.
        self.retirable.value.with(|value| unsafe { &**value })
    }
}

impl<T> Drop for Inside<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.retirable.leave(self.entrance);
    }
}

/// The value is there until this is dropped.
pub(crate) struct Stay<T>(Arc<Retirable<T>>);

impl<T> Drop for Stay<T> {
    fn drop(&mut self) {
        // It came in as a guest.
        self.0.leave(None);
    }
}

#[cfg(all(test, sluice_loom))]
mod models {
    use std::sync::Arc;

    use loom::sync::atomic::{AtomicUsize, Ordering};
    use loom::thread;

    use super::*;

    /// Counts how often it was dropped.
    struct Value(Arc<AtomicUsize>);

    impl Drop for Value {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn value() -> (Arc<AtomicUsize>, Arc<Retirable<Value>>) {
        let drops = Arc::new(AtomicUsize::new(0));
        (Arc::clone(&drops), Arc::new(Retirable::new(Value(drops))))
    }

    /// While a call is inside, the value is not dropped.
    fn look(inside: Option<Inside<'_, Value>>) {
        if let Some(value) = inside {
            assert_eq!(value.0.load(Ordering::SeqCst), 0, "dropped during a call");
        }
    }

    /// Retires the value while other threads call: it is dropped once, as soon as no call is inside.
    fn retire_next_to(calls: Vec<Box<dyn FnOnce(&Arc<Retirable<Value>>) + Send>>) {
        let (drops, retirable) = value();
        let retires: Box<dyn FnOnce(&Arc<Retirable<Value>>) + Send> = Box::new(|value| value.retire());
        let threads = calls.into_iter().chain([retires]).map(|call| {
            let retirable = Arc::clone(&retirable);
            thread::spawn(move || call(&retirable))
        });
        threads.collect::<Vec<_>>().into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert_eq!(drops.load(Ordering::SeqCst), 1, "no call is inside");
        drop(retirable);
        assert_eq!(drops.load(Ordering::SeqCst), 1, "dropped twice");
    }

    fn call_twice(retirable: &Arc<Retirable<Value>>) {
        let mut handle = Handle::new(Arc::clone(retirable));
        look(handle.enter());
        look(handle.enter());
    }

    #[test]
    fn a_value_is_not_dropped_during_a_call() {
        loom::model(|| retire_next_to(vec![Box::new(call_twice)]));
    }

    #[test]
    fn a_value_is_not_dropped_during_a_call_without_a_handle() {
        loom::model(|| retire_next_to(vec![Box::new(|value| look(value.enter()))]));
    }

    /// As of calls that count as one: each of its own value, whose drop ends the stay.
    #[test]
    fn a_value_is_dropped_with_the_last_stay() {
        let stays = |retirable: &Arc<Retirable<Value>>| {
            let stay = retirable.stay();
            if let Some(Stay(retirable)) = &stay {
                retirable.value.with(|value| {
                    // SAFETY: the stay keeps it.
                    assert_eq!(unsafe { &*value }.0.load(Ordering::SeqCst), 0, "dropped during a stay");
                });
            }
        };
        loom::model(move || retire_next_to(vec![Box::new(stays)]));
    }

    #[test]
    fn the_last_call_drops_a_retired_value() {
        let once = |retirable: &Arc<Retirable<Value>>| look(Handle::new(Arc::clone(retirable)).enter());
        loom::model(move || retire_next_to(vec![Box::new(once), Box::new(|value| look(value.enter()))]));
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_dropped_with_the_last_call_and_let_in_no_more() {
        let value = Arc::new(());
        let retirable = Arc::new(Retirable::new(Arc::clone(&value)));
        let (mut first, mut second) =
            (Handle::new(Arc::clone(&retirable)), Handle::new(Arc::clone(&retirable)));
        let inside = (first.enter(), retirable.enter());
        assert!(inside.0.is_some() && inside.1.is_some());
        retirable.retire();
        assert!(second.enter().is_none() && retirable.enter().is_none());
        assert_eq!(Arc::strong_count(&value), 2, "two calls are inside");
        drop(inside);
        assert_eq!(Arc::strong_count(&value), 1, "handles keep nothing");
        retirable.retire();
    }

    #[test]
    fn calls_of_threads_beside_a_retirement_find_the_value_or_nothing() {
        for _ in 0..200 {
            let value = Arc::new(7);
            let retirable = Arc::new(Retirable::new(Arc::clone(&value)));
            std::thread::scope(|scope| {
                for _ in 0..3 {
                    let mut handle = Handle::new(Arc::clone(&retirable));
                    scope.spawn(move || while handle.enter().is_some_and(|value| **value == 7) {});
                }
                retirable.retire();
            });
            assert_eq!(Arc::strong_count(&value), 1);
        }
    }
}
