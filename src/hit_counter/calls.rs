//! Calls for a request, by the text of the key.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::runtime::key_hash::KeyHash;

use super::numbers::{HitNumbers, leave_hits, left_hit, with_call, with_counter};
use crate::runtime::raw::{Call, Exports};

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("addHits(key: string): void", add)?;
    exports.function("takeHitsBack(key: string): undefined", take_back)?;
    exports.function("getHits(key: string): boolean", get)?;
    exports.function("setHits(key: string): boolean", set)?;
    exports.function("deleteHits(key: string): boolean", delete)
}

/// `addHits(key)`: counts, and leaves the count.
unsafe extern "C" fn add(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        let key = call.key(0)?;
        let (hit, now) = left_hit(call);
        let (hits, keeps) = with_counter(call, |counter| {
            let hits = counter.add(key, &hit, now)?;
            Ok((hits, hits.first && counter.keeps_keys()))
        })?;
        if keeps {
            keep(call, key)?;
        }
        Ok(leave_hits(call, hits, now))
    })
}

/// `takeHitsBack(key)`.
unsafe extern "C" fn take_back(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let key = call.key(0)?;
        with_call(call, |counter, left| {
            let n = u64::try_from(left.hit().n).unwrap_or(0);
            counter.take_back(key, n, left.now())
        })?;
        call.undefined()
    })
}

/// `getHits(key)`: whether a window runs; its count is then among the numbers.
unsafe extern "C" fn get(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let key = call.key(0)?;
        let (hits, now) = with_call(call, |counter, left| {
            let now = left.now();
            Ok((counter.get(key, now)?, now))
        })?;
        if let Some(hits) = hits {
            call.port.write(HitNumbers::of(hits, now));
        }
        call.boolean(hits.is_some())
    })
}

/// `setHits(key)`: false when the table has no slot for the key.
unsafe extern "C" fn set(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let key = call.key(0)?;
        let (is_set, keeps) = with_call(call, |counter, left| {
            let is_set = counter.set(key, left.hit().n, left.window(), left.now())?;
            Ok((is_set, is_set && counter.keeps_keys()))
        })?;
        if keeps {
            keep(call, key)?;
        }
        call.boolean(is_set)
    })
}

/// `deleteHits(key)`: whether a window ran.
unsafe extern "C" fn delete(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let key = call.key(0)?;
        let ran = with_call(call, |counter, left| counter.delete(key, left.now()))?;
        call.boolean(ran)
    })
}

#[cold]
fn keep(call: &Call<'_, 1>, key: KeyHash) -> Result<()> {
    let text = call.units(0)?;
    with_counter(call, |counter| counter.keep(key, &text))
}
