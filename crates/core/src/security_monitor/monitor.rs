//! The monitor: events, clients, rules and history put together.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::alert::Alert;
use super::clients::Clients;
use super::detail::Given;
use super::events::{Event, EventId, Events};
use super::history::{Entry, History, HistoryEntry, HistoryQuery};
use super::options::SecurityMonitorConfig;
use super::rule::{Action, Rule};
use crate::client_key::{DEFAULT_IPV6_PREFIX, client_of, parse_address};
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::runtime::mailbox::{Sink, SubscriptionId};
use crate::runtime::sharded_counters::ShardedCounters;
use crate::runtime::subscribers::Subscribers;
use crate::{Error, Result};

/// Counts over all threads since creation; clients and history of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SecurityMonitorStats {
    /// Events recorded.
    pub recorded: u64,
    /// Alerts raised, those that ban among them.
    pub alerts: u64,
    /// Events that met a rule which was silent for their client, once per rule.
    pub muted: u64,
    /// Bans asked for.
    pub bans: u64,
    /// Of them, those that nobody carried out.
    pub bans_failed: u64,
    /// Clients known now.
    pub clients: u64,
    /// Clients forgotten for newcomers.
    pub evictions: u64,
    /// Events in the history.
    pub history_size: u64,
    /// Events no longer in it.
    pub history_forgotten: u64,
}

/// Events of all threads, counted per client and judged by rules.
///
/// A rule with count N is met by exactly one event of a client: the N-th within its window, whichever threads recorded
/// them. To record takes no lock that all threads share: that of the client's bucket, and that of one slot of the history.
pub struct SecurityMonitor {
    name: String,
    created_with: OptionList,
    state: ArcSwap<State>,
    /// Mentions of events and changes of options take turns, so that events keep their numbers.
    changing: Mutex<()>,
    subscribers: Subscribers<Arc<Alert>>,
    closed: AtomicBool,
}

/// The options in force and all that happened. It is replaced when the options change, or everything is forgotten.
struct State {
    config: SecurityMonitorConfig,
    /// The number that no rule has had yet.
    next_rule: u32,
    events: Events,
    clients: Arc<Clients>,
    history: Arc<History>,
    counters: Arc<ShardedCounters<4>>,
}

const ALERTS: usize = 0;
const MUTED: usize = 1;
const BANS: usize = 2;
const BANS_FAILED: usize = 3;

impl SecurityMonitor {
    /// A monitor to which nothing has happened.
    #[must_use]
    pub fn new(name: &str, config: SecurityMonitorConfig) -> Self {
        Self {
            name: name.to_owned(),
            created_with: config.list(),
            state: ArcSwap::from_pointee(State::new(config, Events::new(), 0)),
            changing: Mutex::new(()),
            subscribers: Subscribers::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// The number under which an event of this name is recorded.
    pub fn event(&self, name: &str) -> Result<EventId> {
        self.check_open()?;
        let _turn = self.changing.lock();
        let state = self.state.load();
        state.events.mention(name, &state.config.rules)
    }

    /// Records an event of a client, and acts on the rules that it meets. `at` is the time in nanoseconds and the date
    /// in UTC milliseconds. `ban` is asked, without any lock held and before anybody is told, to ban the client of an
    /// alert in the reputation of this name; false says that it did not.
    pub fn record(
        &self,
        event: EventId,
        ip: &str,
        detail: Option<&str>,
        at: (u64, u64),
        ban: impl Fn(&str, &Alert) -> bool,
    ) -> Result<()> {
        self.check_open()?;
        let state = self.state.load();
        let event = state.known_event(event)?;
        let client = client_named(ip)?;
        let detail = detail.map(Given::cut);
        let (now, utc_ms) = at;
        event.count();
        let rules = &state.config.rules;
        let hash = detail.filter(|_| event.has_distinct).map(Given::hash);
        let verdicts = state.clients.with(client, now, |client| client.record(event, hash, rules, now));
        state.history.add(Entry { event: event.id, client, detail: detail.map(Into::into), at: utc_ms });
        if verdicts.muted > 0 {
            state.counters.add(MUTED, verdicts.muted);
        }
        for index in verdicts.alerts {
            let rule = &rules[index];
            self.act(&state, rule, alert(rule, client, detail, utc_ms), &ban);
        }
        Ok(())
    }

    /// What is still known of what happened, the newest first, and how much is not.
    pub fn history(&self, query: HistoryQuery<'_>) -> Result<(Vec<HistoryEntry>, u64)> {
        self.check_open()?;
        let client = query.ip.map(client_named).transpose()?;
        let state = self.state.load();
        let event = query.event.map(|name| state.events.find(name));
        let wanted = |entry: &Entry| {
            client.is_none_or(|client| client == entry.client)
                && event.is_none_or(|event| event == Some(entry.event))
        };
        let found = state.history.newest(wanted, query.limit.unwrap_or(usize::MAX));
        let entries = found.into_iter().filter_map(|(sequence, entry)| state.describe(sequence, entry));
        Ok((entries.collect(), state.history.kept_and_forgotten().1))
    }

    /// Totals of the events that were recorded, in the order of their first mention.
    pub fn counts(&self) -> Result<Vec<(Arc<str>, u64)>> {
        self.check_open()?;
        let state = self.state.load();
        let totals = state.events.iter().map(|event| (Arc::clone(&event.name), event.total()));
        Ok(totals.filter(|(_, total)| *total > 0).collect())
    }

    /// Totals of one client's events since it was first seen, or seen again after it was forgotten.
    pub fn counts_for(&self, ip: &str) -> Result<Vec<(Arc<str>, u64)>> {
        self.check_open()?;
        let state = self.state.load();
        let counts = state.clients.existing(client_named(ip)?, |client| client.counts().to_vec());
        let counts = counts.unwrap_or_default().into_iter();
        Ok(counts.filter_map(|(id, count)| Some((Arc::clone(&state.events.get(id)?.name), count))).collect())
    }

    /// The clients with the most events, and how many each has; of equals the lower address. One pass over all clients.
    pub fn top(&self, limit: usize) -> Result<Vec<(String, u64)>> {
        self.check_open()?;
        Ok(self
            .state
            .load()
            .clients
            .top(limit)
            .into_iter()
            .map(|(client, count)| (client.to_string(), count))
            .collect())
    }

    /// Sums over all threads.
    pub fn stats(&self) -> Result<SecurityMonitorStats> {
        self.check_open()?;
        let state = self.state.load();
        let (history_size, history_forgotten) = state.history.kept_and_forgotten();
        Ok(SecurityMonitorStats {
            recorded: state.events.iter().map(Event::total).sum(),
            alerts: state.counters.sum(ALERTS),
            muted: state.counters.sum(MUTED),
            bans: state.counters.sum(BANS),
            bans_failed: state.counters.sum(BANS_FAILED),
            clients: state.clients.count(),
            evictions: state.clients.evictions(),
            history_size,
            history_forgotten,
        })
    }

    /// Tells a thread of every alert from now on.
    pub fn subscribe(&self, sink: Sink<Arc<Alert>>, subscription: SubscriptionId) -> Result<()> {
        self.check_open()?;
        let thread = sink.thread();
        self.subscribers.add(sink, subscription);
        // Again: a subscription that came after the end would never be told.
        self.check_open().inspect_err(|_| self.subscribers.remove(thread, subscription))
    }

    /// Ends one subscription of a thread.
    pub fn unsubscribe(&self, thread: ThreadId, subscription: SubscriptionId) {
        self.subscribers.remove(thread, subscription);
    }

    /// Ends every subscription of a thread that ended.
    pub fn thread_ended(&self, thread: ThreadId) {
        self.subscribers.thread_ended(thread);
    }

    /// The clock was set back, by hand, in a test: what was later happened now, and no rule is silent for longer than
    /// its `mute`.
    pub fn clock_was_set_back(&self, now: u64) {
        let state = self.state.load();
        state.clients.clock_was_set_back(&state.config.rules, now);
    }

    fn act(&self, state: &State, rule: &Rule, alert: Alert, ban: impl Fn(&str, &Alert) -> bool) {
        state.counters.add(ALERTS, 1);
        if let (Action::Ban, Some(reputation)) = (rule.action, &state.config.options.reputation) {
            state.counters.add(BANS, 1);
            if !ban(reputation, &alert) {
                state.counters.add(BANS_FAILED, 1);
            }
        }
        self.subscribers.notify(&Arc::new(alert));
    }

    fn check_open(&self) -> Result<()> {
        // Relaxed: a call that races with `destroy` may still be answered.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }
}

impl State {
    /// Nothing has happened; events that are known keep their numbers.
    fn new(mut config: SecurityMonitorConfig, events: Events, next_rule: u32) -> Self {
        let next_rule = config.number_rules(&[], next_rule);
        Self {
            next_rule,
            events,
            clients: Arc::new(Clients::new(config.options.max_clients)),
            // Validated to what every machine counts.
            history: Arc::new(History::new(config.options.history as usize)),
            counters: Arc::new(ShardedCounters::new()),
            config,
        }
    }

    /// As this, judged by other rules from now on.
    fn judged_by(&self, mut config: SecurityMonitorConfig) -> Self {
        let next_rule = config.number_rules(&self.config.rules, self.next_rule);
        Self {
            next_rule,
            events: self.events.judged_by(&config.rules, true),
            clients: Arc::clone(&self.clients),
            history: Arc::clone(&self.history),
            counters: Arc::clone(&self.counters),
            config,
        }
    }

    /// As this, before anything happened, with options of any kind.
    fn emptied(&self, config: SecurityMonitorConfig) -> Self {
        let events = self.events.judged_by(&config.rules, false);
        Self::new(config, events, self.next_rule)
    }

    fn describe(&self, sequence: u64, entry: Entry) -> Option<HistoryEntry> {
        let event = Arc::clone(&self.events.get(entry.event)?.name);
        let Entry { client, detail, at, .. } = entry;
        Some(HistoryEntry { sequence, event, client: client.to_string(), detail, at })
    }

    fn known_event(&self, id: EventId) -> Result<&Event> {
        self.events.get(id).ok_or_else(|| Error::InvalidValue {
            what: "event",
            given: format!("number {}", id.0),
            accepted: "a number that this monitor gave".to_owned(),
        })
    }
}

fn client_named(ip: &str) -> Result<IpAddr> {
    parse_address(ip).map(|address| client_of(address, DEFAULT_IPV6_PREFIX))
}

fn alert(rule: &Rule, client: IpAddr, detail: Option<Given<'_>>, at: u64) -> Alert {
    Alert {
        rule: Arc::clone(&rule.name),
        event: Arc::clone(&rule.event),
        client: client.to_string(),
        count: rule.count as u64,
        detail: detail.map(Into::into),
        at,
    }
}

impl Instance for SecurityMonitor {
    const KIND: &'static str = "SecurityMonitor";
    type Config = SecurityMonitorConfig;

    fn create(name: &str, config: SecurityMonitorConfig) -> Self {
        Self::new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &SecurityMonitorConfig) -> OptionList {
        config.list()
    }

    /// How much is remembered.
    fn list_fixed(config: &SecurityMonitorConfig) -> OptionList {
        let is_fixed = |option: &str| ["history", "maxClients"].contains(&option);
        config.list().into_iter().filter(|(option, _)| is_fixed(option)).collect()
    }

    /// Rules that count as before keep what they counted; others begin with nothing.
    fn reconfigure(
        &self,
        _: &str,
        config: SecurityMonitorConfig,
        is_empty: bool,
    ) -> Result<Option<Arc<Self>>> {
        let _turn = self.changing.lock();
        let state = self.state.load();
        let next = if is_empty { state.emptied(config) } else { state.judged_by(config) };
        self.state.store(Arc::new(next));
        Ok(None)
    }

    fn reset(&self) {
        let _turn = self.changing.lock();
        let state = self.state.load();
        self.state.store(Arc::new(state.emptied(state.config.clone())));
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.subscribers.end();
        // A thread may keep the closed monitor for a while; it need not keep what it remembers.
        let state = self.state.load();
        state.clients.clear();
        state.history.clear();
    }

    fn thread_ended(&self, thread: ThreadId, _: u64) {
        Self::thread_ended(self, thread);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back.now);
    }
}

impl fmt::Debug for SecurityMonitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecurityMonitor").field("name", &self.name).finish_non_exhaustive()
    }
}
