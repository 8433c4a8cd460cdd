//! Which thread serves the inspection of the process.
//!
//! Each call of `inspect()` is a claim. The first claim serves: it has the socket open. When it is given up, or its thread
//! ends, the next one is told and takes over.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use parking_lot::Mutex;
use sluice_core::ThreadId;
use sluice_core::deliveries::{Item, Mailbox};
use sluice_core::runtime::clock::SetBack;

use crate::components::Component;
use crate::runtime::seam::Declarations;
use crate::runtime::thread;

pub(crate) const COMPONENT: Component = Component {
    state: &Inspection,
    export: |_| Ok(()),
    declarations: Declarations { layouts: &[], codes: &[], options: &[] },
};

/// The claims of all threads.
struct Inspection;

impl sluice_core::Component for Inspection {
    fn thread_ended(&self, thread: ThreadId, _: u64) {
        edit(|claims| claims.retain(|claim| claim.mailbox.thread() != thread));
    }

    /// No claim depends on the clock.
    fn clock_was_set_back(&self, _: SetBack) {}

    /// Sockets stay open, as servers do.
    fn reset(&self) {}

    fn names(&self) -> Option<(&'static str, Vec<String>)> {
        None
    }
}

/// One call of `inspect()`.
#[derive(Clone)]
struct Claim {
    mailbox: Arc<Mailbox>,
    subscription: u32,
    /// Whether it allows actions; `None` for one that the environment has asked for, which comes after all others.
    actions: Option<bool>,
}

impl Claim {
    fn is(&self, thread: ThreadId, subscription: u32) -> bool {
        self.subscription == subscription && self.mailbox.thread() == thread
    }

    fn is_same(&self, other: &Self) -> bool {
        self.is(other.mailbox.thread(), other.subscription)
    }
}

/// In the order in which they serve.
static CLAIMS: Mutex<Vec<Claim>> = Mutex::new(Vec::new());

/// Adds a claim, for which `inspection` deliveries follow. False, and nothing is added, where another claim decided otherwise
/// about actions.
#[napi]
pub fn join_inspection(env: Env, subscription: u32, actions: Option<bool>) -> Result<bool> {
    let claim = Claim { mailbox: thread::port_of(&env)?.mailbox(), subscription, actions };
    Ok(edit(|claims| {
        let differs = |other: &Claim| other.actions.is_some() && other.actions != actions;
        if actions.is_some() && claims.iter().any(differs) {
            return false;
        }
        let asked_by_environment = |other: &Claim| other.actions.is_none();
        let place = if actions.is_none() { None } else { claims.iter().position(asked_by_environment) };
        claims.insert(place.unwrap_or(claims.len()), claim);
        true
    }))
}

/// Whether this thread is to have the socket open, for this claim.
#[napi]
pub fn serves_inspection(subscription: u32) -> Result<bool> {
    let thread = thread::current()?.id;
    Ok(CLAIMS.lock().first().is_some_and(|claim| claim.is(thread, subscription)))
}

/// Gives a claim of this thread up.
#[napi]
pub fn leave_inspection(subscription: u32) -> Result<()> {
    let thread = thread::current()?.id;
    edit(|claims| claims.retain(|claim| !claim.is(thread, subscription)));
    Ok(())
}

/// Changes the claims. Where another one is the first afterwards, it is told, and so is the one that was, if it remains.
fn edit<R>(change: impl FnOnce(&mut Vec<Claim>) -> R) -> R {
    let (result, concerned) = {
        let mut claims = CLAIMS.lock();
        let before = claims.first().cloned();
        let result = change(&mut claims);
        (result, concerned(before.as_ref(), &claims))
    };
    for Claim { mailbox, subscription, .. } in concerned {
        mailbox.push(subscription, Item::InspectionMoved);
    }
    result
}

fn concerned(before: Option<&Claim>, claims: &[Claim]) -> Vec<Claim> {
    let now = claims.first();
    let is_same = match (before, now) {
        (Some(before), Some(now)) => before.is_same(now),
        (before, now) => before.is_none() && now.is_none(),
    };
    if is_same {
        return Vec::new();
    }
    let remains = |one: &&Claim| claims.iter().any(|claim| claim.is_same(one));
    before.filter(remains).into_iter().chain(now).cloned().collect()
}
