//! Instances a thread uses, by the integer its JavaScript knows them by.

use std::sync::Arc;

use napi::bindgen_prelude::{Error, Result, Status};

/// Handles of one kind of instance in one thread. A handle is shared by all JavaScript objects of the
/// thread that stand for the instance, and free again when the last of them was collected.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Option<Slot<T>>>,
}

#[derive(Debug)]
struct Slot<T> {
    instance: Arc<T>,
    holders: u32,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new() }
    }

    pub(crate) fn get(&self, handle: u32) -> Result<&Arc<T>> {
        let slot = self.slots.get(handle as usize).and_then(Option::as_ref);
        let no_such_handle = || Error::new(Status::InvalidArg, "sluice: no such handle in this thread");
        slot.map(|slot| &slot.instance).ok_or_else(no_such_handle)
    }

    /// The handle of an instance, for one more holder.
    pub(crate) fn hold(&mut self, instance: Arc<T>) -> u32 {
        let taken =
            |slot: &Option<Slot<T>>| slot.as_ref().is_some_and(|s| Arc::ptr_eq(&s.instance, &instance));
        let index = self.slots.iter().position(taken).unwrap_or_else(|| self.vacancy());
        let slot = self.slots[index].get_or_insert(Slot { instance, holders: 0 });
        slot.holders += 1;
        u32::try_from(index).unwrap_or(u32::MAX)
    }

    /// One holder less.
    pub(crate) fn release(&mut self, handle: u32) {
        let Some(slot) = self.slots.get_mut(handle as usize) else { return };
        let Some(held) = slot else { return };
        held.holders -= 1;
        if held.holders == 0 {
            *slot = None;
        }
    }

    fn vacancy(&mut self) -> usize {
        self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        })
    }
}
