//! `CircuitBreaker`: raw calls for permits, `#[napi]` for the rest.

mod events;
mod permits;
mod stats;

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use sluice_core::runtime::key_hash::hash_str;
use sluice_core::{
    CircuitBreaker, CircuitBreakerConfig, CircuitBreakerOptions, CircuitState, CircuitWindowOptions,
    Instances, LocalBreaker,
};

use crate::components::Component;
use crate::runtime::error;
use crate::runtime::instances;
use crate::runtime::options::Given;
use crate::runtime::seam::{Coded, Declarations, Layout, codes};
use crate::runtime::slab::Held;
use crate::runtime::thread;

pub(crate) use events::NativeCircuitChange;
use permits::{BreakerRefusal, CallTimes, PermitAnswer, PermitCall};

static BREAKERS: Instances<CircuitBreaker> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &BREAKERS,
    export: permits::export,
    declarations: Declarations {
        layouts: &[
            PermitCall::DESCRIPTION,
            PermitAnswer::DESCRIPTION,
            CallTimes::DESCRIPTION,
            BreakerRefusal::DESCRIPTION,
        ],
        codes: &[CircuitState::DESCRIPTION],
        options: &[
            ("CircuitBreaker", CircuitBreakerOptions::FIELDS),
            ("CircuitBreaker window", CircuitWindowOptions::FIELDS),
        ],
    },
};

codes! {
    /// The states of a circuit.
    CircuitState = "CIRCUIT_STATES" {
        Closed = "closed",
        Open = "open",
        HalfOpen = "halfOpen",
        Isolated = "isolated",
        Disabled = "disabled",
    }
}

/// Attaches to a breaker, or creates it. The handle belongs to the calling thread.
#[napi]
pub fn open_circuit_breaker(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let options = options.map(|options| CircuitBreakerOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(CircuitBreakerConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let breaker = instances::open(&env, &BREAKERS, &name, config, reconfigures)?;
    Ok(thread::current()?.breakers.borrow_mut().hold(breaker))
}

/// Releases one reference to the handle: a JavaScript object that used it was collected.
#[napi]
pub fn release_circuit_breaker(handle: u32) -> Result<()> {
    thread::current()?.breakers.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_circuit_breaker(name: String) -> bool {
    BREAKERS.destroy(&name)
}

#[napi]
pub fn circuit_state(env: Env, handle: u32, peer: String) -> Result<String> {
    let state = error::check(&env, breaker(handle)?.state(hash_str(&peer)))?;
    Ok(state.text().to_owned())
}

#[napi]
pub fn isolate_circuit(env: Env, handle: u32, peer: String) -> Result<()> {
    error::check(&env, breaker(handle)?.isolate(hash_str(&peer), &peer))
}

#[napi]
pub fn disable_circuit(env: Env, handle: u32, peer: String) -> Result<()> {
    error::check(&env, breaker(handle)?.disable(hash_str(&peer), &peer))
}

#[napi]
pub fn reset_circuit(env: Env, handle: u32, peer: String) -> Result<()> {
    error::check(&env, breaker(handle)?.reset(hash_str(&peer)))
}

fn breaker(handle: u32) -> Result<Arc<CircuitBreaker>> {
    Ok(Arc::clone(thread::current()?.breakers.borrow().get(handle)?.breaker()))
}

impl Held for LocalBreaker {
    type Instance = CircuitBreaker;

    fn hold(breaker: Arc<CircuitBreaker>) -> Self {
        Self::new(breaker)
    }

    fn instance(&self) -> &Arc<CircuitBreaker> {
        self.breaker()
    }
}
