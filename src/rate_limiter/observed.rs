//! Samples of the calls of limiters, for the rankings of clients.

use sluice_core::Decision;
use sluice_core::observation::{Observed, Reason};
use sluice_core::runtime::clock;

use super::layouts::LimiterCall;
use crate::observation::{KeyBuffer, OBSERVATION, sampled};
use crate::runtime::raw::Call;

/// Lets the rankings see a call whose key is argument 0. One look at a flag while nothing is observed: what the rankings need
/// is read anew, so that the call itself keeps nothing for them.
#[inline(always)]
pub(super) fn observe<const N: usize>(call: &Call<'_, N>, reason: impl FnOnce() -> Reason) {
    if OBSERVATION.is_on() {
        see(call, reason());
    }
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
fn see<const N: usize>(call: &Call<'_, N>, reason: Reason) {
    if let Some(weight) = sampled(call.port.thread(), reason) {
        add(call, reason, weight);
    }
}

#[cold]
#[inline(never)]
fn add<const N: usize>(call: &Call<'_, N>, reason: Reason, weight: u32) {
    let LimiterCall { handle, .. } = call.port.read();
    let mut limiters = call.port.thread().limiters.borrow_mut();
    if let Ok(local) = limiters.at(handle) {
        add_as(call, local.limiter().name(), (reason, weight));
    }
}

/// As [`observe`], of a call of a limiter of this name.
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
