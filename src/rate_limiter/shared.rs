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
use crate::machine::{self, NativeMachineStats, NativeSharedScope, instances};
use crate::runtime::raw::Call;
use crate::runtime::slab::Held;
use crate::runtime::{error, thread};

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
/// and the time; what `answer` makes of its outcome. `None` where the handle is of another kind. Argument 0 is what `key`
/// takes for no key.
#[inline(always)]
pub(super) fn with_limiter<const N: usize, K, R, A>(
    call: &Call<'_, N>,
    key: impl Fn(&KeyHasher) -> Result<Option<K>>,
    body: impl FnOnce(&mut LocalHandle, K, u64, u64) -> sluice_core::Result<R>,
    answer: impl FnOnce(R) -> A,
) -> Result<Option<A>> {
    let LimiterCall { handle, .. } = call.port.read();
    // The borrow ends before JavaScript runs again.
    let mut limiters = call.port.thread().shared_limiters.borrow_mut();
    let Some(limiter) = limiters.find(number(handle)) else { return Ok(None) };
    let read = key(limiter.hasher())?;
    let (now, read) = match limiter.now() {
        Some(now) => (now, read),
        None => look(limiter, &key)?,
    };
    let Some(read) = read else {
        drop(limiters);
        return Err(error::invalid_key(call.env, call.args[0]));
    };
    let outcome = body(limiter.handle(), read, units_of(call), now);
    drop(limiters);
    match outcome {
        Ok(outcome) => Ok(Some(answer(outcome))),
        Err(error) => Err(error::throw_core(call.env, call.port, &error)),
    }
}

/// Does what is due. The key is then hashed anew, by the limiter that this one may have given way to.
#[cold]
#[inline(never)]
fn look<K>(limiter: &mut Local, key: impl Fn(&KeyHasher) -> Result<Option<K>>) -> Result<(u64, Option<K>)> {
    let now = limiter.look();
    Ok((now, key(limiter.hasher())?))
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
    instances::forget_closed(&SHARED_LIMITERS, name);
    instances::find(&SHARED_LIMITERS, name).map(hold).transpose()
}

/// Opens a limiter by options that JavaScript has checked.
pub(super) fn open(
    env: &Env,
    name: &str,
    scope: NativeSharedScope,
    config: RateLimiterConfig,
    reconfigures: Option<bool>,
) -> Result<i32> {
    let (on_mismatch, directory) = (scope.on_mismatch(), PathBuf::from(scope.directory));
    let config = SharedLimiterConfig { directory, config, on_mismatch };
    hold(instances::open(env, &SHARED_LIMITERS, name, config, reconfigures)?)
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
    instances::destroy(&SHARED_LIMITERS, name, everywhere)
}

/// The options that the limiter of this name was opened with; none where there is none, or a test has reset it.
pub(super) fn options(name: &str) -> Option<OptionList> {
    instances::find_open(&SHARED_LIMITERS, name).map(|limiter| limiter.created_with().clone())
}

/// The names of those that a test has not reset, and no process has ended for all.
pub(super) fn names() -> Vec<String> {
    instances::names(&SHARED_LIMITERS)
}

pub(super) fn all() -> Vec<Arc<RateLimiter>> {
    SHARED_LIMITERS.all().iter().map(|limiter| Arc::clone(limiter.limiter())).collect()
}
