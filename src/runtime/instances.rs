//! Instances by their names and options, and what becomes of options that differ.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::deliveries::Item;
use sluice_core::{Error, Instance, Instances, OnMismatch, OptionChange, OptionList};

use crate::runtime::{error, presence, thread};

/// An option that came into force in place of another.
#[napi(object)]
pub struct NativeOptionChange {
    pub option: String,
    pub before: String,
    pub after: String,
}

impl From<OptionChange> for NativeOptionChange {
    fn from(change: OptionChange) -> Self {
        Self { option: change.option.to_owned(), before: change.before, after: change.after }
    }
}

/// The options that the last `open…` of this thread has changed, once.
#[napi]
pub fn take_option_changes() -> Result<Vec<NativeOptionChange>> {
    let changes = std::mem::take(&mut *thread::current()?.option_changes.borrow_mut());
    Ok(changes.into_iter().map(Into::into).collect())
}

/// The scope among options, in words.
pub(crate) fn scope_of(options: OptionList) -> Option<String> {
    options.into_iter().find(|(option, _)| *option == "scope").map(|(_, scope)| scope)
}

/// An instance of one name is either of the process or of the machine: an error where one of the other kind exists, in words.
pub(crate) fn check_other(
    env: &Env,
    name: &str,
    existing: Option<String>,
    given: impl FnOnce() -> String,
) -> Result<()> {
    let Some(existing) = existing else { return Ok(()) };
    let mismatch = Error::ConfigMismatch { name: name.to_owned(), option: "scope", existing, given: given() };
    error::check(env, Err(mismatch))
}

/// Attaches to an instance or creates it. With `reconfigures` other options come into force.
pub(crate) fn open<T: Instance>(
    env: &Env,
    instances: &Instances<T>,
    name: &str,
    config: Option<T::Config>,
    reconfigures: Option<bool>,
) -> Result<Arc<T>> {
    let on_mismatch = match reconfigures {
        Some(true) => OnMismatch::Reconfigure,
        _ => OnMismatch::Error,
    };
    let (instance, changes) = error::check(env, instances.open_with(name, config, on_mismatch))?;
    if !changes.is_empty() {
        *thread::current()?.option_changes.borrow_mut() = changes;
        presence::notify_all(&Item::OptionsChanged);
    }
    Ok(instance)
}
