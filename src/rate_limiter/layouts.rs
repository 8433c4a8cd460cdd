//! What crosses beside the arguments of a call of a limiter.

use sluice_core::MAX_LIMITS;

use crate::runtime::raw::Answer;
use crate::runtime::seam::{codes, layout};

layout! {
    /// What JavaScript leaves for a call of a limiter.
    pub(crate) struct LimiterCall: i32 = "LIMITER_CALL" from 0 => {
        /// The limiter's handle.
        handle,
        /// Units, checked by JavaScript; 0 where they are in LIMITER_COST, as they are too many for an integer.
        cost,
        /// The key's hash, where the call is by hash: in parts that are small integers in every build of V8.
        hash[4],
        /// Keys, where the call is of several.
        keys,
        /// The guard on whose behalf middleware asks; negative for none.
        guard,
    }
}

layout! {
    /// The answer of a call by which a key was hashed.
    pub(crate) struct HashedKey: i32 = "HASHED_KEY" from 0 => {
        /// DONE, in place of the handle.
        answer,
        /// Where the cost was.
        unused,
        /// The key's hash, in the parts of a call by hash.
        hash[4],
    }
}

const _: () = assert!(std::mem::offset_of!(HashedKey, hash) == std::mem::offset_of!(LimiterCall, hash));

layout! {
    /// The answer of a call of several keys.
    pub(crate) struct SeveralAnswers: i32 = "SEVERAL_ANSWERS" from 0 => {
        /// DONE, in place of the handle.
        answer,
        /// A bit for each key, the lowest for the first: 1 when it is admitted.
        admitted,
    }
}

layout! {
    /// A decision, as every caller gets it.
    pub(crate) struct DecisionIntegers: i32 = "DECISION" from 0 => {
        /// ADMITTED or REFUSED, in place of the handle; IN_NUMBERS when it is among LARGE_DECISION, with what follows
        /// except the last two.
        answer,
        /// Units per window.
        limit,
        /// Units left.
        remaining,
        /// Milliseconds until the key has its full quota.
        reset_after,
        /// Milliseconds until the same call is admitted; 0 when it is.
        retry_after,
        /// The deciding policy, by its place among the limits.
        policy,
        /// The generation of the options that decided: its last 32 bits.
        generation,
    }
}

layout! {
    /// A decision that is not of integers alone, or of a dry run.
    pub(crate) struct DecisionNumbers = "LARGE_DECISION" from 0 => {
        /// 1 when the call is admitted, else 0.
        allowed,
        /// Units per window.
        limit,
        /// Units left.
        remaining,
        /// Milliseconds until the key has its full quota.
        reset_after,
        /// Milliseconds until the same call is admitted; 0 when it is, Infinity when it never is.
        retry_after,
        /// In a dry run: 1 when the call would have been refused, 0 when not. Else -1.
        would_refuse,
    }
}

layout! {
    /// What middleware gets beside a decision.
    pub(crate) struct MiddlewareNumbers = "MIDDLEWARE" from DecisionNumbers::LENGTH => {
        /// Milliseconds until one more unit is available; 0 when all are.
        more_after,
        /// The receipt, by which `undoCharge` takes the charge back: when it was made, in nanoseconds.
        receipt_at,
        /// The limit that decided.
        receipt_limit,
        /// When the key has its full quota of each limit again, in nanoseconds.
        receipt_settles[MAX_LIMITS],
    }
}

layout! {
    /// Units that JavaScript leaves for a call of a limiter where they are too many for an integer.
    pub(crate) struct LimiterCost = "LIMITER_COST" from DecisionNumbers::LENGTH + MiddlewareNumbers::LENGTH => {
        /// Units, checked by JavaScript.
        cost,
    }
}

layout! {
    /// What a call of the lines leaves, beside what it returns; none that was charged at once.
    pub(crate) struct WaitNumbers = "WAIT" from 0 => {
        /// What JOIN says of the call.
        value,
        /// When this thread has to look, in milliseconds of `elapsed`; Infinity where no call waits.
        look_at,
        /// As many milliseconds from now; Infinity also where timers of this thread do not fire then, as a test has stopped
        /// the clock.
        timer_ms,
    }
}

/// What became of a call that asked to wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum JoinKind {
    Served,
    Waits,
    TooLate,
    Full,
    Never,
}

codes! {
    /// What became of a call that asked to wait: charged at once; WAIT has its number, the milliseconds after which it would
    /// be charged (twice), or the most units that are ever available at once.
    JoinKind = "JOIN" {
        Served = "served",
        Waits = "waits",
        TooLate = "tooLate",
        Full = "full",
        Never = "never",
    }
}

/// How waiting ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum WaitKind {
    Served,
    TooLate,
    Closed,
}

codes! {
    /// How waiting ends.
    WaitKind = "WAIT_KIND" {
        Served = "served",
        TooLate = "tooLate",
        Closed = "closed",
    }
}

layout! {
    /// The outcome of a call that waited, as `takeWaits` leaves them one behind the other. What follows `retry_after` is
    /// there for calls that were charged.
    pub(crate) struct WaitAnswer = "WAIT_ANSWER" from 0 => {
        /// The number of the call.
        id,
        /// A code of WAIT_KIND.
        kind,
        /// Milliseconds that it waited.
        waited_ms,
        /// Of a call that is too late: milliseconds after which it would be charged, Infinity for never.
        retry_after,
        /// Units per window.
        limit,
        /// Units left.
        remaining,
        /// Milliseconds until the key has its full quota.
        reset_after,
        /// The deciding policy, by its place among the limits.
        policy,
        /// The generation of the options that decided: its last 32 bits.
        generation,
        /// Milliseconds until one more unit is available; 0 when all are.
        more_after,
        /// The receipt, as in MIDDLEWARE.
        receipt_at,
        /// The limit that decided.
        receipt_limit,
        /// When the key has its full quota of each limit again, in nanoseconds.
        receipt_settles[MAX_LIMITS],
    }
}

impl Answer for HashedKey {}

impl Answer for SeveralAnswers {}

impl Answer for DecisionIntegers {}
