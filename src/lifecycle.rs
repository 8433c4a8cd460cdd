//! `Lifecycle`: raw calls for what is asked in hot loops and counted per connection, `#[napi]` for the rest.

mod calls;
mod shutdown;
mod tokens;

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi_derive::napi;
use sluice_core::deliveries::Mailbox;
use sluice_core::runtime::mailbox::Sink;
use sluice_core::{
    Instances, Lifecycle, LifecycleEvent, LifecycleState, Member, MemberCount, ShutdownOptions,
};

pub(crate) use self::tokens::Child;
use crate::components::Component;
use crate::runtime::numbers::double;
use crate::runtime::seam::{Coded, Declarations};
use crate::runtime::{error, thread};

static LIFECYCLES: Instances<Lifecycle> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &LIFECYCLES,
    export: calls::export,
    declarations: Declarations {
        layouts: &[],
        codes: &[LifecycleState::DESCRIPTION, MemberCount::DESCRIPTION],
        options: &[("shutdown", ShutdownOptions::FIELDS)],
    },
};

/// A lifecycle, and the thread's membership in it.
pub(crate) struct Part {
    lifecycle: Arc<Lifecycle>,
    member: Arc<Member>,
}

/// Ends the memberships of an earlier copy of the package in the same thread, until it is used again.
pub(crate) fn dismiss(mailbox: &Arc<Mailbox>) {
    let sink: Sink<LifecycleEvent> = Arc::<Mailbox>::clone(mailbox);
    for lifecycle in LIFECYCLES.all() {
        lifecycle.dismiss(&sink);
    }
}

/// Attaches to a lifecycle or creates it, and makes this thread a member. `moved` deliveries follow. The handle belongs to
/// this copy of the package, and stays until it is released.
#[napi]
pub fn join_lifecycle(env: Env, name: String, subscription: u32, thread_id: u32) -> Result<u32> {
    let lifecycle = error::check(&env, LIFECYCLES.open(&name, Some(())))?;
    let port = thread::port_of(&env)?;
    let member = error::check(&env, lifecycle.join(port.mailbox(), subscription, thread_id))?;
    let part = Arc::new(Part { lifecycle, member });
    Ok(port.thread().lifecycles.borrow_mut().hold(part))
}

/// Nothing of a destroyed lifecycle uses the handle any more.
#[napi]
pub fn release_lifecycle(handle: u32) -> Result<()> {
    thread::current()?.lifecycles.borrow_mut().release(handle);
    Ok(())
}

/// True when there was one.
#[napi]
pub fn destroy_lifecycle(name: String) -> bool {
    LIFECYCLES.destroy(&name)
}

/// After a reset: makes this thread a member again, if it is none.
#[napi]
pub fn rejoin_lifecycle(handle: u32) -> Result<()> {
    let part = part(handle)?;
    part.lifecycle.rejoin(&part.member);
    Ok(())
}

/// Moves from starting to running. True for the call that does.
#[napi]
pub fn lifecycle_ready(env: Env, handle: u32) -> Result<bool> {
    error::check(&env, part(handle)?.lifecycle.ready())
}

/// `lifecycle` deliveries follow, one for each state.
#[napi]
pub fn subscribe_to_lifecycle(env: Env, handle: u32, subscription: u32) -> Result<()> {
    let mailbox = thread::port_of(&env)?.mailbox();
    error::check(&env, part(handle)?.lifecycle.subscribe(mailbox, subscription))
}

#[napi]
pub fn unsubscribe_from_lifecycle(handle: u32, subscription: u32) -> Result<()> {
    part(handle)?.lifecycle.unsubscribe(thread::current()?.id, subscription);
    Ok(())
}

/// A lifecycle, as one sees it that takes no part.
#[napi(object, object_from_js = false)]
pub struct NativeLifecycleOverview {
    /// By its code in `LIFECYCLE_STATES`.
    pub state: u32,
    pub members: Vec<NativeLifecycleMember>,
}

/// A thread that takes part.
#[napi(object, object_from_js = false)]
pub struct NativeLifecycleMember {
    pub thread_id: u32,
    pub connections: f64,
    pub tasks: f64,
}

/// The state and the members of a lifecycle; none where there is none of this name.
#[napi]
pub fn lifecycle_overview(name: String) -> Option<NativeLifecycleOverview> {
    let lifecycle = LIFECYCLES.open(&name, None).ok()?;
    let members = lifecycle.members().into_iter().map(|(thread_id, connections, tasks)| {
        NativeLifecycleMember { thread_id, connections: double(connections), tasks: double(tasks) }
    });
    Some(NativeLifecycleOverview { state: lifecycle.state().ok()?.code(), members: members.collect() })
}

fn part(handle: u32) -> Result<Arc<Part>> {
    thread::current()?.lifecycles.borrow().get(handle).cloned()
}
