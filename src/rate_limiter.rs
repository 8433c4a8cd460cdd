//! `RateLimiter`: raw calls for requests, `#[napi]` for the rest.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi::sys;
use napi_derive::napi;
use sluice_core::runtime::clock::{self, MS};
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{
    AlgorithmKind, Decision, Instances, LimitOptions, LocalHandle, MAX_LIMITS, Overflow, Quota, RateLimiter,
    RateLimiterConfig, RateLimiterOptions, Receipt,
};

use crate::components::Component;
use crate::runtime::instances;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Declarations, Layout, layout};
use crate::runtime::{error, memory, thread};

static LIMITERS: Instances<RateLimiter> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &LIMITERS,
    export,
    declarations: Declarations {
        layouts: &[DecisionNumbers::DESCRIPTION, MiddlewareNumbers::DESCRIPTION, LimiterCall::DESCRIPTION],
        codes: &[],
        options: &[],
    },
};

/// So many units per so much time; checked to be integers by JavaScript.
#[napi(object)]
pub struct NativeQuota {
    pub limit: f64,
    pub window_ms: f64,
    pub burst: Option<f64>,
}

impl From<NativeQuota> for Quota {
    fn from(quota: NativeQuota) -> Self {
        let burst = quota.burst.map(|burst| burst as u64);
        Self { limit: quota.limit as u64, window_ms: quota.window_ms as u64, burst }
    }
}

/// One of the limits of a limiter.
#[napi(object)]
pub struct NativeLimit {
    pub name: String,
    pub quota: NativeQuota,
    pub algorithm: String,
}

/// Options as `lib/rate-limiter.js` normalises them.
#[napi(object)]
pub struct NativeRateLimiterOptions {
    pub limits: Vec<NativeLimit>,
    pub max_keys: f64,
    pub overflow: String,
    pub dry_run: bool,
}

impl From<NativeLimit> for LimitOptions {
    fn from(NativeLimit { name, quota, algorithm }: NativeLimit) -> Self {
        let algorithm = match algorithm.as_str() {
            "fixed-window" => AlgorithmKind::FixedWindow,
            "sliding-window" => AlgorithmKind::SlidingWindow,
            _ => AlgorithmKind::Gcra,
        };
        Self { name, quota: quota.into(), algorithm }
    }
}

impl From<NativeRateLimiterOptions> for RateLimiterOptions {
    fn from(options: NativeRateLimiterOptions) -> Self {
        let overflow = match options.overflow.as_str() {
            "deny" => Overflow::Deny,
            "allow" => Overflow::Allow,
            _ => Overflow::Evict,
        };
        Self {
            limits: options.limits.into_iter().map(Into::into).collect(),
            max_keys: options.max_keys as u64,
            overflow,
            dry_run: options.dry_run,
        }
    }
}

impl From<&RateLimiterOptions> for NativeRateLimiterOptions {
    fn from(options: &RateLimiterOptions) -> Self {
        let overflow = match options.overflow {
            Overflow::Evict => "evict",
            Overflow::Deny => "deny",
            Overflow::Allow => "allow",
        };
        Self {
            limits: options.limits.iter().map(Into::into).collect(),
            max_keys: options.max_keys as f64,
            overflow: overflow.to_owned(),
            dry_run: options.dry_run,
        }
    }
}

impl From<&LimitOptions> for NativeLimit {
    fn from(LimitOptions { name, quota, algorithm }: &LimitOptions) -> Self {
        let algorithm = match algorithm {
            AlgorithmKind::Gcra => "gcra",
            AlgorithmKind::FixedWindow => "fixed-window",
            AlgorithmKind::SlidingWindow => "sliding-window",
        };
        let quota = NativeQuota {
            limit: quota.limit as f64,
            window_ms: quota.window_ms as f64,
            burst: quota.burst.map(|burst| burst as f64),
        };
        Self { name: name.clone(), quota, algorithm: algorithm.to_owned() }
    }
}

/// Sums over all threads.
#[napi(object)]
pub struct NativeRateLimiterStats {
    pub allowed: f64,
    pub refused: f64,
    pub dry_refused: f64,
    pub untracked: f64,
    pub live_evictions: f64,
    pub blocked: f64,
    pub size: f64,
    pub capacity: f64,
}

/// Attaches to a limiter or creates it; the handle is this thread's.
#[napi]
pub fn open_rate_limiter(
    env: Env,
    name: String,
    options: Option<NativeRateLimiterOptions>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let config = options.map(RateLimiterOptions::from).map(RateLimiterConfig::try_from);
    let config = error::check(&env, config.transpose())?;
    let limiter = instances::open(&env, &LIMITERS, &name, config, reconfigures)?;
    let port = thread::port_of(&env)?;
    memory::report(port, limiter.memory());
    Ok(port.thread().limiters.borrow_mut().hold(limiter))
}

/// One JavaScript object less that stands for the limiter.
#[napi]
pub fn release_rate_limiter(handle: u32) -> Result<()> {
    thread::current()?.limiters.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_rate_limiter(name: String) -> bool {
    LIMITERS.destroy(&name)
}

/// False when the options in force are no longer those of `generation`; nothing was changed then.
#[napi]
pub fn reconfigure_rate_limiter(
    env: Env,
    handle: u32,
    generation: f64,
    options: NativeRateLimiterOptions,
) -> Result<bool> {
    let limiter = limiter(handle)?;
    error::check(&env, limiter.reconfigure_since(generation as u64, options.into(), clock::now))
}

#[napi]
pub fn clear_rate_limiter(env: Env, handle: u32) -> Result<()> {
    error::check(&env, limiter(handle)?.clear())
}

#[napi]
pub fn rate_limiter_stats(env: Env, handle: u32) -> Result<NativeRateLimiterStats> {
    let stats = error::check(&env, limiter(handle)?.stats(clock::now()))?;
    Ok(NativeRateLimiterStats {
        allowed: stats.allowed as f64,
        refused: stats.refused as f64,
        dry_refused: stats.dry_refused as f64,
        untracked: stats.untracked as f64,
        live_evictions: stats.live_evictions as f64,
        blocked: stats.blocked as f64,
        size: stats.size as f64,
        capacity: stats.capacity as f64,
    })
}

/// The options in force, which another thread may have changed.
#[napi]
pub fn rate_limiter_options(handle: u32) -> Result<NativeRateLimiterOptions> {
    Ok(limiter(handle)?.config().options().into())
}

/// Which options are in force: raised by every `reconfigure`.
#[napi]
pub fn rate_limiter_generation(handle: u32) -> Result<f64> {
    Ok(limiter(handle)?.config().generation() as f64)
}

fn limiter(handle: u32) -> Result<Arc<RateLimiter>> {
    let mut limiters = thread::current()?.limiters.borrow_mut();
    let local = limiters.get_mut(handle)?;
    local.follow();
    Ok(Arc::clone(local.limiter()))
}

fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("tryConsumeOne(key: string): boolean", try_consume_one)?;
    exports.function("tryConsume(key: string, cost: number): boolean", try_consume)?;
    exports.function("tryConsumeHashed(): boolean", try_consume_hashed)?;
    exports.function("consumeOne(key: string): boolean", consume_one)?;
    exports.function("consume(key: string, cost: number): boolean", consume)?;
    exports.function("consumeHashed(): boolean", consume_hashed)?;
    exports
        .function("consumeMany(keys: string[], cost: number, allowed: Uint8Array): number", consume_many)?;
    exports.function("decideOne(key: string): boolean", decide_one)?;
    exports.function("decide(key: string, cost: number): boolean", decide)?;
    exports.function(
        "decideByLimit(handle: number, key: string, cost: number, limit: number): boolean",
        decide_by_limit,
    )?;
    exports.function("peek(key: string): boolean", peek)?;
    exports.function("peekHashed(): boolean", peek_hashed)?;
    exports.function("hashKey(key: string): void", hash_key)?;
    exports.function("refund(handle: number, key: string, cost: number): void", refund)?;
    exports.function("undoCharge(handle: number, key: string, cost: number): void", undo_charge)?;
    exports.function("penalize(handle: number, key: string, cost: number): void", penalize)?;
    exports.function("block(handle: number, key: string, durationMs: number): 0 | 1", block)?;
    exports.function("reset(handle: number, key: string): 0 | 1", reset)
}

/// Runs `body` on the limiter of argument 0.
fn with_limiter<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&RateLimiter) -> sluice_core::Result<R>,
) -> Result<R> {
    let result = {
        let mut limiters = call.port.thread().limiters.borrow_mut();
        let local = limiters.get_mut(call.u32(0)?)?;
        local.follow();
        body(local.limiter())
    };
    call.check(result)
}

layout! {
    /// A decision, as every caller gets it.
    pub(crate) struct DecisionNumbers = "DECISION" from 0 => {
        /// Units per window.
        limit,
        /// Units left.
        remaining,
        /// Milliseconds until the client is fully replenished.
        reset_after,
        /// Milliseconds until the same call is admitted; 0 when it is, Infinity when it never is.
        retry_after,
        /// In a dry run: 1 when the call would have been refused, 0 when not. Else -1.
        would_refuse,
        /// The deciding policy, by its place among the limits.
        policy,
        /// The generation of the options that decided.
        generation,
    }
}

layout! {
    /// What middleware gets beside a decision.
    pub(crate) struct MiddlewareNumbers = "MIDDLEWARE" from DecisionNumbers::LENGTH => {
        /// Milliseconds until one more unit is available; 0 when all are.
        more_after,
        /// The receipt, by which `undoCharge` takes the charge back: when it was made, in nanoseconds.
        receipt_at,
        /// The limit that it was decided by.
        receipt_limit,
        /// What each limit owed after it.
        receipt_settles[MAX_LIMITS],
    }
}

layout! {
    /// What JavaScript leaves for calls of a limiter.
    pub(crate) struct LimiterCall = "LIMITER_CALL" from DecisionNumbers::LENGTH + MiddlewareNumbers::LENGTH => {
        /// The limiter's handle.
        handle,
        /// The key's hash, where the call is by hash: its upper half.
        hash_high,
        /// Its lower half.
        hash_low,
        /// Units, checked by JavaScript, where the call is by hash.
        cost,
        /// The guard on whose behalf middleware asks; negative for none.
        guard,
    }
}

/// Runs `body` on a local of this thread.
#[inline]
fn at_local<const N: usize, R>(
    call: &Call<'_, N>,
    handle: f64,
    body: impl FnOnce(&mut LocalHandle) -> sluice_core::Result<R>,
) -> Result<R> {
    // The borrow ends before JavaScript runs again.
    let result = body(call.port.thread().limiters.borrow_mut().get_mut(handle as u32)?);
    call.check(result)
}

/// Runs `body` on this thread's local at the limiter whose handle JavaScript left.
#[inline]
fn with_local<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHandle) -> sluice_core::Result<R>,
) -> Result<R> {
    let LimiterCall { handle, .. } = call.port.read();
    at_local(call, handle, body)
}

/// As [`with_local`], with the key and the cost that JavaScript left.
#[inline]
fn with_local_and_hash<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalHandle, KeyHash, u64) -> sluice_core::Result<R>,
) -> Result<R> {
    let LimiterCall { handle, hash_high, hash_low, cost, .. } = call.port.read();
    let key = KeyHash::from_halves(hash_high as u64, hash_low as u64);
    at_local(call, handle, |local| body(local, key, cost as u64))
}

/// Leaves the decision among the numbers: what every caller is told.
#[inline]
fn tell<const N: usize>(call: &Call<'_, N>, decision: &Decision) -> Result<sys::napi_value> {
    let ms = |nanos| clock::ceil_ms(nanos) as f64;
    call.port.write(DecisionNumbers {
        limit: decision.limit as f64,
        remaining: decision.remaining as f64,
        reset_after: ms(decision.reset_after),
        retry_after: decision.retry_after.map_or(f64::INFINITY, ms),
        would_refuse: decision.would_refuse.map_or(-1.0, |refused| f64::from(u8::from(refused))),
        policy: decision.policy as f64,
        generation: decision.generation as f64,
    });
    call.boolean(decision.allowed)
}

/// As [`tell`], and what only middleware asks for.
fn tell_all<const N: usize>(call: &Call<'_, N>, decision: &Decision) -> Result<sys::napi_value> {
    let receipt = &decision.receipt;
    call.port.write(MiddlewareNumbers {
        more_after: clock::ceil_ms(decision.more_after) as f64,
        receipt_at: receipt.at as f64,
        receipt_limit: receipt.limit as f64,
        receipt_settles: receipt.settles.map(|settles| settles as f64),
    });
    if decision.allowed {
        count_for_guard(call)?;
    }
    tell(call, decision)
}

/// A call of its own to count would cost more than to count.
fn count_for_guard<const N: usize>(call: &Call<'_, N>) -> Result<()> {
    let LimiterCall { guard, .. } = call.port.read();
    if guard >= 0.0 {
        call.port.thread().guards.borrow().get(guard as u32)?.count(sluice_core::GuardCounter::Allowed);
    }
    Ok(())
}

/// The receipt that JavaScript left. Doubles count today's nanoseconds in steps of 256, which is the error of
/// what is given back.
fn receipt<const N: usize>(call: &Call<'_, N>) -> Receipt {
    let MiddlewareNumbers { receipt_at, receipt_limit, receipt_settles, .. } = call.port.read();
    let settles = receipt_settles.map(|settles| settles as u64);
    Receipt { at: receipt_at as u64, limit: receipt_limit as u64, settles }
}

/// `tryConsumeOne(key)`: whether a call of cost 1 may pass.
unsafe extern "C" fn try_consume_one(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let key = call.key(0)?;
        let allowed = with_local(call, |local| local.try_consume(key, 1, clock::now()))?;
        call.boolean(allowed)
    })
}

/// `tryConsume(key, cost)`.
unsafe extern "C" fn try_consume(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let (key, cost) = (call.key(0)?, call.cost(1)?);
        let allowed = with_local(call, |local| local.try_consume(key, cost, clock::now()))?;
        call.boolean(allowed)
    })
}

/// `tryConsumeHashed()`.
unsafe extern "C" fn try_consume_hashed(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let allowed =
            with_local_and_hash(call, |local, key, cost| local.try_consume(key, cost, clock::now()))?;
        call.boolean(allowed)
    })
}

/// `consumeOne(key)`: as `tryConsumeOne`, and the decision among the numbers.
unsafe extern "C" fn consume_one(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let key = call.key(0)?;
        let decision = with_local(call, |local| local.consume(key, 1, clock::now()))?;
        tell(call, &decision)
    })
}

/// `decideOne(key)`: as `consumeOne`, and what middleware asks for besides.
unsafe extern "C" fn decide_one(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let key = call.key(0)?;
        let decision = with_local(call, |local| local.consume(key, 1, clock::now()))?;
        tell_all(call, &decision)
    })
}

/// `decide(key, cost)`: as `decideOne`.
unsafe extern "C" fn decide(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let (key, cost) = (call.key(0)?, call.cost(1)?);
        let decision = with_local(call, |local| local.consume(key, cost, clock::now()))?;
        tell_all(call, &decision)
    })
}

/// `consume(key, cost)`: as `consumeOne`.
unsafe extern "C" fn consume(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let (key, cost) = (call.key(0)?, call.cost(1)?);
        let decision = with_local(call, |local| local.consume(key, cost, clock::now()))?;
        tell(call, &decision)
    })
}

/// `consumeHashed()`.
unsafe extern "C" fn consume_hashed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let decision = with_local_and_hash(call, |local, key, cost| local.consume(key, cost, clock::now()))?;
        tell(call, &decision)
    })
}

/// `consumeMany(keys, cost, allowed: Uint8Array)`: `tryConsume` for each key; -1, or the place of the first
/// value that is no key, and then nobody is charged.
unsafe extern "C" fn consume_many(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let cost = call.cost(1)?;
        let keys = match call.keys(0)? {
            Ok(keys) => keys,
            Err(mistake) => return call.number(mistake as f64),
        };
        call.with_bytes(2, keys.len(), |allowed| {
            let mut allowed = allowed.iter_mut();
            let tell = |passes| {
                if let Some(allowed) = allowed.next() {
                    *allowed = u8::from(passes);
                }
            };
            with_local(call, |local| local.try_consume_many(&keys, cost, clock::now(), tell))
        })?;
        call.int(-1)
    })
}

/// `decideByLimit(handle, key, cost, limit)`: as `decide`, by another limit for this call.
unsafe extern "C" fn decide_by_limit(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<4>::answer(env, info, |call| {
        let (key, cost, limit) = (call.key(1)?, call.cost(2)?, call.f64(3)? as u64);
        let decide = |local: &mut LocalHandle| local.consume_with_limit(key, cost, limit, clock::now());
        let decision = at_local(call, call.f64(0)?, decide)?;
        tell_all(call, &decision)
    })
}

/// `peek(key)`: as `consume` of cost 1, without charging.
unsafe extern "C" fn peek(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let key = call.key(0)?;
        let decision = with_local(call, |local| local.peek(key, clock::now()))?;
        tell(call, &decision)
    })
}

/// `peekHashed()`.
unsafe extern "C" fn peek_hashed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let decision = with_local_and_hash(call, |local, key, _| local.peek(key, clock::now()))?;
        tell(call, &decision)
    })
}

/// `hashKey(key)`: leaves the two halves of the key's hash.
unsafe extern "C" fn hash_key(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let (high, low) = KeyHash::halves(call.key(0)?);
        let call_numbers: LimiterCall = call.port.read();
        call.port.write(LimiterCall { hash_high: high as f64, hash_low: low as f64, ..call_numbers });
        call.undefined()
    })
}

/// `refund(handle, key, cost)`.
unsafe extern "C" fn refund(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (key, cost) = (call.key(1)?, call.cost(2)?);
        with_limiter(call, |limiter| limiter.refund(key, cost, clock::now()))?;
        call.undefined()
    })
}

/// `undoCharge(handle, key, cost)`: takes back the charge whose receipt lies in the results array.
unsafe extern "C" fn undo_charge(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (key, cost, receipt) = (call.key(1)?, call.cost(2)?, receipt(call));
        with_limiter(call, |limiter| limiter.undo(key, cost, &receipt, clock::now()))?;
        call.undefined()
    })
}

/// `penalize(handle, key, cost)`.
unsafe extern "C" fn penalize(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (key, cost) = (call.key(1)?, call.cost(2)?);
        with_limiter(call, |limiter| limiter.penalize(key, cost, clock::now()))?;
        call.undefined()
    })
}

/// `block(handle, key, durationMs)`: 1 when it is kept.
unsafe extern "C" fn block(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let (key, duration_ms) = (call.key(1)?, call.f64(2)?);
        let duration = duration_ms as u64 * MS;
        let kept = with_limiter(call, |limiter| limiter.block(key, duration, clock::now()))?;
        call.int(i32::from(kept))
    })
}

/// `reset(handle, key)`: 1 when there was anything to forget.
unsafe extern "C" fn reset(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let key = call.key(1)?;
        let mattered = with_limiter(call, |limiter| limiter.reset(key, clock::now()))?;
        call.int(i32::from(mattered))
    })
}
