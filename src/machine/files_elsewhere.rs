//! Systems where processes share no state.

use sluice_core::{Error, Result};

use super::NativeMachineFile;

pub(super) fn default_directory() -> Option<String> {
    None
}

pub(super) fn list(_: &str) -> Result<Vec<NativeMachineFile>> {
    Err(unsupported())
}

pub(super) fn remove(_: &str, _: &str, _: bool) -> Result<()> {
    Err(unsupported())
}

fn unsupported() -> Error {
    Error::Unsupported { what: "state that processes share", accepted: "Linux" }
}
