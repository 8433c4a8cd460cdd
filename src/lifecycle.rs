//! `Lifecycle`: raw calls for what is asked in hot loops and counted per connection, `#[napi]` for the rest.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Result};
use napi::sys;
use napi_derive::napi;
use sluice_core::deliveries::Mailbox;
use sluice_core::runtime::clock;
use sluice_core::runtime::mailbox::Sink;
use sluice_core::{
    CancellationToken, HookError, HookOutcome, Instances, Lifecycle, LifecycleEvent, LifecycleState, Member,
    MemberCount, MemberEnd, ShutdownRequest, ThreadReport,
};

use crate::components::Component;
use crate::runtime::clock::{from_elapsed_ms, from_ms, in_elapsed_ms, in_ms};
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, Declarations, codes};
use crate::runtime::{error, thread};

static LIFECYCLES: Instances<Lifecycle> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &LIFECYCLES,
    export,
    declarations: Declarations {
        layouts: &[],
        codes: &[LifecycleState::DESCRIPTION, MemberCount::DESCRIPTION],
        options: &[],
    },
};

/// What a thread has of a lifecycle: its part in it.
pub(crate) struct Part {
    lifecycle: Arc<Lifecycle>,
    member: Arc<Member>,
}

/// What a thread has of a token.
pub(crate) struct Child {
    lifecycle: Arc<Lifecycle>,
    token: Arc<CancellationToken>,
}

/// What loaded the package before in the same thread takes part no longer, until it is used again.
pub(crate) fn dismiss(mailbox: &Arc<Mailbox>) {
    let sink: Sink<LifecycleEvent> = Arc::<Mailbox>::clone(mailbox);
    for lifecycle in LIFECYCLES.all() {
        lifecycle.dismiss(&sink);
    }
}

/// Times in milliseconds of `elapsed`.
#[napi(object)]
pub struct NativeShutdownTimes {
    pub closes_at: f64,
    pub deadline: f64,
    /// Not a time but a length of time: that of the hooks after the drain.
    pub hooks_timeout: f64,
    /// When the first thread that has not reported is late; none when all have.
    pub late_at: Option<f64>,
    pub reason: Option<String>,
}

#[napi(object)]
pub struct NativeHookOutcome {
    pub name: String,
    pub error: Option<NativeHookError>,
}

#[napi(object)]
pub struct NativeHookError {
    pub name: String,
    pub message: String,
    pub code: Option<String>,
}

#[napi(object)]
pub struct NativeThreadReport {
    pub thread_id: u32,
    pub responded: bool,
    pub drained: bool,
    pub forced: f64,
    pub connections_closed: f64,
    pub connections_reset: f64,
    pub tasks_left: f64,
    pub hooks: Vec<NativeHookOutcome>,
    pub hooks_ms: f64,
}

/// What a thread says when it has done what it could.
#[napi(object)]
pub struct NativeThreadEnd {
    pub forced: f64,
    pub connections_reset: f64,
    pub hooks: Vec<NativeHookOutcome>,
    pub hooks_ms: f64,
}

/// What a call asks of a shutdown. Times are in milliseconds.
#[napi(object)]
pub struct NativeShutdownRequest {
    pub reason: Option<String>,
    pub delay: f64,
    pub timeout: Option<f64>,
    pub hooks_timeout: Option<f64>,
}

#[napi(object)]
pub struct NativeShutdownReport {
    pub reason: Option<String>,
    pub duration_ms: f64,
    pub threads: Vec<NativeThreadReport>,
}

/// Attaches to a lifecycle or creates it, and takes part in it: what moves it is told under this number. The handle
/// is this copy's, and stays until it is released.
#[napi]
pub fn join_lifecycle(env: Env, name: String, subscription: u32, thread_id: u32) -> Result<u32> {
    let lifecycle = error::check(&env, LIFECYCLES.open(&name, Some(())))?;
    let port = thread::port_of(&env)?;
    let member = error::check(&env, lifecycle.join(port.mailbox(), subscription, thread_id))?;
    let part = Arc::new(Part { lifecycle, member });
    Ok(port.thread().lifecycles.borrow_mut().hold(part))
}

/// Gives the handle of a lifecycle up that was destroyed.
#[napi]
pub fn release_lifecycle(handle: u32) -> Result<()> {
    thread::current()?.lifecycles.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_lifecycle(name: String) -> bool {
    LIFECYCLES.destroy(&name)
}

/// After a reset: takes part again, if it does not.
#[napi]
pub fn rejoin_lifecycle(handle: u32) -> Result<()> {
    let part = part(handle)?;
    part.lifecycle.rejoin(&part.member);
    Ok(())
}

/// True for the call that made it so.
#[napi]
pub fn lifecycle_ready(env: Env, handle: u32) -> Result<bool> {
    error::check(&env, part(handle)?.lifecycle.ready())
}

/// Begins a shutdown, or shortens the one that goes on.
#[napi]
pub fn begin_shutdown(env: Env, handle: u32, request: NativeShutdownRequest) -> Result<()> {
    let NativeShutdownRequest { reason, delay, timeout, hooks_timeout } = request;
    let request = ShutdownRequest {
        reason,
        delay: from_ms(delay),
        timeout: timeout.map(from_ms),
        hooks_timeout: hooks_timeout.map(from_ms),
    };
    error::check(&env, part(handle)?.lifecycle.shut_down(request, clock::now()))
}

#[napi]
pub fn shutdown_times(handle: u32) -> Result<Option<NativeShutdownTimes>> {
    let times = part(handle)?.lifecycle.shutdown_times();
    Ok(times.map(|times| NativeShutdownTimes {
        closes_at: in_elapsed_ms(times.closes_at),
        deadline: in_elapsed_ms(times.deadline),
        hooks_timeout: in_ms(times.hooks_timeout),
        late_at: times.late_at.map(in_elapsed_ms),
        reason: times.reason,
    }))
}

/// The connections and the work of this thread have ended, or their time has: its last hooks begin.
#[napi]
pub fn thread_drained(handle: u32) -> Result<()> {
    let part = part(handle)?;
    part.lifecycle.drained(&part.member, clock::now());
    Ok(())
}

/// This thread has done what it could.
#[napi]
pub fn report_shutdown(handle: u32, end: NativeThreadEnd) -> Result<()> {
    let part = part(handle)?;
    part.lifecycle.report(&part.member, end.into(), clock::now());
    Ok(())
}

/// Threads that were late at this time, in milliseconds of `elapsed`, are not waited for.
#[napi]
pub fn give_up_shutdown(handle: u32, by: f64) -> Result<()> {
    part(handle)?.lifecycle.give_up(from_elapsed_ms(by.ceil()), clock::now());
    Ok(())
}

/// What came of the shutdown; none before it has ended.
#[napi]
pub fn shutdown_report(env: Env, handle: u32) -> Result<Option<NativeShutdownReport>> {
    let report = error::check(&env, part(handle)?.lifecycle.shutdown_report())?;
    Ok(report.map(|report| NativeShutdownReport {
        reason: report.reason,
        duration_ms: clock::ceil_ms(report.took) as f64,
        threads: report.threads.into_iter().map(Into::into).collect(),
    }))
}

/// The token of this name below a lifecycle, or below a token of it.
#[napi]
pub fn open_token(env: Env, handle: u32, parent: Option<u32>, name: String) -> Result<u32> {
    let lifecycle = Arc::clone(&part(handle)?.lifecycle);
    let token = match parent {
        Some(parent) => child(parent)?.token.child(&name),
        None => error::check(&env, lifecycle.child(&name))?,
    };
    Ok(thread::current()?.tokens.borrow_mut().hold(Arc::new(Child { lifecycle, token })))
}

/// Gives the handle of a token up whose lifecycle was destroyed.
#[napi]
pub fn release_token(token: u32) -> Result<()> {
    thread::current()?.tokens.borrow_mut().release(token);
    Ok(())
}

/// True for the call that cancelled it.
#[napi]
pub fn cancel_token(env: Env, token: u32, reason: Option<String>) -> Result<bool> {
    let child = child(token)?;
    error::check(&env, child.lifecycle.cancel(&child.token, reason.as_deref()))
}

/// Why it was cancelled by itself, or one above it.
#[napi]
pub fn token_reason(token: u32) -> Result<Option<String>> {
    Ok(child(token)?.token.reason())
}

/// Tells this thread of every state from now on, under this number.
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

impl From<NativeHookOutcome> for HookOutcome {
    fn from(NativeHookOutcome { name, error }: NativeHookOutcome) -> Self {
        let error = error.map(|NativeHookError { name, message, code }| HookError { name, message, code });
        Self { name, error }
    }
}

impl From<HookOutcome> for NativeHookOutcome {
    fn from(HookOutcome { name, error }: HookOutcome) -> Self {
        let error = error.map(|HookError { name, message, code }| NativeHookError { name, message, code });
        Self { name, error }
    }
}

impl From<NativeThreadEnd> for MemberEnd {
    fn from(end: NativeThreadEnd) -> Self {
        Self {
            forced: end.forced as u64,
            connections_reset: end.connections_reset as u64,
            hooks: end.hooks.into_iter().map(Into::into).collect(),
            hooks_took: from_ms(end.hooks_ms),
        }
    }
}

impl From<ThreadReport> for NativeThreadReport {
    fn from(report: ThreadReport) -> Self {
        Self {
            thread_id: report.thread_id,
            responded: report.responded,
            drained: report.is_drained(),
            forced: report.forced as f64,
            connections_closed: report.connections_closed as f64,
            connections_reset: report.connections_reset as f64,
            tasks_left: report.tasks_left as f64,
            hooks: report.hooks.into_iter().map(Into::into).collect(),
            hooks_ms: clock::ceil_ms(report.hooks_took) as f64,
        }
    }
}

fn part(handle: u32) -> Result<Arc<Part>> {
    thread::current()?.lifecycles.borrow().get(handle).cloned()
}

fn child(token: u32) -> Result<Arc<Child>> {
    thread::current()?.tokens.borrow().get(token).cloned()
}

fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("lifecycleState(handle: number): number", state)?;
    exports.function("lifecycleIsCancelled(handle: number): boolean", is_cancelled)?;
    exports.function("lifecycleResets(handle: number): number", resets)?;
    exports.function("tokenIsCancelled(token: number): boolean", token_is_cancelled)?;
    exports.function("countForLifecycle(handle: number, what: number): void", count)
}

codes! {
    /// The states of a lifecycle, in their order.
    LifecycleState = "LIFECYCLE_STATES" {
        Starting = "starting",
        Running = "running",
        Draining = "draining",
        Stopped = "stopped",
    }
}

codes! {
    /// What a lifecycle counts of a thread.
    MemberCount = "LIFECYCLE_COUNTS" {
        Opened = "opened",
        Closed = "closed",
        Begun = "begun",
        Done = "done",
    }
}

/// `lifecycleState(handle)`: the state by its code.
unsafe extern "C" fn state(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let state = call.on(&call.port.thread().lifecycles, |part| part.lifecycle.state())?;
        call.number(call.check(state)?.code().into())
    })
}

/// `lifecycleResets(handle)`: how often it was reset.
unsafe extern "C" fn resets(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let resets = call.on(&call.port.thread().lifecycles, |part| part.lifecycle.resets())?;
        call.number(f64::from(resets))
    })
}

/// `lifecycleIsCancelled(handle)`.
unsafe extern "C" fn is_cancelled(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let is_cancelled = call.on(&call.port.thread().lifecycles, |part| part.lifecycle.is_cancelled())?;
        call.boolean(call.check(is_cancelled)?)
    })
}

/// `tokenIsCancelled(token)`.
unsafe extern "C" fn token_is_cancelled(
    env: sys::napi_env,
    info: sys::napi_callback_info,
) -> sys::napi_value {
    Call::<1>::answer(env, info, |call| {
        let is_cancelled = call.on(&call.port.thread().tokens, |child| {
            child.token.is_cancelled().map_or_else(|| child.lifecycle.is_cancelled(), Ok)
        })?;
        call.boolean(call.check(is_cancelled)?)
    })
}

/// `countForLifecycle(handle, what)`: 0 a connection opened, 1 it closed, 2 work began, 3 it ended.
unsafe extern "C" fn count(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let what = MemberCount::from_code(call.u32(1)?)?;
        call.on(&call.port.thread().lifecycles, |part| part.member.count(what))?;
        call.undefined()
    })
}
