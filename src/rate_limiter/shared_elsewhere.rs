//! Systems where processes share no limiters: JavaScript refuses the scope before it comes here.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use sluice_core::runtime::key_hash::KeyHasher;
use sluice_core::{Error, LocalHandle, OptionList, RateLimiter, RateLimiterConfig};

use crate::client_key::Stateless;
use crate::machine::{NativeMachineStats, NativeSharedScope};
use crate::runtime::error;
use crate::runtime::raw::Call;
use crate::runtime::slab::Held;

pub(super) fn state() -> &'static dyn sluice_core::Component {
    &Stateless
}

/// There is none.
#[derive(Clone, Copy)]
pub(crate) enum Attachment {}

/// There is none.
pub(crate) enum Local {}

impl Held for Local {
    type Instance = Attachment;

    fn hold(limiter: Arc<Attachment>) -> Self {
        match *limiter {}
    }

    fn instance(&self) -> &Arc<Attachment> {
        match *self {}
    }
}

pub(super) fn may_be_shared<const N: usize>(_: &Call<'_, N>) -> bool {
    false
}

pub(super) fn with_limiter<const N: usize, K, R, A>(
    _: &Call<'_, N>,
    _: impl Fn(&KeyHasher) -> Result<Option<K>>,
    _: impl FnOnce(&mut LocalHandle, K, u64, u64) -> sluice_core::Result<R>,
    _: impl FnOnce(R) -> A,
) -> Result<Option<A>> {
    Ok(None)
}

pub(super) fn by_handle(_: i32) -> Result<Option<Attachment>> {
    Ok(None)
}

pub(super) fn limiter(attachment: &Attachment) -> &Arc<RateLimiter> {
    match *attachment {}
}

pub(super) fn hasher(attachment: &Attachment) -> &KeyHasher {
    match *attachment {}
}

pub(super) fn now(attachment: &Attachment) -> u64 {
    match *attachment {}
}

pub(super) fn stats(attachment: &Attachment) -> NativeMachineStats {
    match *attachment {}
}

pub(super) fn attach(_: &str) -> Result<Option<i32>> {
    Ok(None)
}

pub(super) fn open(
    env: &Env,
    _: &str,
    _: NativeSharedScope,
    _: RateLimiterConfig,
    _: Option<bool>,
) -> Result<i32> {
    error::check(env, Err(Error::Unsupported { what: "a shared scope", accepted: "scope \"process\"" }))
}

pub(super) fn release(_: i32) -> Result<bool> {
    Ok(false)
}

pub(super) fn destroy(_: &str, _: bool) -> bool {
    false
}

pub(super) fn options(_: &str) -> Option<OptionList> {
    None
}

pub(super) fn names() -> Vec<String> {
    Vec::new()
}

pub(super) fn all() -> Vec<Arc<RateLimiter>> {
    Vec::new()
}
