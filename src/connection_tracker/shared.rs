//! Trackers that all processes of the machine share. Their handles are those of other trackers.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use sluice_core::{ConnectionTracker, ConnectionTrackerConfig, Instances};
use sluice_machine::{SharedTracker, SharedTrackerConfig};

use crate::machine::{self, NativeMachineStats, NativeSharedScope, instances};

static SHARED_TRACKERS: Instances<SharedTracker> = Instances::new();

/// The instances, for what is done to all of a process.
pub(super) fn state() -> &'static dyn sluice_core::Component {
    &SHARED_TRACKERS
}

/// The tracker of this name; `None` where there is none, or a test has reset it.
pub(super) fn attach(name: &str) -> Option<Arc<ConnectionTracker>> {
    instances::find_open(&SHARED_TRACKERS, name).map(|shared| Arc::clone(shared.tracker()))
}

/// Opens a tracker by options that JavaScript has checked.
pub(super) fn open(
    env: &Env,
    name: &str,
    scope: NativeSharedScope,
    config: ConnectionTrackerConfig,
    reconfigures: Option<bool>,
) -> Result<Arc<ConnectionTracker>> {
    let (on_mismatch, directory) = (scope.on_mismatch(), PathBuf::from(scope.directory));
    let config = SharedTrackerConfig { directory, config, on_mismatch };
    let shared = instances::open(env, &SHARED_TRACKERS, name, config, reconfigures)?;
    Ok(Arc::clone(shared.tracker()))
}

/// Ends the tracker in this process, or in all.
pub(super) fn destroy(name: &str, everywhere: bool) -> bool {
    instances::destroy(&SHARED_TRACKERS, name, everywhere)
}

/// Whether this process has one of this name, which a test has not reset.
pub(super) fn has(name: &str) -> bool {
    SHARED_TRACKERS.get_if_set(name).is_some()
}

/// The names of those that a test has not reset, and no process has ended for all.
pub(super) fn names() -> Vec<String> {
    instances::names(&SHARED_TRACKERS)
}

/// What is known of the processes that share a tracker; `None` where it is of this process alone. Looks after the others
/// first, so that those that have ended are not counted.
pub(super) fn stats(tracker: &Arc<ConnectionTracker>) -> Option<NativeMachineStats> {
    let shared = SHARED_TRACKERS.all().into_iter().find(|shared| Arc::ptr_eq(shared.tracker(), tracker))?;
    let trouble = shared.look_after().err().map(|error| error.to_string());
    Some(machine::stats_of(shared.shared(), trouble))
}
