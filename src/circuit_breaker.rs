//! `CircuitBreaker`: raw calls for permits, `#[napi]` for the rest.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Object, Result};
use napi::sys;
use napi_derive::napi;
use sluice_core::runtime::clock::{self, MS};
use sluice_core::runtime::key_hash::{KeyHash, hash_str};
use sluice_core::{
    Answer, CircuitBreaker, CircuitBreakerConfig, CircuitBreakerOptions, CircuitChange, CircuitState,
    CircuitStats, Instances, Request, Ticket,
};

use crate::components::Component;
use crate::runtime::clock::{from_ms, in_ms};
use crate::runtime::error;
use crate::runtime::instances;
use crate::runtime::options::Given;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, Declarations, Layout, codes, layout};
use crate::runtime::thread;

static BREAKERS: Instances<CircuitBreaker> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &BREAKERS,
    export,
    declarations: Declarations {
        layouts: &[PermitNumbers::DESCRIPTION, BreakerRefusal::DESCRIPTION],
        codes: &[CircuitState::DESCRIPTION],
        options: &[("CircuitBreaker", CircuitBreakerOptions::FIELDS)],
    },
};

/// A circuit got another state.
#[napi(object)]
pub struct NativeCircuitChange {
    pub from: String,
    pub to: String,
    pub calls: f64,
    pub failures: f64,
    pub slow_calls: f64,
    pub open_for_ms: Option<f64>,
}

/// Sums over all threads, and how many circuits are in which state.
#[napi(object)]
pub struct NativeCircuitBreakerStats {
    pub successes: f64,
    pub failures: f64,
    pub slow_calls: f64,
    pub refused: f64,
    pub ignored: f64,
    pub opened: f64,
    pub evicted: f64,
    pub untracked: f64,
    pub closed: f64,
    pub open: f64,
    pub half_open: f64,
    pub isolated: f64,
    pub disabled: f64,
}

/// One circuit.
#[napi(object)]
pub struct NativeCircuitStats {
    pub peer: String,
    pub state: String,
    pub calls: f64,
    pub failures: f64,
    pub slow_calls: f64,
    pub failure_rate: f64,
    pub slow_call_rate: f64,
    pub retry_after_ms: Option<f64>,
    pub openings: u32,
}

/// Attaches to a breaker or creates it; the handle is this thread's.
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

/// One JavaScript object less that stands for the breaker.
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

#[napi]
pub fn circuit_breaker_stats(env: Env, handle: u32) -> Result<NativeCircuitBreakerStats> {
    let stats = error::check(&env, breaker(handle)?.stats())?;
    Ok(NativeCircuitBreakerStats {
        successes: stats.succeeded as f64,
        failures: stats.failed as f64,
        slow_calls: stats.slow as f64,
        refused: stats.refused as f64,
        ignored: stats.ignored as f64,
        opened: stats.opened as f64,
        evicted: stats.evicted as f64,
        untracked: stats.untracked as f64,
        closed: stats.closed as f64,
        open: stats.open as f64,
        half_open: stats.half_open as f64,
        isolated: stats.isolated as f64,
        disabled: stats.disabled as f64,
    })
}

/// The circuit of one peer; none for a peer that is not known.
#[napi]
pub fn circuit_stats(env: Env, handle: u32, peer: String) -> Result<Option<NativeCircuitStats>> {
    let stats = error::check(&env, breaker(handle)?.peer_stats(hash_str(&peer), clock::now()))?;
    Ok(stats.map(Into::into))
}

/// All circuits, by the names of their peers.
#[napi]
pub fn all_circuit_stats(env: Env, handle: u32) -> Result<Vec<NativeCircuitStats>> {
    let all = error::check(&env, breaker(handle)?.all_peer_stats(clock::now()))?;
    Ok(all.into_iter().map(Into::into).collect())
}

/// Tells this thread of every change from now on, under this number.
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
            from: change.from.text().to_owned(),
            to: change.to.text().to_owned(),
            calls: change.counts.calls as f64,
            failures: change.counts.failures as f64,
            slow_calls: change.counts.slow as f64,
            open_for_ms: change.open_for.map(|nanos| clock::ceil_ms(nanos) as f64),
        }
    }
}

impl From<CircuitStats> for NativeCircuitStats {
    fn from(stats: CircuitStats) -> Self {
        Self {
            peer: stats.peer.to_string(),
            state: stats.state.text().to_owned(),
            calls: stats.counts.calls as f64,
            failures: stats.counts.failures as f64,
            slow_calls: stats.counts.slow as f64,
            failure_rate: stats.counts.failure_rate(),
            slow_call_rate: stats.counts.slow_rate(),
            retry_after_ms: stats.retry_after.map(|nanos| clock::ceil_ms(nanos) as f64),
            openings: stats.openings,
        }
    }
}

fn breaker(handle: u32) -> Result<Arc<CircuitBreaker>> {
    thread::current()?.breakers.borrow().get(handle).cloned()
}

fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("acquirePermit(handle: number, peer: string, hasDeadline: 0 | 1): number", acquire)?;
    exports.function("permitSuccess(handle: number, ticket: number, startedAt: number): void", success)?;
    exports.function(
        "permitSuccessAfter(handle: number, ticket: number, durationMs: number): void",
        success_after,
    )?;
    exports.function("permitFailure(handle: number, ticket: number, startedAt: number): void", failure)?;
    exports.function("releasePermit(handle: number, ticket: number): void", release)
}

/// Runs `body` on the breaker of argument 0.
fn with_breaker<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&CircuitBreaker) -> sluice_core::Result<R>,
) -> Result<R> {
    call.check(call.on(&call.port.thread().breakers, body)?)
}

/// `acquirePermit(handle, peer, fires)`: the number of a ticket, and in the results array the time by `elapsed` and the
/// milliseconds that a call may take, 0 for any; or 0,
/// and there the state that refuses and milliseconds to wait, -1 where that depends on others.
unsafe extern "C" fn acquire(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (key, fires) = (call.key(1)?, call.u32(2)? == 1);
        let (now, set_back) = clock::now_and_set_back();
        let thread = call.port.thread().id;
        let (timeout_ms, request, known) = with_breaker(call, |breaker| {
            let timeout_ms = breaker.timeout_ms();
            let request = Request { thread, has_deadline: fires && timeout_ms > 0 };
            Ok((timeout_ms, request, breaker.try_acquire_known(key, request, now)?))
        })?;
        let answer = match known {
            Some(answer) => answer,
            None => {
                let peer = peer_text(call, key)?;
                with_breaker(call, |breaker| breaker.try_acquire(key, &peer, request, now))?
            }
        };
        let started_at = in_ms(now) + set_back as f64;
        tell(call, answer, PermitNumbers { started_at, timeout: timeout_ms as f64 })
    })
}

/// The name of a peer not met before. Names are told as text, so they must be some.
fn peer_text<const N: usize>(call: &Call<'_, N>, key: KeyHash) -> Result<String> {
    let text = call.text(1).unwrap_or_default();
    if hash_str(&text) != key {
        return Err(error::invalid_peer(call.env, call.args[1]));
    }
    Ok(text)
}

layout! {
    /// A permit that was acquired.
    pub(crate) struct PermitNumbers = "PERMIT" from 0 => {
        /// When, in milliseconds of the clock.
        started_at,
        /// Milliseconds that the call may take; 0: no limit.
        timeout,
    }
}

layout! {
    /// Why no permit was acquired.
    pub(crate) struct BreakerRefusal = "BREAKER_REFUSAL" from 0 => {
        /// The circuit's state, by its code.
        state,
        /// Milliseconds until it is worth asking again; -1 where that is not known.
        retry_after,
    }
}

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

fn tell<const N: usize>(
    call: &Call<'_, N>,
    answer: Answer,
    admitted: PermitNumbers,
) -> Result<sys::napi_value> {
    let number = match answer {
        Ok(ticket) => {
            call.port.write(admitted);
            ticket.number()
        }
        Err(refused) => {
            call.port.write(BreakerRefusal {
                state: refused.state.code().into(),
                retry_after: refused.retry_after.map_or(-1.0, |nanos| clock::ceil_ms(nanos) as f64),
            });
            0
        }
    };
    call.number(number as f64)
}

/// `permitSuccess(handle, ticket, startedAt)`: the call took the time since then.
unsafe extern "C" fn success(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    report_since(env, info, false)
}

/// `permitFailure(handle, ticket, startedAt)`.
unsafe extern "C" fn failure(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    report_since(env, info, true)
}

/// `permitSuccessAfter(handle, ticket, durationMs)`.
unsafe extern "C" fn success_after(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let took = (call.f64(2)? * MS as f64) as u64;
        report(call, false, took, clock::now())
    })
}

/// `releasePermit(handle, ticket)`.
unsafe extern "C" fn release(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let ticket = ticket(call)?;
        call.on(&call.port.thread().breakers, |breaker| breaker.release(ticket))?;
        call.undefined()
    })
}

fn report_since(env: sys::napi_env, info: sys::napi_callback_info, failed: bool) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (now, set_back) = clock::now_and_set_back();
        let took = (in_ms(now) + set_back as f64 - call.f64(2)?).max(0.0);
        report(call, failed, from_ms(took), now)
    })
}

fn report(call: &Call<'_, 3>, failed: bool, took: u64, now: u64) -> Result<sys::napi_value> {
    let ticket = ticket(call)?;
    call.on(&call.port.thread().breakers, |breaker| breaker.report(ticket, failed, Some(took), now))?;
    call.undefined()
}

fn ticket<const N: usize>(call: &Call<'_, N>) -> Result<Ticket> {
    Ok(Ticket::from_number(call.f64(1)? as u64))
}
