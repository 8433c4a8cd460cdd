//! Systems where processes share no reputations: JavaScript refuses the scope before it comes here.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use sluice_core::{Error, OptionList, Reputation, ReputationConfig};

use crate::client_key::Stateless;
use crate::machine::{NativeMachineStats, NativeSharedScope};
use crate::runtime::error;

pub(crate) const STATE: &dyn sluice_core::Component = &Stateless;

pub(super) fn open(
    env: &Env,
    _: &str,
    _: NativeSharedScope,
    _: ReputationConfig,
    _: Option<bool>,
) -> Result<Arc<Reputation>> {
    error::check(env, Err(Error::Unsupported { what: "a shared scope", accepted: "scope \"process\"" }))
}

pub(super) fn find(_: &str) -> Option<Arc<Reputation>> {
    None
}

pub(super) fn options(_: &str) -> Option<OptionList> {
    None
}

pub(super) fn stats(_: &Arc<Reputation>) -> Option<NativeMachineStats> {
    None
}

pub(super) fn destroy(_: &str, _: bool) -> bool {
    false
}

pub(super) fn names() -> Vec<String> {
    Vec::new()
}
