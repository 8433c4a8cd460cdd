//! Files that a call writes or reads.

use std::path::Path;

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use parking_lot::Mutex;

use super::{now_of, persistence, reputation};
use crate::runtime::error;
use crate::runtime::replace_file::{Failure, replace_file};

/// Serializes saves: a later save must not be replaced by an earlier one.
pub(super) static SAVING: Mutex<()> = Mutex::new(());

/// The number of errors without one from the operating system: a path that names no file.
const EINVAL: i32 = 22;

/// An error of the operating system.
#[napi(object)]
pub struct NativeFileFailure {
    pub errno: i32,
    pub syscall: String,
}

/// Writes everything but the lists to a file. Returns the error of the operating system, if any.
#[napi]
pub fn save_reputation(env: Env, handle: u32, path: String) -> Result<Option<NativeFileFailure>> {
    let reputation = reputation(handle)?;
    let _one_at_a_time = SAVING.lock();
    let bytes = error::check(&env, reputation.save(now_of(&reputation), reputation.date_ahead()))?;
    let written = replace_file(Path::new(&path), &bytes);
    if written.is_ok() {
        persistence::saved(&reputation, &path, &bytes);
    }
    Ok(written.err().map(Into::into))
}

/// Merges the content of a file. Returns the error of the operating system, if any.
#[napi]
pub fn load_reputation(env: Env, handle: u32, path: String) -> Result<Option<NativeFileFailure>> {
    let reputation = reputation(handle)?;
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Some(Failure { syscall: "open", error }.into())),
    };
    error::check(&env, reputation.load(&bytes, &path, now_of(&reputation), reputation.date_ahead()))?;
    Ok(None)
}

impl From<Failure> for NativeFileFailure {
    fn from(Failure { syscall, error }: Failure) -> Self {
        Self { errno: error.raw_os_error().unwrap_or(EINVAL), syscall: syscall.to_owned() }
    }
}
