//! The calls that wait for permits of one key, in their order.

use std::collections::VecDeque;

use super::events::{PermitWaitId, SemaphoreCaller};
use crate::runtime::ThreadId;

/// A call that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub(super) id: PermitWaitId,
    pub(super) thread: ThreadId,
    pub(super) caller: SemaphoreCaller,
    /// How many it asks for.
    pub(super) permits: u64,
}

/// Calls by ascending number, which is the order of their arrival.
#[derive(Debug, Default)]
pub(super) struct Line(VecDeque<Waiter>);

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Waiter> {
        self.0.iter()
    }

    /// Adds a call at the end. Numbers are given under the lock of the key, so the last is the largest.
    pub(super) fn push(&mut self, waiter: Waiter) {
        self.0.push_back(waiter);
    }

    /// Returns a call to the place that it had.
    pub(super) fn put_back(&mut self, waiter: Waiter) {
        let place = self.0.partition_point(|other| other.id < waiter.id);
        self.0.insert(place, waiter);
    }

    pub(super) fn remove(&mut self, wait: PermitWaitId) -> Option<Waiter> {
        let place = self.0.binary_search_by_key(&wait, |waiter| waiter.id).ok()?;
        self.0.remove(place)
    }

    /// Removes the first call that `is_eligible`, if `fits` says so.
    pub(super) fn next(
        &mut self,
        is_eligible: impl Fn(&Waiter) -> bool,
        fits: impl FnOnce(&Waiter) -> bool,
    ) -> Option<Waiter> {
        let place = self.0.iter().position(is_eligible)?;
        if !fits(&self.0[place]) {
            return None;
        }
        self.0.remove(place)
    }

    /// Removes the calls that `is_unwanted`.
    pub(super) fn extract(&mut self, is_unwanted: impl Fn(&Waiter) -> bool) -> Vec<Waiter> {
        let (unwanted, kept) =
            std::mem::take(&mut self.0).into_iter().partition::<VecDeque<_>, _>(is_unwanted);
        self.0 = kept;
        unwanted.into()
    }
}
