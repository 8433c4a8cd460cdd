//! Systems where processes share no trackers: JavaScript refuses the scope before it comes here.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use sluice_core::{ConnectionTracker, ConnectionTrackerConfig, Error};

use crate::client_key::Stateless;
use crate::machine::{NativeMachineStats, NativeSharedScope};
use crate::runtime::error;

pub(super) fn state() -> &'static dyn sluice_core::Component {
    &Stateless
}

pub(super) fn attach(_: &str) -> Option<Arc<ConnectionTracker>> {
    None
}

pub(super) fn open(
    env: &Env,
    _: &str,
    _: NativeSharedScope,
    _: ConnectionTrackerConfig,
    _: Option<bool>,
) -> Result<Arc<ConnectionTracker>> {
    let what = "a scope of all processes of a machine on this system";
    error::check(env, Err(Error::Unsupported { what, accepted: "scope \"process\"" }))
}

pub(super) fn destroy(_: &str, _: bool) -> bool {
    false
}

pub(super) fn has(_: &str) -> bool {
    false
}

pub(super) fn names() -> Vec<String> {
    Vec::new()
}

pub(super) fn stats(_: &Arc<ConnectionTracker>) -> Option<NativeMachineStats> {
    None
}
