//! Raw calls: permits are taken and returned for every piece of work.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{Acquired, Hold, Semaphore, SemaphoreCaller, Served};

use super::LocalSemaphore;
use crate::runtime::numbers::{ceil_ms, double, in_ms, last_bits, natural};
use crate::runtime::raw::{Admission, Answer, Call, DONE, Exports};
use crate::runtime::seam::layout;

layout! {
    /// What JavaScript leaves for a call of a semaphore.
    pub(super) struct SemaphoreCall: i32 = "SEMAPHORE_CALL" from 0 => {
        /// The semaphore's handle.
        handle,
        /// How many permits.
        permits,
        /// 1 where the call has a key; 0: there is one without keys.
        has_key,
        /// Where events of the call's wait go; 0: nowhere.
        subscription,
        /// The upper half of the serial of held permits, or of the number of a wait.
        number_high,
        /// Its lower half.
        number_low,
        /// Thousandths of all permits that are held at most after the call.
        share,
        /// 1 where no wait follows a refusal, which counts.
        is_final,
    }
}

layout! {
    /// What became of a call of a semaphore.
    pub(super) struct SemaphoreAnswer: i32 = "SEMAPHORE_ANSWER" from 0 => {
        /// ADMITTED: it has its permits; REFUSED; DONE: it waits, or nothing was asked for.
        answer,
        /// The upper half of the serial of the permits.
        serial_high,
        /// Its lower half.
        serial_low,
        /// The upper half of the number of the wait; else of the first call of this thread that was served.
        wait_high,
        /// Its lower half.
        wait_low,
        /// How many calls of this thread were served. More than one: `takeGrantedWaits` has all of them.
        served,
        /// 1 where calls wait behind a hand-over to another thread, at which this one is to look soon.
        watch,
    }
}

impl Answer for SemaphoreAnswer {}

layout! {
    /// The times beside an answer.
    pub(super) struct SemaphoreTimes = "SEMAPHORE_TIMES" from 0 => {
        /// Now, in milliseconds of `elapsed`.
        now,
        /// Milliseconds until the next look; 0: none.
        next_look,
    }
}

/// The key of calls without one. No text has this hash, but for a chance of 2^-106.
const NO_KEY: KeyHash = KeyHash::from_halves(0, 0);

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("tryAcquirePermits(key?: string): void", try_acquire)?;
    exports.function("acquirePermits(key?: string): void", acquire)?;
    exports.function("releasePermits(key?: string): void", release)?;
    exports.function("takePermits(key?: string): void", take)?;
    exports.function("expireWait(key?: string): void", expire)?;
    exports.function("leaveSemaphore(key?: string): void", leave)?;
    exports.function("lookAtSemaphore(key?: string): void", look)
}

/// `tryAcquirePermits(key)`: ADMITTED or REFUSED.
unsafe extern "C" fn try_acquire(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        let given = Given::read(call)?;
        let SemaphoreCall { share, is_final, .. } = given.call;
        let thread = call.port.thread().id;
        let amount = (given.permits(), natural(share));
        let serial =
            given.on(call, |local| local.semaphore.try_acquire(given.key, thread, amount, is_final == 1))?;
        let Admission { answer } = Admission::from(serial.is_some());
        Ok(SemaphoreAnswer::of(answer, serial.unwrap_or(0), 0))
    })
}

/// `acquirePermits(key)`: ADMITTED; REFUSED where too many wait; DONE where the call waits, with [`SemaphoreTimes`].
unsafe extern "C" fn acquire(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        let given = Given::read(call)?;
        let caller = given.caller(call);
        let acquired =
            given.on(call, |local| local.semaphore.acquire(given.key, &caller, given.permits()))?;
        Ok(match acquired {
            Acquired::Taken(serial) => SemaphoreAnswer::of(Admission::from(true).answer, serial, 0),
            Acquired::Full => SemaphoreAnswer::of(Admission::from(false).answer, 0, 0),
            Acquired::Waits { wait, serial, watch } => {
                let (now, set_back) = clock::now_and_set_back();
                call.port.write(SemaphoreTimes { now: in_ms(now) + double(set_back), next_look: 0.0 });
                SemaphoreAnswer { watch: watch.into(), ..SemaphoreAnswer::of(DONE, serial, wait) }
            }
        })
    })
}

/// `releasePermits(key)`: DONE, with the calls that it has served.
unsafe extern "C" fn release(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    serve(env, info, |semaphore, given, caller| {
        let hold = Hold { key: given.key, serial: given.number(), permits: given.permits() };
        (DONE, semaphore.release(hold, caller, clock::real()))
    })
}

/// `takePermits(key)`: ADMITTED where the call has what was handed to it, else REFUSED; with the calls that it has served.
unsafe extern "C" fn take(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    serve(env, info, |semaphore, given, caller| {
        let (taken, served) = semaphore.take(given.key, given.number(), caller, clock::real());
        (Admission::from(taken).answer, served)
    })
}

/// `expireWait(key)`: ADMITTED where permits were handed to the call, which has them; else it has left: REFUSED.
unsafe extern "C" fn expire(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    serve(env, info, |semaphore, given, caller| {
        let (taken, served) = semaphore.expire(given.key, given.number(), caller, clock::real());
        (Admission::from(taken).answer, served)
    })
}

/// `leaveSemaphore(key)`: DONE, with the calls that it has served.
unsafe extern "C" fn leave(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    serve(env, info, |semaphore, given, caller| {
        (DONE, semaphore.leave(given.key, given.number(), caller, clock::real()))
    })
}

/// `lookAtSemaphore(key)`: DONE, with the calls that it has served, and [`SemaphoreTimes`].
unsafe extern "C" fn look(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        let given = Given::read(call)?;
        let (caller, now) = (given.caller(call), clock::real());
        given.on(call, |local| {
            let (next, served) = local.semaphore.look(given.key, &caller, now);
            let next_look = next.map_or(0.0, |next| ceil_ms(next.saturating_sub(now)).max(1.0));
            call.port.write(SemaphoreTimes { now: 0.0, next_look });
            Ok(local.answer(DONE, served))
        })
    })
}

/// A call that serves the line.
fn serve(
    env: sys::napi_env,
    info: sys::napi_callback_info,
    change: impl FnOnce(&Semaphore, &Given, &SemaphoreCaller) -> (i32, Served),
) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        let given = Given::read(call)?;
        let caller = given.caller(call);
        given.on(call, |local| {
            let (answer, served) = change(&local.semaphore, &given, &caller);
            Ok(local.answer(answer, served))
        })
    })
}

/// What JavaScript has given.
struct Given {
    call: SemaphoreCall,
    key: KeyHash,
}

impl Given {
    #[inline(always)]
    fn read(call: &Call<'_, 1>) -> Result<Self> {
        let given: SemaphoreCall = call.port.read();
        let key = if given.has_key == 1 { call.key(0)? } else { NO_KEY };
        Ok(Self { call: given, key })
    }

    fn permits(&self) -> u64 {
        natural(self.call.permits)
    }

    /// The serial of permits, or the number of a wait.
    fn number(&self) -> u64 {
        natural(self.call.number_high) << 32 | natural(self.call.number_low)
    }

    fn caller(&self, call: &Call<'_, 1>) -> SemaphoreCaller {
        SemaphoreCaller { mailbox: call.port.mailbox(), subscription: self.call.subscription.cast_unsigned() }
    }

    /// Runs `body` on this thread's handle. The borrow ends before JavaScript runs again.
    #[inline(always)]
    fn on<R>(
        &self,
        call: &Call<'_, 1>,
        body: impl FnOnce(&mut LocalSemaphore) -> sluice_core::Result<R>,
    ) -> Result<R> {
        let result = body(call.port.thread().semaphores.borrow_mut().at(self.call.handle)?);
        call.check(result)
    }
}

impl LocalSemaphore {
    /// An answer with the calls of this thread that were served. Where it has no room, they are kept.
    fn answer(&mut self, answer: i32, served: Served) -> SemaphoreAnswer {
        let Served { own, watch, .. } = served;
        let wait = own.first().copied().unwrap_or(0);
        let count = i32::try_from(own.len()).unwrap_or(i32::MAX);
        if own.len() > 1 {
            self.granted.extend(own);
        }
        SemaphoreAnswer { served: count, watch: watch.into(), ..SemaphoreAnswer::of(answer, 0, wait) }
    }
}

impl SemaphoreAnswer {
    #[inline(always)]
    fn of(answer: i32, serial: u64, wait: u64) -> Self {
        let (high, low) = (|number: u64| last_bits(number >> 32), last_bits);
        Self {
            answer,
            serial_high: high(serial),
            serial_low: low(serial),
            wait_high: high(wait),
            wait_low: low(wait),
            served: 0,
            watch: 0,
        }
    }
}
