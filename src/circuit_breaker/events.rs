//! Events of circuits that change their state.

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::CircuitChange;

use super::breaker;
use crate::runtime::numbers::{ceil_ms, double};
use crate::runtime::seam::Coded;
use crate::runtime::{error, thread};

/// A circuit changed its state.
#[napi(object)]
pub struct NativeCircuitChange {
    pub number: f64,
    pub from: String,
    pub to: String,
    pub calls: f64,
    pub failures: f64,
    pub slow_calls: f64,
    pub open_for_ms: Option<f64>,
}

/// Delivers every later change to this thread, under the number of the subscription.
#[napi]
pub fn subscribe_to_circuits(env: Env, handle: u32, subscription: u32) -> Result<()> {
    let mailbox = thread::port_of(&env)?.mailbox();
    error::check(&env, breaker(handle)?.subscribe(mailbox, subscription))
}

#[napi]
pub fn unsubscribe_from_circuits(handle: u32, subscription: u32) -> Result<()> {
    breaker(handle)?.unsubscribe(thread::current()?.id, subscription);
    Ok(())
}

impl From<CircuitChange> for NativeCircuitChange {
    fn from(change: CircuitChange) -> Self {
        Self {
            number: double(change.number),
            from: change.from.text().to_owned(),
            to: change.to.text().to_owned(),
            calls: double(change.counts.calls),
            failures: double(change.counts.failures),
            slow_calls: double(change.counts.slow),
            open_for_ms: change.open_for.map(ceil_ms),
        }
    }
}
