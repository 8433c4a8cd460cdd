//! Calls for a request.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::runtime::clock;
use sluice_core::{EventLoop, LocalShedder, Priority};

use super::event_loop::UvLoop;
use crate::runtime::numbers::ceil_ms;
use crate::runtime::raw::{Admission, Call, Exports};
use crate::runtime::seam::{Coded, layout};

layout! {
    /// What JavaScript leaves for a call of a shedder.
    pub(super) struct ShedCall: i32 = "SHED_CALL" from 0 => {
        /// The shedder's handle.
        handle,
        /// The priority of the request, by its code.
        priority,
        /// The turn that JavaScript has counted; 0 where the runtime tells of its loop.
        turn,
    }
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("admitRequest(): void", admit)?;
    exports.function("isThreadBehind(): void", is_behind)?;
    exports.function("delayOfThread(): number", delay)?;
    exports.function("endLap(): void", end_lap)
}

/// `admitRequest()`: whether a request of this priority is admitted.
unsafe extern "C" fn admit(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::quick(env, info, |call| {
        let left: ShedCall = call.port.read();
        let priority = Priority::from_code(left.priority.cast_unsigned())?;
        let is_admitted = with_shedder(call, |shedder, at, now| shedder.admit(priority, at, now))?;
        Ok(Admission::from(is_admitted))
    })
}

/// `isThreadBehind()`: whether this thread is behind, as an admission says yes.
unsafe extern "C" fn is_behind(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::quick(env, info, |call| {
        Ok(Admission::from(with_shedder(call, |shedder, at, now| shedder.is_behind(at, now))?))
    })
}

/// `delayOfThread()`: how long a request waits for this thread, in milliseconds, rounded up.
unsafe extern "C" fn delay(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let delay = with_shedder(call, |shedder, at, now| shedder.delay(at, now))?;
        call.number(ceil_ms(delay))
    })
}

/// `endLap()`: the turn ends that JavaScript has counted, for every shedder of this thread.
unsafe extern "C" fn end_lap(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let now = clock::now();
        call.port.thread().shedders.borrow_mut().each(|shedder| shedder.end_lap(now));
        call.undefined()
    })
}

/// Runs `body` on this thread's handle to the shedder that JavaScript left, with the loop of the thread and the time.
#[inline(always)]
fn with_shedder<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalShedder, &At<'_>, u64) -> sluice_core::Result<R>,
) -> Result<R> {
    let ShedCall { handle, turn, .. } = call.port.read();
    // Before the borrow: a clock that follows the date of a thread runs JavaScript.
    let now = clock::now();
    let thread = call.port.thread();
    let at = At { uv: if turn == 0 { thread.event_loop.get().and_then(Option::as_ref) } else { None }, turn };
    let result = body(thread.shedders.borrow_mut().at(handle)?, &at, now);
    call.check(result)
}

/// Where this thread's loop is, by the runtime or by what JavaScript counts.
struct At<'a> {
    uv: Option<&'a UvLoop>,
    turn: i32,
}

impl EventLoop for At<'_> {
    #[inline]
    fn turn(&self) -> u64 {
        self.uv.map_or_else(|| u64::from(self.turn.cast_unsigned()), UvLoop::turn)
    }

    /// A clock that stands is not moved by waiting for events.
    #[inline]
    fn idle(&self) -> u64 {
        self.uv.filter(|_| !clock::is_manual()).map_or(0, UvLoop::idle)
    }
}
