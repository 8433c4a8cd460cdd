//! Reputations that all processes of the machine share. A handle holds the reputation itself, as one of the process.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use sluice_core::{Instance, Instances, OptionList, Reputation, ReputationConfig};
use sluice_machine::{SharedReputation, SharedReputationConfig};

use crate::machine::{self, NativeMachineStats, NativeSharedScope, instances};

static SHARED_REPUTATIONS: Instances<SharedReputation> = Instances::new();

/// The instances, for what is done to all of a process.
pub(crate) const STATE: &dyn sluice_core::Component = &SHARED_REPUTATIONS;

/// Opens a reputation by options that JavaScript has checked.
pub(super) fn open(
    env: &Env,
    name: &str,
    scope: NativeSharedScope,
    config: ReputationConfig,
    reconfigures: Option<bool>,
) -> Result<Arc<Reputation>> {
    let (on_mismatch, directory) = (scope.on_mismatch(), PathBuf::from(scope.directory));
    let config = SharedReputationConfig { directory, config, on_mismatch };
    let opened = instances::open(env, &SHARED_REPUTATIONS, name, config, reconfigures)?;
    Ok(Arc::clone(opened.reputation()))
}

/// The reputation of this name in this process; `None` where there is none, or a test has reset it.
pub(super) fn find(name: &str) -> Option<Arc<Reputation>> {
    instances::find_open(&SHARED_REPUTATIONS, name).map(|shared| Arc::clone(shared.reputation()))
}

/// The options by which one of this name attaches.
pub(super) fn options(name: &str) -> Option<OptionList> {
    instances::find_open(&SHARED_REPUTATIONS, name).map(|shared| shared.created_with().clone())
}

/// Looks after the other processes first, so that those that have ended are not counted.
pub(super) fn stats(reputation: &Arc<Reputation>) -> Option<NativeMachineStats> {
    let all = SHARED_REPUTATIONS.all();
    let shared = all.iter().find(|shared| Arc::ptr_eq(shared.reputation(), reputation))?;
    let _ = shared.look_after();
    Some(machine::stats_of(shared.shared(), shared.trouble()))
}

/// Ends the reputation in this process, or in all.
pub(super) fn destroy(name: &str, everywhere: bool) -> bool {
    instances::destroy(&SHARED_REPUTATIONS, name, everywhere)
}

/// The names of those that a test has not reset, and no process has ended for all.
pub(super) fn names() -> Vec<String> {
    instances::names(&SHARED_REPUTATIONS)
}
