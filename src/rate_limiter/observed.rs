//! Calls of limiters while the process is observed: how long they take, and samples for the rankings of clients.

use napi::bindgen_prelude::Result;
use sluice_core::observation::{Measured, Observed, Reason};
use sluice_core::runtime::clock;
use sluice_core::{Decision, LocalHandle};

use super::crossing::with_limiter;
use super::layouts::LimiterCall;
use crate::observation::{KeyBuffer, OBSERVATION, nanos, sampled};
use crate::runtime::raw::Call;

/// Makes a call whose key is argument 0, and that is seen. What the rankings need is read anew, so that a call that is not
/// seen keeps nothing for them.
#[cold]
#[inline(never)]
pub(super) fn observed<const N: usize, A>(
    call: &Call<'_, N>,
    consume: impl FnOnce(&mut LocalHandle, u64) -> sluice_core::Result<Decision>,
    answer: impl FnOnce(&Decision) -> A,
) -> Result<A> {
    let started = OBSERVATION.latencies.measures(Measured::Decisions).then(nanos);
    with_limiter(call, consume, |decision| {
        if let Some(started) = started {
            OBSERVATION.latencies.process.add(nanos().saturating_sub(started));
        }
        see(call, reason(&decision));
        answer(&decision)
    })
}

/// What became of a call.
fn reason(decision: &Decision) -> Reason {
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
    let (Ok(local), Ok(key)) = (limiters.at(handle), call.key(0)) else { return };
    let mut buffer = KeyBuffer::new();
    let text = call.text_start(0, &mut buffer).unwrap_or_default();
    let observed = Observed { reason, source: local.limiter().name(), key, text };
    OBSERVATION.observe(&observed, weight, clock::now());
}
