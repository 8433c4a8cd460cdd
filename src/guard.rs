//! What the threads share of a guard: a raw call to count, `#[napi]` for the rest.

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Object, Result};
use napi::sys;
use napi_derive::napi;
use sluice_core::observation::{GUARD_SERIES, GuardTotals, Reason};
use sluice_core::{
    AddressSource, ConcurrencyCaps, Guard, GuardConfig, GuardCounter, GuardOptions, Instances, LatencyCounts,
    PartName, RecordOptions,
};

use crate::components::Component;
use crate::observation;
use crate::runtime::numbers::{double, from_ms};
use crate::runtime::options::Given;
use crate::runtime::raw::{Call, Exports};
use crate::runtime::seam::{Coded, Declarations, codes};
use crate::runtime::{error, instances, thread};

static GUARDS: Instances<Guard> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &GUARDS,
    export,
    declarations: Declarations {
        layouts: &[],
        codes: &[GuardCounter::DESCRIPTION],
        options: &[("guard", GuardOptions::FIELDS), ("guard record", RecordOptions::FIELDS)],
    },
};

codes! {
    /// What a guard counts.
    GuardCounter = "GUARD_COUNTERS" {
        Allowed = "allowed",
        RefusedByQuota = "refusedByQuota",
        RefusedByConnections = "refusedByConnections",
        RefusedByBan = "refusedByBan",
        DryRefused = "dryRefused",
        Skipped = "skipped",
        Refunded = "refunded",
        Recorded = "recorded",
        Faults = "faults",
        RefusedAtAccept = "refusedAtAccept",
        RefusedByConcurrency = "refusedByConcurrency",
        RefusedByOverload = "refusedByOverload",
    }
}

/// The options in force.
#[napi(object)]
pub struct NativeGuardOptions {
    #[napi(ts_type = "'off' | 'options' | 'byRequest'")]
    pub rate_limit: String,
    #[napi(ts_type = "'off' | 'options'")]
    pub connections: String,
    /// Left out where the guard counts no requests in progress.
    pub concurrency: Option<NativeConcurrency>,
    /// Left out where the guard has none.
    pub reputation: Option<String>,
    /// Left out where the guard has none.
    pub monitor: Option<String>,
    pub record: Vec<NativeRecord>,
    pub trusted_proxies: Vec<String>,
    /// The header that names the client; left out where each thread has a function.
    pub client_address: Option<String>,
    #[napi(ts_type = "'off' | 'options'")]
    pub overload: String,
    pub dry_run: bool,
}

/// How many requests may be in progress at once.
#[napi(object)]
pub struct NativeConcurrency {
    pub max: Option<f64>,
    pub max_per_client: Option<f64>,
}

/// What is recorded of answers with one status.
#[napi(object)]
pub struct NativeRecord {
    pub status: u32,
    pub event: String,
    pub weight: f64,
    #[napi(ts_type = "'credentials' | 'always'")]
    pub when: String,
}

impl From<&GuardConfig> for NativeGuardOptions {
    fn from(config: &GuardConfig) -> Self {
        let options = config.options().clone();
        let PartName(reputation) = options.reputation;
        let PartName(monitor) = options.monitor;
        Self {
            rate_limit: options.rate_limit.text().to_owned(),
            connections: options.connections.text().to_owned(),
            concurrency: (options.concurrency != ConcurrencyCaps::default()).then(|| NativeConcurrency {
                max: options.concurrency.max.map(double),
                max_per_client: options.concurrency.max_per_client.map(double),
            }),
            reputation,
            monitor,
            record: options.record.into_iter().map(Into::into).collect(),
            trusted_proxies: options.trusted_proxies,
            client_address: match options.client_address {
                AddressSource::Header(header) => Some(header),
                AddressSource::Function => None,
            },
            overload: options.overload.text().to_owned(),
            dry_run: options.dry_run,
        }
    }
}

impl From<RecordOptions> for NativeRecord {
    fn from(RecordOptions { status, event, weight, when }: RecordOptions) -> Self {
        // Validated to be at most 599.
        let status = u32::try_from(status).unwrap_or(u32::MAX);
        Self { status, event, weight: double(weight), when }
    }
}

/// Attaches to a guard or creates it; the handle is this thread's.
#[napi]
pub fn open_guard(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let config = error::check(&env, options.map(config).transpose())?;
    let guard = instances::open(&env, &GUARDS, &name, config, reconfigures)?;
    Ok(thread::current()?.guards.borrow_mut().hold(guard))
}

/// The options of the guard of this name; none where there is none, nor, with `if_set`, where it was reset and has not
/// been given any since.
#[napi]
pub fn guard_options(name: String, if_set: bool) -> Option<NativeGuardOptions> {
    let guard = if if_set { GUARDS.get_if_set(&name) } else { GUARDS.open(&name, None).ok() };
    guard.map(|guard| (&*guard.config()).into())
}

/// The options in force, where one that may change differs from `known`; none where the guard was reset and has not been
/// given any since.
#[napi]
pub fn changed_guard_options(
    env: Env,
    name: String,
    known: Object<'_>,
) -> Result<Option<NativeGuardOptions>> {
    let known = error::check(&env, config(known))?;
    let in_force = GUARDS.get_if_set(&name).map(|guard| guard.config());
    Ok(in_force.filter(|config| config.differs_from(&known)).map(|config| (&*config).into()))
}

/// The names of all guards of the process, sorted.
#[napi]
pub fn guard_names() -> Vec<String> {
    let mut names: Vec<String> = GUARDS.all().iter().map(|guard| guard.name().to_owned()).collect();
    names.sort();
    names
}

/// Adds a limiter that the guard's rules use from now on.
#[napi]
pub fn add_guard_limiter(handle: u32, name: String) -> Result<()> {
    guard(handle)?.add_limiter(name);
    Ok(())
}

/// The names of the limiters that all threads use for the guard, sorted.
#[napi]
pub fn guard_limiters(handle: u32) -> Result<Vec<String>> {
    Ok(guard(handle)?.limiters())
}

/// Releases a JavaScript object's hold on the handle.
#[napi]
pub fn release_guard(handle: u32) -> Result<()> {
    thread::current()?.guards.borrow_mut().release(handle);
    Ok(())
}

/// Sums over all threads, in the order of `GUARD_COUNTERS`.
#[napi]
pub fn guard_counts(handle: u32) -> Result<Vec<f64>> {
    let guard = guard(handle)?;
    Ok(GuardCounter::ALL.iter().map(|counter| double(guard.sum(*counter))).collect())
}

fn guard(handle: u32) -> Result<Arc<Guard>> {
    thread::current()?.guards.borrow().get(handle).cloned()
}

fn config(options: Object<'_>) -> sluice_core::Result<GuardConfig> {
    GuardOptions::read(&Given(options)).and_then(GuardConfig::try_from)
}

/// The totals of each guard that the history keeps.
pub(crate) fn totals() -> Vec<(String, GuardTotals)> {
    let of = |guard: &Arc<Guard>| (guard.name().to_owned(), IN_HISTORY.map(|counter| guard.sum(counter)));
    GUARDS.all().iter().map(of).collect()
}

/// In the order of the history.
const IN_HISTORY: [GuardCounter; GUARD_SERIES] = [
    GuardCounter::Allowed,
    GuardCounter::RefusedByQuota,
    GuardCounter::RefusedByConnections,
    GuardCounter::RefusedByBan,
    GuardCounter::DryRefused,
    GuardCounter::Skipped,
    GuardCounter::RefusedAtAccept,
    GuardCounter::Faults,
    GuardCounter::RefusedByConcurrency,
    GuardCounter::RefusedByOverload,
];

/// How long the decisions of each guard took, where that was measured.
pub(crate) fn latencies() -> Vec<(String, LatencyCounts)> {
    let of = |guard: &Arc<Guard>| Some((guard.name().to_owned(), guard.decisions.counts()?));
    GUARDS.all().iter().filter_map(of).collect()
}

fn export(exports: &Exports<'_>) -> Result<()> {
    exports.function("countForGuard(handle: number, counter: number, client?: string): void", count)?;
    exports.function("addGuardDecision(handle: number, ms: number): void", add_decision)
}

/// `addGuardDecision(handle, ms)`: adds how long a decision took.
unsafe extern "C" fn add_decision(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<2>::answer(env, info, |call| {
        let nanos = from_ms(call.f64(1)?);
        call.on(&call.port.thread().guards, |guard| guard.decisions.add(nanos))?;
        call.undefined()
    })
}

/// `countForGuard(handle, counter, client)`: adds one to a counter of `GUARD_COUNTERS`. The client is that of a refusal.
unsafe extern "C" fn count(env: sys::napi_env, info: sys::napi_callback_info) -> sys::napi_value {
    Call::<3>::answer(env, info, |call| {
        let counter = GuardCounter::from_code(call.u32(1)?)?;
        call.on(&call.port.thread().guards, |guard| {
            guard.count(counter);
            if let Some(reason) = reason(counter) {
                observation::observe_text(call, 2, reason, guard.name());
            }
        })?;
        call.undefined()
    })
}

/// Why the client of a request was refused, where no limiter did.
fn reason(counter: GuardCounter) -> Option<Reason> {
    match counter {
        GuardCounter::RefusedByConnections => Some(Reason::Connections),
        GuardCounter::RefusedByBan => Some(Reason::Ban),
        GuardCounter::RefusedAtAccept => Some(Reason::Accept),
        GuardCounter::RefusedByConcurrency => Some(Reason::Concurrency),
        GuardCounter::RefusedByOverload => Some(Reason::Overload),
        _ => None,
    }
}
