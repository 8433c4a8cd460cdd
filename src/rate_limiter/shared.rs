//! Limiters that all processes of the machine share: their handles, and calls by them.
//!
//! A handle is a number far below 0: `SHARED` less the number in the thread's slab.

use std::path::PathBuf;
use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use sluice_core::runtime::key_hash::KeyHasher;
use sluice_core::{Instance, Instances, LocalHandle, OptionList, RateLimiter, RateLimiterConfig};
use sluice_machine::{LocalSharedLimiter, SharedLimiter, SharedLimiterConfig};

use super::crossing::units_of;
use super::layouts::LimiterCall;
use crate::machine::{self, NativeMachineStats, NativeSharedScope};
use crate::runtime::raw::Call;
use crate::runtime::slab::Held;
use crate::runtime::{error, instances, thread};

static SHARED_LIMITERS: Instances<SharedLimiter> = Instances::new();

/// The instances, for what is done to all of a process.
pub(super) fn state() -> &'static dyn sluice_core::Component {
    &SHARED_LIMITERS
}

/// The handles of one thread.
pub(crate) type Local = LocalSharedLimiter;

/// A limiter, with the file that it is in.
pub(crate) type Attachment = Arc<SharedLimiter>;

/// In place of the handle, less the number of it: below those of limiters of the fleet.
const SHARED: i32 = -1_000_000_000;

impl Held for LocalSharedLimiter {
    type Instance = SharedLimiter;

    fn hold(limiter: Arc<SharedLimiter>) -> Self {
        Self::new(limiter)
    }

    fn instance(&self) -> &Arc<SharedLimiter> {
        self.shared()
    }
}

/// The number of a handle; one that no slab has for a handle of another kind.
fn number(handle: i32) -> i32 {
    SHARED.wrapping_sub(handle)
}

/// Whether the handle can be of such a limiter.
#[inline(always)]
pub(super) fn may_be_shared<const N: usize>(call: &Call<'_, N>) -> bool {
    let LimiterCall { handle, .. } = call.port.read();
    handle <= SHARED
}

/// Runs a call on this thread's handle to the limiter, with the key by its hash function, the units that JavaScript left,
/// and the time; `None` where the handle is of another kind. Argument 0 is what `key` takes for no key.
#[inline(always)]
pub(super) fn with_limiter<const N: usize, K, R>(
    call: &Call<'_, N>,
    key: impl FnOnce(&KeyHasher) -> Result<Option<K>>,
    body: impl FnOnce(&mut LocalHandle, K, u64, u64) -> sluice_core::Result<R>,
) -> Result<Option<R>> {
    let LimiterCall { handle, .. } = call.port.read();
    // The borrow ends before JavaScript runs again.
    let mut limiters = call.port.thread().shared_limiters.borrow_mut();
    let Some(limiter) = limiters.find(number(handle)) else { return Ok(None) };
    // The key is hashed by the limiter that this one may have given way to.
    let now = limiter.begin();
    let Some(key) = key(limiter.hasher())? else {
        drop(limiters);
        return Err(error::invalid_key(call.env, call.args[0]));
    };
    let cost = units_of(call);
    let outcome = limiter.call(|local| body(local, key, cost, now));
    drop(limiters);
    call.check(outcome).map(Some)
}

/// The limiter that the handle stands for now; `None` where it is of another kind.
pub(super) fn by_handle(handle: i32) -> Result<Option<Attachment>> {
    let mut limiters = thread::current()?.shared_limiters.borrow_mut();
    let limiter = limiters.find(number(handle));
    Ok(limiter.map(|limiter| {
        limiter.follow();
        Arc::clone(limiter.shared())
    }))
}

pub(super) fn limiter(attachment: &Attachment) -> &Arc<RateLimiter> {
    attachment.limiter()
}

pub(super) fn hasher(attachment: &Attachment) -> &KeyHasher {
    attachment.shared().hasher()
}

pub(super) fn now(attachment: &Attachment) -> u64 {
    attachment.shared().now()
}

/// Looks after the other processes first, so that those that have ended are not counted.
pub(super) fn stats(attachment: &Attachment) -> NativeMachineStats {
    let _ = attachment.look_after();
    machine::stats_of(attachment.shared(), attachment.trouble())
}

/// The handle of an instance of this process; `None` where there is none of this name.
pub(super) fn attach(name: &str) -> Result<Option<i32>> {
    forget_closed(name);
    find(name).map(hold).transpose()
}

/// The instance of this name, whether a test has reset it or not.
fn find(name: &str) -> Option<Arc<SharedLimiter>> {
    SHARED_LIMITERS.all().into_iter().find(|limiter| limiter.limiter().name() == name)
}

/// Opens a limiter by options that JavaScript has checked.
pub(super) fn open(
    env: &Env,
    name: &str,
    scope: NativeSharedScope,
    config: RateLimiterConfig,
    reconfigures: Option<bool>,
) -> Result<i32> {
    error::check(env, machine::check_clock(RateLimiter::KIND, name))?;
    forget_closed(name);
    let (on_mismatch, directory) = (scope.on_mismatch(), PathBuf::from(scope.directory));
    let config = SharedLimiterConfig { directory, config, on_mismatch };
    hold(instances::open(env, &SHARED_LIMITERS, name, Some(config), reconfigures)?)
}

/// Where another process has ended the limiter for all, its name is free.
fn forget_closed(name: &str) {
    if find(name).is_some_and(|limiter| limiter.is_closed_everywhere()) {
        SHARED_LIMITERS.destroy(name);
    }
}

fn hold(limiter: Arc<SharedLimiter>) -> Result<i32> {
    let number = thread::current()?.shared_limiters.borrow_mut().hold(limiter);
    Ok(SHARED.wrapping_sub(number.cast_signed()))
}

/// Whether the handle was one of these, and has one holder less.
pub(super) fn release(handle: i32) -> Result<bool> {
    let mut limiters = thread::current()?.shared_limiters.borrow_mut();
    let is_known = limiters.find(number(handle)).is_some();
    if is_known {
        limiters.release(number(handle).cast_unsigned());
    }
    Ok(is_known)
}

/// Ends the limiter in this process, or in all.
pub(super) fn destroy(name: &str, everywhere: bool) -> bool {
    if everywhere && let Some(limiter) = find(name) {
        limiter.close_everywhere();
    }
    SHARED_LIMITERS.destroy(name)
}

/// The options that the limiter of this name was opened with; none where there is none, or a test has reset it.
pub(super) fn options(name: &str) -> Option<OptionList> {
    forget_closed(name);
    SHARED_LIMITERS.get_if_set(name).map(|limiter| limiter.created_with().clone())
}

/// The names of those that a test has not reset, and no process has ended for all.
pub(super) fn names() -> Vec<String> {
    let all = SHARED_LIMITERS.all().into_iter().filter(|limiter| !limiter.is_closed_everywhere());
    let names = all.map(|limiter| limiter.limiter().name().to_owned());
    names.filter(|name| SHARED_LIMITERS.get_if_set(name).is_some()).collect()
}

pub(super) fn all() -> Vec<Arc<RateLimiter>> {
    SHARED_LIMITERS.all().iter().map(|limiter| Arc::clone(limiter.limiter())).collect()
}
