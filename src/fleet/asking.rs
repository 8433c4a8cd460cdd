//! Calls of a limiter of the fleet.

use std::sync::Arc;

use napi::bindgen_prelude::Result;
use napi::sys;
use sluice_fleet::{Asked, Call as FleetRequest, ClientName, Desk, FleetLimiter, Operation, Ticket};

use super::desk::PortDesk;
use super::layouts::{AskedKind, FleetCall};
use crate::rate_limiter;
use crate::runtime::error;
use crate::runtime::numbers::{integer, natural};
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, codes};

/// What can be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OperationKind {
    Take,
    Peek,
    Penalize,
    Refund,
    Undo,
    Block,
    Reset,
}

codes! {
    /// What can be asked of the server.
    OperationKind = "FLEET_OPERATION" {
        Take = "take",
        Peek = "peek",
        Penalize = "penalize",
        Refund = "refund",
        Undo = "undo",
        Block = "block",
        Reset = "reset",
    }
}

const US_IN_MS: u64 = 1_000;
const NS_IN_US: u64 = 1_000;

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("askFleet(key: string, amount: number, limit: number): 0 | 1 | 2", ask_fleet)?;
    exports.function("flushFleet(handle: number): void", flush_fleet)?;
    exports.function("awaitFleet(): 0 | 1", await_fleet)
}

/// `askFleet(key, amount, limit)`: asks what the integers say; a code of FLEET_ASKED. `amount` is a cost, or milliseconds of a
/// block. `limit` replaces the configured one, unless it is 0.
unsafe extern "C" fn ask_fleet(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let FleetCall { operation, gathers, .. } = call.port.read();
        let (key, units) = (call.key(0)?, call.units(0)?);
        let limit: u64 = integer(call.f64(2)?);
        let request = FleetRequest {
            client: ClientName::of_units(&units),
            key,
            operation: operation_of(call, OperationKind::from_code(operation.cast_unsigned())?)?,
            limit: (limit > 0).then_some(limit),
        };
        let (fleet, desk, ticket) = parties(call)?;
        let asked = fleet
            .ask(request, ticket.clone(), gathers != 0)
            .map_err(|core| error::throw_core(call.env, call.port, &core))?;
        let kind = match asked {
            Asked::Sent => AskedKind::Sent,
            Asked::Left => AskedKind::Left,
            Asked::Answered(answer) => {
                desk.put(ticket.number, answer);
                AskedKind::Answered
            }
        };
        call.int(kind.code().cast_signed())
    })
}

/// `flushFleet(handle)`: sends the calls of a limiter that were left. Where it was released meanwhile, others send them.
unsafe extern "C" fn flush_fleet(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let handle = call.u32(0)?;
        let fleet =
            call.port.thread().fleets.borrow().get(handle).ok().map(|local| Arc::clone(local.fleet()));
        if let Some(fleet) = fleet {
            fleet.flush();
        }
        call.undefined()
    })
}

/// `awaitFleet()`: as `askFleet`, for an answer once the server can be asked.
unsafe extern "C" fn await_fleet(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let (fleet, desk, ticket) = parties(call)?;
        let answer = fleet.ready(ticket.clone());
        let is_answered = answer.is_some();
        if let Some(answer) = answer {
            desk.put(ticket.number, answer);
        }
        call.int(i32::from(is_answered))
    })
}

/// The limiter, the desk and the place on it that JavaScript left.
fn parties<const N: usize>(call: &Call<'_, N>) -> Result<(Arc<FleetLimiter>, Arc<PortDesk>, Ticket)> {
    let FleetCall { fleet, desk, ticket, .. } = call.port.read();
    let thread = call.port.thread();
    let fleet = Arc::clone(thread.fleets.borrow().get(fleet.cast_unsigned())?.fleet());
    let desk = Arc::clone(thread.fleet_desks.borrow().get(desk.cast_unsigned())?);
    let ticket = Ticket { desk: Arc::clone(&desk) as Arc<dyn Desk>, number: natural(ticket) };
    Ok((fleet, desk, ticket))
}

fn operation_of<const N: usize>(call: &Call<'_, N>, kind: OperationKind) -> Result<Operation> {
    Ok(match kind {
        OperationKind::Take => Operation::Take { cost: call.cost(1)? },
        OperationKind::Peek => Operation::Peek,
        OperationKind::Penalize => Operation::Penalize { cost: call.cost(1)? },
        OperationKind::Refund => Operation::Refund { cost: call.cost(1)? },
        OperationKind::Undo => {
            let receipt = rate_limiter::receipt(call);
            Operation::Undo {
                cost: call.cost(1)?,
                charged_at: receipt.at / NS_IN_US,
                settles: receipt.settles.map(|settles| settles / NS_IN_US),
            }
        }
        OperationKind::Block => {
            let duration_ms: u64 = integer(call.f64(1)?);
            Operation::Block { duration: duration_ms * US_IN_MS }
        }
        OperationKind::Reset => Operation::Reset,
    })
}
