//! The handles of a thread: integers by which its JavaScript names instances.

use std::sync::Arc;

use napi::bindgen_prelude::{Error, Result, Status};
use sluice_core::{HitCounter, LocalHandle, LocalHitCounter, RateLimiter};
use sluice_fleet::{FleetLimiter, LocalFleet};

/// What a thread keeps of an instance: the instance alone, or more.
pub(crate) trait Held {
    type Instance;

    fn hold(instance: Arc<Self::Instance>) -> Self;

    fn instance(&self) -> &Arc<Self::Instance>;
}

impl<T> Held for Arc<T> {
    type Instance = T;

    fn hold(instance: Self) -> Self {
        instance
    }

    fn instance(&self) -> &Self {
        self
    }
}

impl Held for LocalHandle {
    type Instance = RateLimiter;

    fn hold(limiter: Arc<RateLimiter>) -> Self {
        Self::new(limiter)
    }

    fn instance(&self) -> &Arc<RateLimiter> {
        self.limiter()
    }
}

impl Held for LocalHitCounter {
    type Instance = HitCounter;

    fn hold(counter: Arc<HitCounter>) -> Self {
        Self::new(counter)
    }

    fn instance(&self) -> &Arc<HitCounter> {
        self.counter()
    }
}

impl Held for LocalFleet {
    type Instance = FleetLimiter;

    fn hold(fleet: Arc<FleetLimiter>) -> Self {
        Self::new(fleet)
    }

    fn instance(&self) -> &Arc<FleetLimiter> {
        self.fleet()
    }
}

/// Handles of one kind of instance in one thread. All JavaScript objects of the thread for one instance share a handle,
/// which is free again when the last of them is collected.
#[derive(Debug)]
pub(crate) struct Slab<H> {
    slots: Vec<Option<Slot<H>>>,
}

#[derive(Debug)]
struct Slot<H> {
    held: H,
    holders: u32,
}

impl<H> Default for Slab<H> {
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

impl<H: Held> Slab<H> {
    #[inline]
    pub(crate) fn get(&self, handle: u32) -> Result<&H> {
        let slot = self.slots.get(handle as usize).and_then(Option::as_ref);
        slot.map(|slot| &slot.held).ok_or_else(no_such_handle)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, handle: u32) -> Result<&mut H> {
        let slot = self.slots.get_mut(handle as usize).and_then(Option::as_mut);
        slot.map(|slot| &mut slot.held).ok_or_else(no_such_handle)
    }

    /// As [`at`](Self::at); `None` where the handle stands for nothing here.
    #[inline(always)]
    pub(crate) fn find(&mut self, handle: i32) -> Option<&mut H> {
        let slot = self.slots.get_mut(handle.cast_unsigned() as usize).and_then(Option::as_mut);
        slot.map(|slot| &mut slot.held)
    }

    /// By a handle that crossed among the integers.
    #[inline(always)]
    pub(crate) fn at(&mut self, handle: i32) -> Result<&mut H> {
        // A negative handle becomes a large one, which no slab has.
        self.get_mut(handle.cast_unsigned())
    }

    /// Runs `body` on everything that is held.
    pub(crate) fn each(&mut self, body: impl FnMut(&mut H)) {
        self.slots.iter_mut().flatten().map(|slot| &mut slot.held).for_each(body);
    }

    /// The handle of an instance, for one more holder.
    pub(crate) fn hold(&mut self, instance: Arc<H::Instance>) -> u32 {
        let taken = |slot: &Option<Slot<H>>| {
            slot.as_ref().is_some_and(|slot| Arc::ptr_eq(slot.held.instance(), &instance))
        };
        let index = self.slots.iter().position(taken).unwrap_or_else(|| self.vacancy());
        let slot = self.slots[index].get_or_insert_with(|| Slot { held: H::hold(instance), holders: 0 });
        slot.holders += 1;
        i32::try_from(index).unwrap_or(i32::MAX).cast_unsigned()
    }

    /// One holder less; what was held, if that was the last one.
    pub(crate) fn release(&mut self, handle: u32) -> Option<H> {
        let slot = self.slots.get_mut(handle as usize)?;
        let held = slot.as_mut()?;
        held.holders -= 1;
        if held.holders > 0 {
            return None;
        }
        slot.take().map(|slot| slot.held)
    }

    fn vacancy(&mut self) -> usize {
        self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        })
    }
}

/// The reason of an error where a handle stands for nothing.
pub(crate) const NO_SUCH_HANDLE: &str = "sluice: no such handle in this thread";

/// The error of a handle that stands for nothing.
#[cold]
pub(crate) fn no_such_handle() -> Error {
    Error::new(Status::InvalidArg, NO_SUCH_HANDLE)
}
