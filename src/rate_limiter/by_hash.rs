//! Calls for a key that JavaScript has hashed once.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::runtime::clock;

use super::crossing::{is_elsewhere, leave_decision, left_key, parts_of, with_limiter};
use super::elsewhere;
use super::layouts::HashedKey;
use crate::runtime::raw::{Admission, Call, DONE, Exports};

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("hashKey(key: string): void", hash_key)?;
    exports.function("tryConsumeHashed(): void", try_consume_hashed)?;
    exports.function("consumeHashed(): void", consume_hashed)?;
    exports.function("peekHashed(): void", peek_hashed)
}

/// `hashKey(key)`: leaves the key's hash.
unsafe extern "C" fn hash_key(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        let key = if is_elsewhere(call) { elsewhere::hash(call)? } else { call.key(0)? };
        let hash = parts_of(key);
        Ok(HashedKey { answer: DONE, unused: 0, hash })
    })
}

/// `tryConsumeHashed()`.
unsafe extern "C" fn try_consume_hashed(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<0>::quick(env, info, |call| {
        if is_elsewhere(call) {
            return elsewhere::try_consume_hashed(call);
        }
        let key = left_key(call);
        with_limiter(call, |local, cost| local.try_consume(key, cost, clock::now()), Admission::from)
    })
}

/// `consumeHashed()`.
unsafe extern "C" fn consume_hashed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::quick(env, info, |call| {
        if is_elsewhere(call) {
            return elsewhere::consume_hashed(call);
        }
        let key = left_key(call);
        with_limiter(
            call,
            |local, cost| local.consume(key, cost, clock::now()),
            |decision| leave_decision(call, &decision),
        )
    })
}

/// `peekHashed()`.
unsafe extern "C" fn peek_hashed(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::quick(env, info, |call| {
        if is_elsewhere(call) {
            return elsewhere::peek_hashed(call);
        }
        let key = left_key(call);
        with_limiter(
            call,
            |local, _| local.peek(key, clock::now()),
            |decision| leave_decision(call, &decision),
        )
    })
}
