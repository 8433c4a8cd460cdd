//! `RateLimiter`: raw calls for requests, `#[napi]` for the rest.

mod administration;
mod by_hash;
mod by_key;
mod crossing;
mod layouts;
mod observed;
mod opening;
mod waiting;

use std::sync::Arc;

use napi::bindgen_prelude::Result;
use sluice_core::observation::LimiterTotals;
use sluice_core::{Instances, LimitOptions, Quota, RateLimiter, RateLimiterOptions};

use self::layouts::{
    DecisionNumbers, HashedKey, JoinKind, LimiterCost, MiddlewareNumbers, SeveralAnswers, WaitAnswer,
    WaitKind, WaitNumbers,
};
use crate::components::Component;
use crate::runtime::raw::Exports;
use crate::runtime::seam::{Coded, Declarations, Layout};
use crate::runtime::thread;

pub(crate) use self::crossing::{leave_decision, leave_for_middleware, receipt, units_of};
pub(crate) use self::layouts::{DecisionIntegers, LimiterCall};
pub(crate) use self::observed::{observe_as, reason};

/// In place of the handle: the limiter counts on a server, which a synchronous call cannot await.
pub(crate) const ELSEWHERE: i32 = -100;

/// In place of the handle: synchronous calls are decided by what is held of the limiter of the fleet whose handle is this
/// less the number.
pub(crate) const HELD: i32 = -1_000;

static LIMITERS: Instances<RateLimiter> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &LIMITERS,
    export,
    declarations: Declarations {
        layouts: &[
            LimiterCall::DESCRIPTION,
            LimiterCost::DESCRIPTION,
            HashedKey::DESCRIPTION,
            SeveralAnswers::DESCRIPTION,
            DecisionIntegers::DESCRIPTION,
            DecisionNumbers::DESCRIPTION,
            MiddlewareNumbers::DESCRIPTION,
            WaitNumbers::DESCRIPTION,
            WaitAnswer::DESCRIPTION,
        ],
        codes: &[JoinKind::DESCRIPTION, WaitKind::DESCRIPTION],
        options: &[
            ("Quota", Quota::FIELDS),
            ("Limit", LimitOptions::FIELDS),
            ("RateLimiter", RateLimiterOptions::FIELDS),
        ],
    },
};

fn export(exports: &Exports<'_>) -> Result<()> {
    by_key::export(exports)?;
    by_hash::export(exports)?;
    waiting::export(exports)?;
    administration::export(exports)
}

/// The totals of each limiter that the history keeps. One that is being destroyed is left out.
pub(crate) fn totals() -> Vec<(String, LimiterTotals)> {
    let of = |limiter: &Arc<RateLimiter>| Some((limiter.name().to_owned(), limiter.calls().ok()?));
    LIMITERS.all().iter().filter_map(of).collect()
}

/// The limiter that the handle stands for now: after a reset, another one may have replaced it.
pub(crate) fn limiter(handle: u32) -> Result<Arc<RateLimiter>> {
    let mut limiters = thread::current()?.limiters.borrow_mut();
    let local = limiters.get_mut(handle)?;
    local.follow();
    Ok(Arc::clone(local.limiter()))
}
