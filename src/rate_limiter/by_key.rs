//! Calls for a request, by the text of the key.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::LocalHandle;
use sluice_core::runtime::clock;

use super::numbers::{with_called, with_handle, with_left_handle, write, write_for_middleware};
use crate::runtime::numbers::{double, integer};
use crate::runtime::raw::{Admission, Call, Exports};

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("tryConsumeOne(key: string): void", try_consume_one)?;
    exports.function("tryConsume(key: string, cost: number): boolean", try_consume)?;
    exports.function("consumeOne(key: string): boolean", consume_one)?;
    exports.function("consume(key: string, cost: number): boolean", consume)?;
    exports
        .function("consumeMany(keys: string[], cost: number, allowed: Uint8Array): number", consume_many)?;
    exports.function("decideOne(key: string): boolean", decide_one)?;
    exports.function("decide(key: string, cost: number): boolean", decide)?;
    exports.function(
        "decideByLimit(handle: number, key: string, cost: number, limit: number): boolean",
        decide_by_limit,
    )?;
    exports.function("peek(key: string): boolean", peek)
}

/// `tryConsumeOne(key)`: whether a call of cost 1 is admitted.
unsafe extern "C" fn try_consume_one(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        let key = call.key(0)?;
        let admitted = with_called(call, |local| local.try_consume(key, 1, clock::now()))?;
        Ok(Admission::from(admitted))
    })
}

/// `tryConsume(key, cost)`.
unsafe extern "C" fn try_consume(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let (key, cost) = (call.key(0)?, call.cost(1)?);
        let allowed = with_left_handle(call, |local| local.try_consume(key, cost, clock::now()))?;
        call.boolean(allowed)
    })
}

/// `consumeOne(key)`: as `tryConsumeOne`, with the decision among the numbers.
unsafe extern "C" fn consume_one(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let key = call.key(0)?;
        let decision = with_left_handle(call, |local| local.consume(key, 1, clock::now()))?;
        write(call, &decision)
    })
}

/// `consume(key, cost)`.
unsafe extern "C" fn consume(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let (key, cost) = (call.key(0)?, call.cost(1)?);
        let decision = with_left_handle(call, |local| local.consume(key, cost, clock::now()))?;
        write(call, &decision)
    })
}

/// `consumeMany(keys, cost, allowed)`: `tryConsume` for each key, whose answers go to `allowed`; -1. Where a value is no
/// key: its place, and no key is charged.
unsafe extern "C" fn consume_many(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let cost = call.cost(1)?;
        let keys = match call.keys(0)? {
            Ok(keys) => keys,
            Err(mistake) => return call.number(double(mistake)),
        };
        call.with_bytes(2, keys.len(), |allowed| {
            let mut allowed = allowed.iter_mut();
            let answer = |is_admitted| {
                if let Some(allowed) = allowed.next() {
                    *allowed = u8::from(is_admitted);
                }
            };
            with_left_handle(call, |local| local.try_consume_many(&keys, cost, clock::now(), answer))
        })?;
        call.int(-1)
    })
}

/// `decideOne(key)`: as `consumeOne`, with what middleware asks for besides.
unsafe extern "C" fn decide_one(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let key = call.key(0)?;
        let decision = with_left_handle(call, |local| local.consume(key, 1, clock::now()))?;
        write_for_middleware(call, &decision)
    })
}

/// `decide(key, cost)`.
unsafe extern "C" fn decide(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let (key, cost) = (call.key(0)?, call.cost(1)?);
        let decision = with_left_handle(call, |local| local.consume(key, cost, clock::now()))?;
        write_for_middleware(call, &decision)
    })
}

/// `decideByLimit(handle, key, cost, limit)`: as `decide`, with another limit for this call.
unsafe extern "C" fn decide_by_limit(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<4>::answer(env, info, |call| {
        let (key, cost, limit) = (call.key(1)?, call.cost(2)?, integer(call.f64(3)?));
        let decide = |local: &mut LocalHandle| local.consume_with_limit(key, cost, limit, clock::now());
        let decision = with_handle(call, call.f64(0)?, decide)?;
        write_for_middleware(call, &decision)
    })
}

/// `peek(key)`: the decision for a call of cost 1, without charging.
unsafe extern "C" fn peek(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let key = call.key(0)?;
        let decision = with_left_handle(call, |local| local.peek(key, clock::now()))?;
        write(call, &decision)
    })
}
