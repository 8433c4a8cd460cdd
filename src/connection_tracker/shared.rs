//! Trackers that all processes of the machine share. Their handles are those of other trackers.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use sluice_core::{ConnectionTracker, ConnectionTrackerConfig, Instance, Instances};
use sluice_machine::{SharedTracker, SharedTrackerConfig};

use crate::machine::{self, NativeMachineStats, NativeSharedScope};
use crate::runtime::{error, instances};

static SHARED_TRACKERS: Instances<SharedTracker> = Instances::new();

/// The instances, for what is done to all of a process.
pub(super) fn state() -> &'static dyn sluice_core::Component {
    &SHARED_TRACKERS
}

/// The tracker of this name; `None` where there is none, or a test has reset it.
pub(super) fn attach(name: &str) -> Option<Arc<ConnectionTracker>> {
    forget_closed(name);
    SHARED_TRACKERS.get_if_set(name).map(|shared| Arc::clone(shared.tracker()))
}

/// Opens a tracker by options that JavaScript has checked.
pub(super) fn open(
    env: &Env,
    name: &str,
    scope: NativeSharedScope,
    config: ConnectionTrackerConfig,
    reconfigures: Option<bool>,
) -> Result<Arc<ConnectionTracker>> {
    error::check(env, machine::check_clock(ConnectionTracker::KIND, name))?;
    forget_closed(name);
    let (on_mismatch, directory) = (scope.on_mismatch(), PathBuf::from(scope.directory));
    let config = SharedTrackerConfig { directory, config, on_mismatch };
    let shared = instances::open(env, &SHARED_TRACKERS, name, Some(config), reconfigures)?;
    Ok(Arc::clone(shared.tracker()))
}

/// Where another process has ended the tracker for all, its name is free.
fn forget_closed(name: &str) {
    // Also one that a test has reset: it has its name until it is destroyed.
    let is_closed =
        |shared: &Arc<SharedTracker>| shared.tracker().name() == name && shared.is_closed_everywhere();
    if SHARED_TRACKERS.all().iter().any(is_closed) {
        SHARED_TRACKERS.destroy(name);
    }
}

/// Ends the tracker in this process, or in all.
pub(super) fn destroy(name: &str, everywhere: bool) -> bool {
    if everywhere && let Some(shared) = SHARED_TRACKERS.get_if_set(name) {
        shared.close_everywhere();
    }
    SHARED_TRACKERS.destroy(name)
}

/// Whether this process has one of this name, which a test has not reset.
pub(super) fn has(name: &str) -> bool {
    SHARED_TRACKERS.get_if_set(name).is_some()
}

/// The names of those that a test has not reset.
pub(super) fn names() -> Vec<String> {
    let (_, names) = state().names().unwrap_or_default();
    names.into_iter().filter(|name| has(name)).collect()
}

/// What is known of the processes that share a tracker; `None` where it is of this process alone. Looks after the others
/// first, so that those that have ended are not counted.
pub(super) fn stats(tracker: &Arc<ConnectionTracker>) -> Option<NativeMachineStats> {
    let shared = SHARED_TRACKERS.all().into_iter().find(|shared| Arc::ptr_eq(shared.tracker(), tracker))?;
    let trouble = shared.look_after().err().map(|error| error.to_string());
    Some(machine::stats_of(shared.shared(), trouble))
}
