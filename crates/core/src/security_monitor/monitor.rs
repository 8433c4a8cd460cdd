//! The monitor: events, clients, rules and history combined.

mod instance;
mod state;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::alert::Alert;
use super::clients::HashedAddress;
use super::detail::Given;
use super::events::{Event, EventId, Events};
use super::history::{Entry, HistoryEntry, HistoryQuery, Recorded};
use super::options::SecurityMonitorConfig;
use super::rule::{Action, Rule};
use super::stats::SecurityMonitorStats;
use crate::client_key::{AddressText, DEFAULT_IPV6_PREFIX, client_of};
use crate::runtime::ThreadId;
use crate::runtime::instances::OptionList;
use crate::runtime::mailbox::{Sink, SubscriptionId};
use crate::runtime::subscribers::Subscribers;
use crate::{Error, Result};
pub(super) use state::State;
use state::{ALERTS, BANS, BANS_FAILED, MUTED};

/// The client of an address, whose state is on its way to the processor's cache.
#[derive(Clone, Copy, Debug)]
pub struct Approached(HashedAddress);

/// An event of a client.
pub(super) struct Occurrence<'a> {
    pub(super) event: EventId,
    pub(super) client: Result<Approached>,
    pub(super) detail: Option<&'a str>,
    /// The time in nanoseconds and the date in UTC milliseconds.
    pub(super) at: (u64, u64),
}

/// Events of all threads, counted per client and judged by rules.
///
/// A rule with count N is met by exactly one event of a client: the N-th within its window, whichever threads recorded
/// them. Recording takes no lock that all threads share: it takes that of the client's bucket and that of one history slot.
pub struct SecurityMonitor {
    name: String,
    created_with: OptionList,
    /// Handles of threads watch it.
    pub(super) state: Arc<ArcSwap<State>>,
    /// Serializes mentions of events and changes of options, so that events keep their numbers.
    changing: Mutex<()>,
    subscribers: Subscribers<Arc<Alert>>,
    closed: AtomicBool,
}

impl SecurityMonitor {
    /// A monitor without events.
    #[must_use]
    pub fn new(name: &str, config: SecurityMonitorConfig) -> Self {
        Self {
            name: name.to_owned(),
            created_with: config.list(),
            state: Arc::new(ArcSwap::from_pointee(State::new(config, Events::new(), 0))),
            changing: Mutex::new(()),
            subscribers: Subscribers::default(),
            closed: AtomicBool::new(false),
        }
    }

    /// The number under which an event of this name is recorded.
    ///
    /// # Errors
    ///
    /// `INVALID_VALUE` beyond [`MAX_EVENTS`](super::events::MAX_EVENTS) different events; `CLOSED`.
    pub fn event(&self, name: &str) -> Result<EventId> {
        self.check_open()?;
        let _turn = self.changing.lock();
        let state = self.state.load();
        state.events.mention(name, &state.config.rules)
    }

    /// Records an event of a client, and acts on the rules that it meets. `at` is the time in nanoseconds and the date
    /// in UTC milliseconds. `ban` bans the client of an alert in the reputation of the given name, and returns whether it
    /// did; it is called without a lock held, before subscribers are notified.
    ///
    /// # Errors
    ///
    /// `INVALID_VALUE` for an unknown event, `INVALID_ADDRESS`, `CLOSED`.
    pub fn record(
        &self,
        event: EventId,
        ip: &str,
        detail: Option<&str>,
        at: (u64, u64),
        ban: impl Fn(&str, &Alert) -> bool,
    ) -> Result<()> {
        let state = self.state.load();
        let client = Self::approach(&state, ip);
        self.record_in(&state, Occurrence { event, client, detail, at }, ban)
    }

    /// The client of an address. Its bucket is prefetched.
    #[inline]
    pub(super) fn approach<'a>(state: &State, ip: impl Into<AddressText<'a>>) -> Result<Approached> {
        let client = HashedAddress::from(client_named(ip)?);
        state.clients.prefetch(client);
        Ok(Approached(client))
    }

    /// As [`record`](Self::record), with the state in force.
    #[inline]
    pub(super) fn record_in(
        &self,
        state: &State,
        Occurrence { event, client, detail, at }: Occurrence<'_>,
        ban: impl Fn(&str, &Alert) -> bool,
    ) -> Result<()> {
        self.check_open()?;
        let event = state.known_event(event)?;
        let Approached(address) = client?;
        let client = address.ip;
        let detail = detail.map(Given::cut);
        let (now, utc_ms) = at;
        event.count();
        let rules = &state.config.rules;
        let hash = detail.filter(|_| event.has_distinct).map(Given::hash);
        let verdicts = state.clients.with(address, now, |client| client.record(event, hash, rules, now));
        state.history.add(Recorded { event: event.id, client, detail, at: utc_ms });
        if verdicts.muted > 0 {
            state.counters.add(MUTED, verdicts.muted);
        }
        for index in verdicts.alerts {
            let rule = &rules[index];
            self.act(state, rule, alert(rule, client, detail, utc_ms), &ban);
        }
        Ok(())
    }

    /// The events in the history that match, the newest first, and how many events are no longer in it.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
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
    ///
    /// # Errors
    ///
    /// `CLOSED`.
    pub fn counts(&self) -> Result<Vec<(Arc<str>, u64)>> {
        self.check_open()?;
        let state = self.state.load();
        let totals = state.events.iter().map(|event| (Arc::clone(&event.name), event.total()));
        Ok(totals.filter(|(_, total)| *total > 0).collect())
    }

    /// Totals of one client's events since it is tracked.
    ///
    /// # Errors
    ///
    /// `INVALID_ADDRESS`, `CLOSED`.
    pub fn counts_for(&self, ip: &str) -> Result<Vec<(Arc<str>, u64)>> {
        let (state, mut counts) = (self.state.load(), Vec::new());
        self.counts_in(&state, ip.into(), |_, event, count| counts.push((event, count)))?;
        let named = |(event, count)| Some((Arc::clone(&state.events.get(event)?.name), count));
        Ok(counts.into_iter().filter_map(named).collect())
    }

    /// As [`counts_for`](Self::counts_for), with the state in force. Returns how many there are.
    #[inline]
    pub(super) fn counts_in(
        &self,
        state: &State,
        ip: AddressText<'_>,
        mut each: impl FnMut(usize, EventId, u64),
    ) -> Result<usize> {
        self.check_open()?;
        let found = state.clients.existing(client_named(ip)?.into(), |client| {
            let counts = client.counts();
            counts.iter().enumerate().for_each(|(place, (event, count))| each(place, *event, *count));
            counts.len()
        });
        Ok(found.unwrap_or(0))
    }

    /// The names of all events, by number.
    ///
    /// # Errors
    ///
    /// `CLOSED`.
    pub fn events(&self) -> Result<Vec<Arc<str>>> {
        self.check_open()?;
        Ok(self.state.load().events.iter().map(|event| Arc::clone(&event.name)).collect())
    }

    /// The clients with the most events, and how many each has; of equals the lower address first. One pass over all
    /// clients.
    ///
    /// # Errors
    ///
    /// `CLOSED`.
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
    ///
    /// # Errors
    ///
    /// `CLOSED`.
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

    /// Notifies a thread of every alert from now on.
    ///
    /// # Errors
    ///
    /// `CLOSED`.
    pub fn subscribe(&self, sink: Sink<Arc<Alert>>, subscription: SubscriptionId) -> Result<()> {
        self.check_open()?;
        let thread = sink.thread();
        self.subscribers.add(sink, subscription);
        // Checked again: a subscription added after the end would never be notified of it.
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

    /// A test set the clock back: later events move to `now`, and no rule is muted for longer than its `mute`.
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
        // Relaxed: a call concurrent with `destroy` may still succeed.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }
}

#[inline]
fn client_named<'a>(ip: impl Into<AddressText<'a>>) -> Result<IpAddr> {
    ip.into().read().map(|address| client_of(address, DEFAULT_IPV6_PREFIX))
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
