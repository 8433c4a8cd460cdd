//! Where answers lie until the JavaScript of their thread takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use napi::bindgen_prelude::Result;
use napi::sys;
use parking_lot::Mutex;
use sluice_core::Decision;
use sluice_core::runtime::clock;
use sluice_fleet::{Answer, Desk};

use super::layouts::{AnswerKind, FleetAnswer};
use crate::connection_tracker;
use crate::runtime::numbers::{double, last_bits};
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, Layout};
use crate::runtime::waker::Waker;

/// The desk of one loaded copy of the package's JavaScript. The waker of a thread that has ended does nothing.
pub(crate) struct PortDesk {
    answers: Mutex<Vec<(u64, Answer)>>,
    waker: Arc<Waker>,
    /// The waker was called, and the thread has not looked since.
    rung: AtomicBool,
}

impl Desk for PortDesk {
    fn put(&self, ticket: u64, answer: Answer) {
        self.answers.lock().push((ticket, answer));
    }

    fn ring(&self) {
        // The answer was put before, under the lock that the thread takes after it clears the flag.
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.waker.wake();
        }
    }
}

pub(super) fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("openFleetDesk(): number", open_fleet_desk)?;
    exports.function(
        "takeFleetAnswers(desk: number, answers: Float64Array, most: number): number",
        take_fleet_answers,
    )
}

/// `openFleetDesk()`: the handle of this copy's desk.
unsafe extern "C" fn open_fleet_desk(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<0>::answer(env, info, |call| {
        let waker = call.port.waker();
        let desk = PortDesk { answers: Mutex::default(), waker, rung: AtomicBool::new(false) };
        call.number(double(call.port.thread().fleet_desks.borrow_mut().hold(Arc::new(desk))))
    })
}

/// `takeFleetAnswers(desk, answers, most)`: writes the answers that have come, at most so many, into the array; how many
/// it has written.
unsafe extern "C" fn take_fleet_answers(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let most = call.u32(2)? as usize;
        let taken: Vec<_> = {
            let desks = call.port.thread().fleet_desks.borrow();
            let desk = desks.get(call.u32(0)?)?;
            desk.rung.store(false, Ordering::Release);
            let mut answers = desk.answers.lock();
            let count = answers.len().min(most);
            answers.drain(..count).collect()
        };
        call.with_layouts(1, taken.iter().map(|(ticket, answer)| native(*ticket, answer)), most)?;
        call.number(double(taken.len()))
    })
}

fn native(ticket: u64, answer: &Answer) -> FleetAnswer {
    let (kind, code) = match answer {
        Answer::Decided(_, source) => (AnswerKind::Decided, source.code()),
        Answer::Done(done) => (AnswerKind::Done, u32::from(*done)),
        Answer::Ready => (AnswerKind::Ready, 0),
        Answer::Failed(failure) => (AnswerKind::Failed, failure.code()),
        Answer::Granted(_, source) => (AnswerKind::Granted, source.code()),
        Answer::NoPlace(_, source) => (AnswerKind::NoPlace, source.code()),
    };
    let nothing = [0.0; <FleetAnswer as Layout>::LENGTH];
    // SAFETY: a layout consists of numbers only, and has as many.
    let nothing: FleetAnswer = unsafe { std::mem::transmute(nothing) };
    let answered =
        FleetAnswer { ticket: double(ticket), kind: kind.code().into(), code: code.into(), ..nothing };
    match answer {
        Answer::Decided(decision, _) => with_decision(answered, decision),
        Answer::Granted(place, _) => FleetAnswer { receipt_at: double(*place), ..answered },
        Answer::NoPlace(refusal, _) => {
            let policy = refusal.map_or(-1.0, |refusal| connection_tracker::code_of(refusal).into());
            FleetAnswer { policy, ..answered }
        }
        _ => answered,
    }
}

fn with_decision(answer: FleetAnswer, decision: &Decision) -> FleetAnswer {
    let ms = |nanos| double(clock::ceil_ms(nanos));
    let Decision { receipt, .. } = decision;
    FleetAnswer {
        allowed: u8::from(decision.allowed).into(),
        would_refuse: decision.would_refuse.map_or(-1.0, |refused| u8::from(refused).into()),
        limit: double(decision.limit),
        remaining: double(decision.remaining),
        reset_after: ms(decision.reset_after),
        retry_after: decision.retry_after.map_or(f64::INFINITY, ms),
        more_after: ms(decision.more_after),
        policy: double(decision.policy),
        generation: last_bits(decision.generation).into(),
        receipt_at: double(receipt.at),
        receipt_limit: double(receipt.limit),
        receipt_settles: receipt.settles.map(double),
        ..answer
    }
}
