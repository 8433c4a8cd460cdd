//! State that all processes of a machine share: what the components have in common that share any.

#[cfg_attr(not(target_os = "linux"), path = "machine/files_elsewhere.rs")]
mod files;
#[cfg(target_os = "linux")]
pub(crate) mod instances;

use napi::bindgen_prelude::Env;
use napi_derive::napi;
use sluice_core::runtime::clock;
use sluice_core::{Error, OnMismatch, Result};

use crate::runtime::error;
use crate::{connection_tracker, rate_limiter, reputation};

/// Where processes share state, and what becomes of their options.
#[napi(object)]
pub struct NativeSharedScope {
    /// A path that does not depend on where the process runs.
    pub directory: String,
    /// Whether other options come into force in the processes that are attached.
    pub reconfigures: bool,
}

impl NativeSharedScope {
    pub(crate) fn on_mismatch(&self) -> OnMismatch {
        if self.reconfigures { OnMismatch::Reconfigure } else { OnMismatch::Error }
    }
}

/// A process that is attached to a file.
#[napi(object)]
pub struct NativeAttached {
    pub pid: f64,
    /// In UTC milliseconds.
    pub since: f64,
}

/// What the statistics of an instance say of the processes that share it.
#[napi(object)]
pub struct NativeMachineStats {
    /// The file that they share.
    pub file: String,
    /// The processes that are attached.
    pub attached: Vec<NativeAttached>,
    /// How many were found to have ended since the file was made.
    pub deaths: f64,
    /// What is wrong with the file.
    pub trouble: Option<String>,
}

/// Where state is shared if no directory is given; none where processes cannot share any.
#[napi]
pub fn shared_directory() -> Option<String> {
    files::default_directory()
}

/// The instances of this process that are shared with others, as messages name them.
#[napi]
pub fn shared_instances() -> Vec<String> {
    [rate_limiter::shared_names(), reputation::shared_names(), connection_tracker::shared_names()].concat()
}

#[cfg(target_os = "linux")]
pub(crate) use files::stats_of;

/// A clock that a test sets would move the times that other processes decide by, or be ignored.
fn check_clock(kind: &str, name: &str) -> Result<()> {
    if !clock::is_manual() {
        return Ok(());
    }
    Err(Error::Elsewhere {
        code: "UNSUPPORTED",
        message: format!(
            "{kind} {name:?}: processes share no state while manualClock() is in force, as their time is that of the \
             system; accepted: restore() of the clock, or scope \"process\""
        ),
    })
}

/// A file in a directory of shared state.
#[napi(object)]
pub struct NativeMachineFile {
    /// Its name.
    pub file: String,
    pub bytes: f64,
    /// Why it cannot be read; none where it can, and where what follows is known.
    pub problem: Option<String>,
    pub kind: Option<String>,
    pub name: Option<String>,
    /// The options in force: names and values, one after the other.
    pub options: Vec<String>,
    pub generation: Option<f64>,
    pub attached: Vec<NativeAttached>,
    pub deaths: f64,
    pub clients: Option<f64>,
    pub is_of_earlier_boot: bool,
}

/// The files in a directory, by name; none where it does not exist.
#[napi]
pub fn machine_files(env: Env, directory: String) -> napi::Result<Vec<NativeMachineFile>> {
    error::check(&env, files::list(&directory))
}

/// Removes a file that no process is attached to; with `force` any.
#[napi]
pub fn remove_machine_file(env: Env, directory: String, file: String, force: bool) -> napi::Result<()> {
    error::check(&env, files::remove(&directory, &file, force))
}
