//! Tokens.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::{CancellationToken, Lifecycle};

use super::part;
use crate::runtime::{error, thread};

/// What a thread has of a token.
pub(crate) struct Child {
    pub(super) lifecycle: Arc<Lifecycle>,
    pub(super) token: Arc<CancellationToken>,
}

/// The token of this name below a lifecycle, or below a token of it.
#[napi]
pub fn open_token(env: Env, handle: u32, parent: Option<u32>, name: String) -> Result<u32> {
    let lifecycle = Arc::clone(&part(handle)?.lifecycle);
    let token = match parent {
        Some(parent) => child(parent)?.token.child(&name),
        None => error::check(&env, lifecycle.child(&name))?,
    };
    Ok(thread::current()?.tokens.borrow_mut().hold(Arc::new(Child { lifecycle, token })))
}

/// A JavaScript object of the token was collected.
#[napi]
pub fn release_token(token: u32) -> Result<()> {
    thread::current()?.tokens.borrow_mut().release(token);
    Ok(())
}

/// True for the call that cancels it.
#[napi]
pub fn cancel_token(env: Env, token: u32, reason: Option<String>) -> Result<bool> {
    let child = child(token)?;
    error::check(&env, child.lifecycle.cancel(&child.token, reason.as_deref()))
}

/// The reason given for the nearest token, from this one upwards, that was itself cancelled.
#[napi]
pub fn token_reason(token: u32) -> Result<Option<String>> {
    Ok(child(token)?.token.reason())
}

fn child(token: u32) -> Result<Arc<Child>> {
    thread::current()?.tokens.borrow().get(token).cloned()
}
