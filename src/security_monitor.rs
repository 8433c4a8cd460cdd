//! `SecurityMonitor`: raw calls for requests, `#[napi]` for the rest.

mod calls;

use std::sync::Arc;

use napi::bindgen_prelude::{Env, Object, Result};
use napi_derive::napi;
use sluice_core::{
    Alert, HistoryEntry, HistoryQuery, Instances, LocalMonitor, RuleOptions, SecurityMonitor,
    SecurityMonitorConfig, SecurityMonitorOptions,
};

use crate::components::Component;
use crate::runtime::instances;
use crate::runtime::numbers::{double, integer};
use crate::runtime::options::Given;
use crate::runtime::seam::{Declarations, Layout};
use crate::runtime::slab::Held;
use crate::runtime::{error, thread};
use calls::{ClientCounts, ClientEvents, MonitorCall};

static MONITORS: Instances<SecurityMonitor> = Instances::new();

pub(crate) const COMPONENT: Component = Component {
    state: &MONITORS,
    export: calls::export,
    declarations: Declarations {
        layouts: &[MonitorCall::DESCRIPTION, ClientEvents::DESCRIPTION, ClientCounts::DESCRIPTION],
        codes: &[],
        options: &[
            ("SecurityMonitor", SecurityMonitorOptions::FIELDS),
            ("SecurityMonitor rules", RuleOptions::FIELDS),
        ],
    },
};

/// An alert, as a delivery carries it.
#[napi(object)]
pub struct NativeAlert {
    pub rule: String,
    pub event: String,
    pub client: String,
    pub count: f64,
    pub detail: Option<String>,
    pub detail_cut: bool,
    pub at: f64,
}

impl From<&Alert> for NativeAlert {
    fn from(alert: &Alert) -> Self {
        Self {
            rule: alert.rule.to_string(),
            event: alert.event.to_string(),
            client: alert.client.clone(),
            count: double(alert.count),
            detail: alert.detail.as_ref().map(|detail| detail.text.to_string()),
            detail_cut: alert.detail.as_ref().is_some_and(|detail| detail.is_cut),
            at: double(alert.at),
        }
    }
}

#[napi(object)]
pub struct NativeHistoryEntry {
    pub sequence: f64,
    pub event: String,
    pub client: String,
    pub detail: Option<String>,
    pub detail_cut: bool,
    pub at: f64,
}

impl From<HistoryEntry> for NativeHistoryEntry {
    fn from(entry: HistoryEntry) -> Self {
        Self {
            sequence: double(entry.sequence),
            event: entry.event.to_string(),
            client: entry.client,
            detail_cut: entry.detail.as_ref().is_some_and(|detail| detail.is_cut),
            detail: entry.detail.map(|detail| detail.text.into()),
            at: double(entry.at),
        }
    }
}

/// Events, the newest first, and how many are no longer in the history.
#[napi(object)]
pub struct NativeHistory {
    pub entries: Vec<NativeHistoryEntry>,
    pub forgotten: f64,
}

/// A count and what it is of: an event or a client.
#[napi(object)]
pub struct NativeCount {
    pub of: String,
    pub count: f64,
}

/// Sums over all threads.
#[napi(object)]
pub struct NativeSecurityMonitorStats {
    pub recorded: f64,
    pub alerts: f64,
    pub muted: f64,
    pub bans: f64,
    pub bans_failed: f64,
    pub clients: f64,
    pub evictions: f64,
    pub history_size: f64,
    pub history_forgotten: f64,
}

/// Attaches to a monitor or creates it; the handle is this thread's.
#[napi]
pub fn open_security_monitor(
    env: Env,
    name: String,
    #[napi(ts_arg_type = "object | undefined")] options: Option<Object<'_>>,
    reconfigures: Option<bool>,
) -> Result<u32> {
    let options = options.map(|options| SecurityMonitorOptions::read(&Given(options)));
    let config = options.map(|options| options.and_then(SecurityMonitorConfig::try_from));
    let config = error::check(&env, config.transpose())?;
    let monitor = instances::open(&env, &MONITORS, &name, config, reconfigures)?;
    Ok(thread::current()?.monitors.borrow_mut().hold(monitor))
}

/// Releases a JavaScript object's hold on the handle.
#[napi]
pub fn release_security_monitor(handle: u32) -> Result<()> {
    thread::current()?.monitors.borrow_mut().release(handle);
    Ok(())
}

#[napi]
pub fn destroy_security_monitor(name: String) -> bool {
    MONITORS.destroy(&name)
}

/// The number by which `recordEvent` knows an event of this monitor.
#[napi]
pub fn security_event(env: Env, handle: u32, name: String) -> Result<u32> {
    Ok(error::check(&env, monitor(handle)?.event(&name))?.0)
}

#[napi]
pub fn security_history(
    env: Env,
    handle: u32,
    ip: Option<String>,
    event: Option<String>,
    limit: Option<f64>,
) -> Result<NativeHistory> {
    let limit = limit.map(integer);
    let query = HistoryQuery { ip: ip.as_deref(), event: event.as_deref(), limit };
    let (entries, forgotten) = error::check(&env, monitor(handle)?.history(query))?;
    Ok(NativeHistory { entries: entries.into_iter().map(Into::into).collect(), forgotten: double(forgotten) })
}

/// The names of all events, by number.
#[napi]
pub fn security_events(env: Env, handle: u32) -> Result<Vec<String>> {
    let names = error::check(&env, monitor(handle)?.events())?;
    Ok(names.iter().map(ToString::to_string).collect())
}

#[napi]
pub fn security_counts(env: Env, handle: u32) -> Result<Vec<NativeCount>> {
    counts(error::check(&env, monitor(handle)?.counts())?)
}

#[napi]
pub fn security_counts_for(env: Env, handle: u32, ip: String) -> Result<Vec<NativeCount>> {
    counts(error::check(&env, monitor(handle)?.counts_for(&ip))?)
}

#[napi]
pub fn security_top(env: Env, handle: u32, limit: f64) -> Result<Vec<NativeCount>> {
    counts(error::check(&env, monitor(handle)?.top(integer(limit)))?)
}

#[napi]
pub fn security_monitor_stats(env: Env, handle: u32) -> Result<NativeSecurityMonitorStats> {
    let stats = error::check(&env, monitor(handle)?.stats())?;
    Ok(NativeSecurityMonitorStats {
        recorded: double(stats.recorded),
        alerts: double(stats.alerts),
        muted: double(stats.muted),
        bans: double(stats.bans),
        bans_failed: double(stats.bans_failed),
        clients: double(stats.clients),
        evictions: double(stats.evictions),
        history_size: double(stats.history_size),
        history_forgotten: double(stats.history_forgotten),
    })
}

/// Delivers every alert to this thread from now on, under this subscription.
#[napi]
pub fn security_monitor_subscribe(env: Env, handle: u32, subscription: u32) -> Result<()> {
    let mailbox = thread::port_of(&env)?.mailbox();
    error::check(&env, monitor(handle)?.subscribe(mailbox, subscription))
}

#[napi]
pub fn security_monitor_unsubscribe(handle: u32, subscription: u32) -> Result<()> {
    monitor(handle)?.unsubscribe(thread::current()?.id, subscription);
    Ok(())
}

fn counts<T: ToString>(counts: Vec<(T, u64)>) -> Result<Vec<NativeCount>> {
    Ok(counts
        .into_iter()
        .map(|(of, count)| NativeCount { of: of.to_string(), count: double(count) })
        .collect())
}

fn monitor(handle: u32) -> Result<Arc<SecurityMonitor>> {
    Ok(Arc::clone(thread::current()?.monitors.borrow().get(handle)?.monitor()))
}

impl Held for LocalMonitor {
    type Instance = SecurityMonitor;

    fn hold(monitor: Arc<SecurityMonitor>) -> Self {
        Self::new(monitor)
    }

    fn instance(&self) -> &Arc<SecurityMonitor> {
        self.monitor()
    }
}
