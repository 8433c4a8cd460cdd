//! Synchronous calls of a limiter of the fleet, decided by what this process holds.

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_core::observation::Reason;
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{Decision, Error, Receipt};
use sluice_fleet::{ClientName, LocalFleet, Source};

use super::layouts::DecidedBy;
use crate::rate_limiter::{
    self, HELD, LimiterCall, is_observed, leave_decision, leave_for_middleware, observe_as, reason, units_of,
};
use crate::runtime::numbers::integer;
use crate::runtime::raw::{Admission, Call, DONE, Exports, Left};
use crate::runtime::seam::Coded;
use crate::runtime::slab::no_such_handle;

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("decideHeld(key: string): void", decide_held)?;
    exports.function("putBackHeld(key: string, cost: number): 0 | 1", put_back_held)
}

/// `tryConsume(key)` of such a limiter.
#[inline(never)]
pub(crate) fn try_consume<const N: usize>(call: &Call<'_, N>, key: KeyHash) -> Result<Admission> {
    if !is_observed() && is_admitted_at_once(call, key) {
        return Ok(Admission::from(true));
    }
    with_fleet(call, |fleet, cost| {
        let admitted = fleet.try_consume(key, cost, || client(call))?;
        observe_as(call, fleet.fleet().name(), || if admitted { Reason::Admitted } else { Reason::Quota });
        Ok(Admission::from(admitted))
    })
}

/// Most calls: the units are held.
#[inline(always)]
fn is_admitted_at_once<const N: usize>(call: &Call<'_, N>, key: KeyHash) -> bool {
    let LimiterCall { handle, .. } = call.port.read();
    let mut fleets = call.port.thread().fleets.borrow_mut();
    fleets.find(HELD.wrapping_sub(handle)).is_some_and(|fleet| fleet.admits_at_once(key, units_of(call)))
}

/// `consume(key)` of such a limiter.
#[inline(never)]
pub(crate) fn consume<const N: usize>(call: &Call<'_, N>, key: KeyHash) -> Result<Left> {
    let decided = with_fleet(call, |fleet, cost| {
        let decided = fleet.consume(key, cost, || client(call))?;
        observe_as(call, fleet.fleet().name(), || reason(&decided.0));
        Ok(decided)
    })?;
    leave_source(call, decided.1);
    Ok(leave_decision(call, &decided.0))
}

/// `decideHeld(key)`: as `decide`, by what is held; leaves DONE where the server has to be asked, and nothing was done.
unsafe extern "C" fn decide_held(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::quick(env, info, |call| {
        let key = call.key(0)?;
        let decided: Option<(Decision, Source)> = with_fleet(call, |fleet, cost| {
            let decided = fleet.consume_held(key, cost, || client(call))?;
            if let Some((decision, _)) = &decided {
                observe_as(call, fleet.fleet().name(), || reason(decision));
            }
            Ok(decided)
        })?;
        let Some((decision, source)) = decided else { return Ok(call.leave(Admission { answer: DONE })) };
        let left = leave_for_middleware(call, &decision)?;
        leave_source(call, source);
        Ok(left)
    })
}

/// `putBackHeld(key, cost)`: holds units again whose receipt is among the numbers; 1 where they had not lapsed by all limits.
unsafe extern "C" fn put_back_held(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let (key, cost) = (call.key(0)?, integer(call.f64(1)?));
        let Receipt { at, settles, .. } = rate_limiter::receipt(call);
        let held = with_fleet(call, |fleet, _| {
            Ok(fleet.fleet().put_back(&client(call), key, (cost, at, &settles)))
        })?;
        call.int(i32::from(held))
    })
}

/// Runs `body` on this thread's handle to the limiter, with the units that JavaScript left.
fn with_fleet<const N: usize, R>(
    call: &Call<'_, N>,
    body: impl FnOnce(&mut LocalFleet, u64) -> std::result::Result<R, Error>,
) -> Result<R> {
    let LimiterCall { handle, .. } = call.port.read();
    let outcome = {
        let mut fleets = call.port.thread().fleets.borrow_mut();
        // Any other handle becomes a large one, which no slab has.
        let fleet = fleets.find(HELD.wrapping_sub(handle)).ok_or_else(no_such_handle)?;
        body(fleet, units_of(call))
    };
    call.check(outcome)
}

/// What the server calls the key of argument 0, which was read before.
fn client<const N: usize>(call: &Call<'_, N>) -> ClientName {
    ClientName::of_units(&call.units(0).unwrap_or_default())
}

fn leave_source<const N: usize>(call: &Call<'_, N>, source: Source) {
    call.port.write(DecidedBy { source: source.code().cast_signed() });
}
