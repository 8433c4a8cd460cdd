//! `RateLimiter`: raw calls for requests, `#[napi]` for the rest.

mod administration;
mod by_hash;
mod by_key;
mod crossing;
mod elsewhere;
mod layouts;
mod observed;
mod opening;
#[cfg_attr(not(target_os = "linux"), path = "rate_limiter/shared_elsewhere.rs")]
mod shared;
mod waiting;

use std::sync::Arc;

use napi::bindgen_prelude::Result;
use sluice_core::observation::LimiterTotals;
use sluice_core::runtime::clock::SetBack;
use sluice_core::{Instances, LimitOptions, Quota, RateLimiter, RateLimiterOptions, ThreadId};

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
pub(crate) use self::observed::{is_observed, observe_as, reason};
pub(crate) use self::shared::Local as LocalShared;

/// In place of the handle: the limiter counts on a server, which a synchronous call cannot await.
pub(crate) const ELSEWHERE: i32 = -100;

/// In place of the handle: synchronous calls are decided by what is held of the limiter of the fleet whose handle is this
/// less the number.
pub(crate) const HELD: i32 = -1_000;

static LIMITERS: Instances<RateLimiter> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &OfAllScopes,
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

/// The limiters of this process, and those that it shares with others.
struct OfAllScopes;

impl sluice_core::Component for OfAllScopes {
    fn thread_ended(&self, thread: ThreadId, now: u64) {
        LIMITERS.thread_ended(thread, now);
        shared::state().thread_ended(thread, now);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        LIMITERS.clock_was_set_back(set_back);
        shared::state().clock_was_set_back(set_back);
    }

    fn reset(&self) {
        LIMITERS.reset();
        shared::state().reset();
    }

    fn names(&self) -> Option<(&'static str, Vec<String>)> {
        let (kind, mut names) = LIMITERS.names()?;
        names.extend(shared::names());
        names.sort_unstable();
        names.dedup();
        Some((kind, names))
    }
}

fn export(exports: &Exports<'_>) -> Result<()> {
    by_key::export(exports)?;
    by_hash::export(exports)?;
    waiting::export(exports)?;
    administration::export(exports)
}

/// The totals of each limiter that the history keeps. One that is being destroyed is left out.
pub(crate) fn totals() -> Vec<(String, LimiterTotals)> {
    let of = |limiter: &Arc<RateLimiter>| Some((limiter.name().to_owned(), limiter.calls().ok()?));
    LIMITERS.all().iter().chain(&shared::all()).filter_map(of).collect()
}

/// The limiters that this process shares with others, as messages name them.
pub(crate) fn shared_names() -> Vec<String> {
    shared::names().iter().map(|name| format!("RateLimiter {name:?}")).collect()
}

/// The limiter that the handle stands for now: after a reset, another one may have replaced it.
pub(crate) fn limiter(handle: i32) -> Result<Arc<RateLimiter>> {
    if let Some(attachment) = shared::by_handle(handle)? {
        return Ok(Arc::clone(shared::limiter(&attachment)));
    }
    let mut limiters = thread::current()?.limiters.borrow_mut();
    let local = limiters.at(handle)?;
    local.follow();
    Ok(Arc::clone(local.limiter()))
}
