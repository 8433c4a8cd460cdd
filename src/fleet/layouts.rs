//! What crosses for calls of the fleet.

use sluice_core::MAX_LIMITS;

use crate::rate_limiter::DecisionIntegers;
use crate::runtime::seam::{codes, layout};

/// What an answer is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AnswerKind {
    Decided,
    Done,
    Ready,
    Failed,
    Granted,
    NoPlace,
}

/// What became of a call that was asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AskedKind {
    Sent,
    Answered,
    Left,
}

codes! {
    /// What became of a call that was asked: its answer comes, it lies on the desk, or it comes once the thread has flushed.
    AskedKind = "FLEET_ASKED" {
        Sent = "sent",
        Answered = "answered",
        Left = "left",
    }
}

codes! {
    /// What an answer is.
    AnswerKind = "FLEET_ANSWER_KIND" {
        Decided = "decided",
        Done = "done",
        Ready = "ready",
        Failed = "failed",
        Granted = "granted",
        NoPlace = "noPlace",
    }
}

layout! {
    /// What JavaScript leaves for a call of a limiter of the fleet.
    pub(crate) struct FleetCall: i32 = "FLEET_CALL" from 0 => {
        /// The limiter's handle.
        fleet,
        /// The handle of the desk where the answer is left.
        desk,
        /// A code of FLEET_OPERATION.
        operation,
        /// The number of the call on its desk.
        ticket,
        /// 1 where more calls follow at once: they go together.
        gathers,
    }
}

layout! {
    /// What decided a synchronous call, behind the decision.
    pub(crate) struct DecidedBy: i32 = "DECIDED_BY" from DecisionIntegers::LENGTH => {
        /// A code of FLEET_SOURCE.
        source,
    }
}

layout! {
    /// An answer, as `takeFleetAnswers` leaves them one behind the other. What follows `code` is there for decisions.
    pub(crate) struct FleetAnswer = "FLEET_ANSWER" from 0 => {
        /// The number of the call on its desk.
        ticket,
        /// A code of FLEET_ANSWER_KIND.
        kind,
        /// A code of FLEET_SOURCE for decisions and places, of FLEET_FAILURE for failures; for what was done, 1 or 0.
        code,
        /// 1 when the call is admitted, else 0.
        allowed,
        /// In a dry run: 1 when the call would have been refused, 0 when not. Else -1.
        would_refuse,
        /// Units per window.
        limit,
        /// Units left.
        remaining,
        /// Milliseconds until the key has its full quota.
        reset_after,
        /// Milliseconds until the same call is admitted; 0 when it is, Infinity when it never is.
        retry_after,
        /// Milliseconds until one more unit is available; 0 when all are.
        more_after,
        /// The deciding policy, by its place among the limits; where a connection has no place, a code of CONNECTION_REFUSALS,
        /// or -1 where the server did not decide.
        policy,
        /// The generation of the options that decided: its last 32 bits.
        generation,
        /// The receipt, as in MIDDLEWARE; of a place, its number.
        receipt_at,
        /// The limit that decided.
        receipt_limit,
        /// When the key has its full quota of each limit again, in nanoseconds.
        receipt_settles[MAX_LIMITS],
    }
}
