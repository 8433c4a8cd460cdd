//! Calls for a key that JavaScript has hashed once.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::runtime::clock;

use super::numbers::{LimiterCall, with_left_hash, write};
use crate::runtime::numbers::double;
use crate::runtime::raw::{Call, Exports};

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("hashKey(key: string): void", hash_key)?;
    exports.function("tryConsumeHashed(): boolean", try_consume_hashed)?;
    exports.function("consumeHashed(): boolean", consume_hashed)?;
    exports.function("peekHashed(): boolean", peek_hashed)
}

/// `hashKey(key)`: leaves the two halves of the key's hash.
unsafe extern "C" fn hash_key(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let (high, low) = call.key(0)?.halves();
        let left: LimiterCall = call.port.read();
        call.port.write(LimiterCall { hash_high: double(high), hash_low: double(low), ..left });
        call.undefined()
    })
}

/// `tryConsumeHashed()`.
unsafe extern "C" fn try_consume_hashed(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let allowed = with_left_hash(call, |local, key, cost| local.try_consume(key, cost, clock::now()))?;
        call.boolean(allowed)
    })
}

/// `consumeHashed()`.
unsafe extern "C" fn consume_hashed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let decision = with_left_hash(call, |local, key, cost| local.consume(key, cost, clock::now()))?;
        write(call, &decision)
    })
}

/// `peekHashed()`.
unsafe extern "C" fn peek_hashed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let decision = with_left_hash(call, |local, key, _| local.peek(key, clock::now()))?;
        write(call, &decision)
    })
}
