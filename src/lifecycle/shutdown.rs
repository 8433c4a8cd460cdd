//! A shutdown: its times, and what threads report.

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use sluice_core::runtime::clock;
use sluice_core::{HookError, HookOutcome, MemberEnd, ShutdownOptions, ShutdownRequest, ThreadReport};

use super::part;
use crate::runtime::clock::{from_elapsed_ms, in_elapsed_ms};
use crate::runtime::error;
use crate::runtime::numbers::{ceil_ms, double, from_ms, in_ms, integer};
use crate::runtime::options::Given;

/// Times in milliseconds of `elapsed`.
#[napi(object)]
pub struct NativeShutdownTimes {
    pub closes_at: f64,
    pub deadline: f64,
    /// A duration, not a time: how long the hooks after the drain may take.
    pub hooks_timeout: f64,
    /// When the first member that has not reported is late; none when all have.
    pub late_at: Option<f64>,
    pub reason: Option<String>,
}

/// The outcome of a hook; without an error it succeeded.
#[napi(object)]
pub struct NativeHookOutcome {
    pub name: String,
    pub error: Option<NativeHookError>,
}

/// What a hook threw.
#[napi(object)]
pub struct NativeHookError {
    pub name: String,
    pub message: String,
    pub code: Option<String>,
}

/// The report of one member, by Node's id of its thread.
#[napi(object, object_from_js = false)]
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

/// What a member reports when it has finished.
#[napi(object, object_to_js = false)]
pub struct NativeThreadEnd {
    pub forced: f64,
    pub connections_reset: f64,
    pub hooks: Vec<NativeHookOutcome>,
    pub hooks_ms: f64,
}

/// The reports of all members.
#[napi(object, object_from_js = false)]
pub struct NativeShutdownReport {
    pub reason: Option<String>,
    pub duration_ms: f64,
    pub threads: Vec<NativeThreadReport>,
}

/// Begins a shutdown, or shortens the one in progress.
#[napi]
pub fn begin_shutdown(
    env: Env,
    handle: u32,
    #[napi(ts_arg_type = "object")] options: Object<'_>,
) -> Result<()> {
    let request = ShutdownOptions::read(&Given(options)).and_then(ShutdownRequest::try_from);
    let request = error::check(&env, request)?;
    error::check(&env, part(handle)?.lifecycle.shut_down(request, clock::now()))
}

/// The times of the shutdown in progress; none before it has begun.
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

/// The drain of this thread has ended: the hooks after it begin.
#[napi]
pub fn thread_drained(handle: u32) -> Result<()> {
    let part = part(handle)?;
    part.lifecycle.drained(&part.member, clock::now());
    Ok(())
}

/// Reports for this thread.
#[napi]
pub fn report_shutdown(handle: u32, end: NativeThreadEnd) -> Result<()> {
    let part = part(handle)?;
    part.lifecycle.report(&part.member, end.into(), clock::now());
    Ok(())
}

/// Stops waiting for members that were late at this time, in milliseconds of `elapsed`.
#[napi]
pub fn give_up_shutdown(handle: u32, by: f64) -> Result<()> {
    part(handle)?.lifecycle.give_up(from_elapsed_ms(by.ceil()), clock::now());
    Ok(())
}

/// The report of the shutdown; none before it has ended.
#[napi]
pub fn shutdown_report(env: Env, handle: u32) -> Result<Option<NativeShutdownReport>> {
    let report = error::check(&env, part(handle)?.lifecycle.shutdown_report())?;
    Ok(report.map(|report| NativeShutdownReport {
        reason: report.reason,
        duration_ms: ceil_ms(report.took),
        threads: report.threads.into_iter().map(Into::into).collect(),
    }))
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
            forced: integer(end.forced),
            connections_reset: integer(end.connections_reset),
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
            forced: double(report.forced),
            connections_closed: double(report.connections_closed),
            connections_reset: double(report.connections_reset),
            tasks_left: double(report.tasks_left),
            hooks: report.hooks.into_iter().map(Into::into).collect(),
            hooks_ms: ceil_ms(report.hooks_took),
        }
    }
}
