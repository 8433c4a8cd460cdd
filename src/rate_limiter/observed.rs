//! Calls of limiters while the process is observed: how long they take, and samples for the rankings of clients.

use sluice_core::Decision;
use sluice_core::observation::{Measured, Observed, Reason};
use sluice_core::runtime::clock;

use super::layouts::LimiterCall;
use super::shared;
use crate::observation::{KeyBuffer, OBSERVATION, nanos, sampled};
use crate::runtime::raw::Call;
use crate::runtime::thread::Thread;

/// When a call of a limiter began that is seen.
#[derive(Clone, Copy)]
pub(super) struct Began(u64);

impl Began {
    /// Nothing is observed.
    const UNSEEN: u64 = 0;
    /// The call is seen, and its time is not measured.
    const UNMEASURED: u64 = 1;

    /// One look at a flag while nothing is observed.
    #[inline(always)]
    pub(super) fn now() -> Self {
        if OBSERVATION.is_on() { began() } else { Self(Self::UNSEEN) }
    }

    /// Of a call that is seen.
    #[inline(always)]
    pub(super) fn of_seen() -> Self {
        let is_measured = OBSERVATION.latencies.measures(Measured::Decisions);
        Self(if is_measured { nanos().max(Self::UNMEASURED + 1) } else { Self::UNMEASURED })
    }

    /// Lets the histogram and the rankings see the call, whose key is argument 0. What the rankings need is read anew, so that
    /// the call itself keeps nothing for them.
    #[inline(always)]
    pub(super) fn end<const N: usize>(self, call: &Call<'_, N>, reason: impl FnOnce() -> Reason) {
        if self.0 != Self::UNSEEN {
            see(call, self.0, reason());
        }
    }
}

/// Whether nothing looks at the next call of this thread, if it is admitted. Where it is not, `see_refused` follows.
#[inline(always)]
pub(super) fn passes_unseen(thread: &Thread) -> bool {
    !OBSERVATION.latencies.measures(Measured::Decisions) && thread.samplers.passes_admitted()
}

/// Lets the rankings see a call that `passes_unseen` has taken for one that is admitted.
#[cold]
#[inline(never)]
pub(super) fn see_refused<const N: usize>(call: &Call<'_, N>, reason: Reason) {
    call.port.thread().samplers.was_not_admitted();
    see(call, Began::UNMEASURED, reason);
}

/// Lets the rankings see a call that is not measured, whose key is argument 0.
pub(super) fn see_unmeasured<const N: usize>(call: &Call<'_, N>, reason: impl FnOnce() -> Reason) {
    if OBSERVATION.is_on() {
        see(call, Began::UNMEASURED, reason());
    }
}

#[cold]
#[inline(never)]
fn began() -> Began {
    Began::of_seen()
}

/// Whether anything observes calls.
#[inline(always)]
pub(crate) fn is_observed() -> bool {
    OBSERVATION.is_on()
}

/// What became of a call.
pub(crate) fn reason(decision: &Decision) -> Reason {
    match decision {
        Decision { allowed: false, .. } => Reason::Quota,
        Decision { would_refuse: Some(true), .. } => Reason::DryRun,
        _ => Reason::Admitted,
    }
}

#[cold]
#[inline(never)]
fn see<const N: usize>(call: &Call<'_, N>, began: u64, reason: Reason) {
    if began != Began::UNMEASURED {
        OBSERVATION.latencies.process.add(nanos().saturating_sub(began));
    }
    if let Some(weight) = sampled(call.port.thread(), reason) {
        add(call, reason, weight);
    }
}

#[cold]
#[inline(never)]
fn add<const N: usize>(call: &Call<'_, N>, reason: Reason, weight: u32) {
    let LimiterCall { handle, .. } = call.port.read();
    if let Ok(Some(attachment)) = shared::by_handle(handle) {
        return add_as(call, shared::limiter(&attachment).name(), (reason, weight));
    }
    let mut limiters = call.port.thread().limiters.borrow_mut();
    if let Ok(local) = limiters.at(handle) {
        add_as(call, local.limiter().name(), (reason, weight));
    }
}

/// Lets the rankings see a call of a limiter of this name, which is not measured.
pub(crate) fn observe_as<const N: usize>(call: &Call<'_, N>, source: &str, reason: impl FnOnce() -> Reason) {
    if OBSERVATION.is_on() {
        let reason = reason();
        if let Some(weight) = sampled(call.port.thread(), reason) {
            add_as(call, source, (reason, weight));
        }
    }
}

fn add_as<const N: usize>(call: &Call<'_, N>, source: &str, (reason, weight): (Reason, u32)) {
    let Ok(key) = call.key(0) else { return };
    let mut buffer = KeyBuffer::new();
    let text = call.text_start(0, &mut buffer).unwrap_or_default();
    OBSERVATION.observe(&Observed { reason, source, key, text }, weight, clock::now());
}
