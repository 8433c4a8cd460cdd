//! The state of a monitor, which is replaced as a whole.

use std::sync::Arc;

use crate::runtime::sharded_counters::ShardedCounters;
use crate::security_monitor::clients::Clients;
use crate::security_monitor::events::{Event, EventId, Events};
use crate::security_monitor::history::{Entry, History, HistoryEntry};
use crate::security_monitor::options::SecurityMonitorConfig;
use crate::{Error, Result};

/// The options in force and everything recorded. Replaced when the options change and at a reset.
pub(in crate::security_monitor) struct State {
    pub(super) config: SecurityMonitorConfig,
    /// The id of the next new rule.
    next_rule: u32,
    pub(super) events: Events,
    pub(super) clients: Arc<Clients>,
    pub(super) history: Arc<History>,
    pub(super) counters: Arc<ShardedCounters<4>>,
}

pub(super) const ALERTS: usize = 0;
pub(super) const MUTED: usize = 1;
pub(super) const BANS: usize = 2;
pub(super) const BANS_FAILED: usize = 3;

impl State {
    /// An empty state; known events keep their numbers.
    pub(super) fn new(mut config: SecurityMonitorConfig, events: Events, next_rule: u32) -> Self {
        let next_rule = config.number_rules(&[], next_rule);
        Self {
            next_rule,
            events,
            clients: Arc::new(Clients::new(config.options.max_clients)),
            // Validated to fit.
            history: Arc::new(History::new(config.options.history as usize)),
            counters: Arc::new(ShardedCounters::new()),
            config,
        }
    }

    /// The same state with other rules from now on.
    pub(super) fn judged_by(&self, mut config: SecurityMonitorConfig) -> Self {
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

    /// An empty state with the same event numbers and any options.
    pub(super) fn emptied(&self, config: SecurityMonitorConfig) -> Self {
        let events = self.events.judged_by(&config.rules, false);
        Self::new(config, events, self.next_rule)
    }

    /// Frees what it recorded now: a thread may hold a state that is replaced, or a closed monitor, until its next call.
    pub(super) fn free(&self) {
        self.clients.clear();
        self.history.clear();
    }

    pub(super) fn describe(&self, sequence: u64, entry: Entry) -> Option<HistoryEntry> {
        let event = Arc::clone(&self.events.get(entry.event)?.name);
        let Entry { client, detail, at, .. } = entry;
        Some(HistoryEntry { sequence, event, client: client.to_string(), detail: detail.detail(), at })
    }

    pub(super) fn known_event(&self, id: EventId) -> Result<&Event> {
        self.events.get(id).ok_or_else(|| Error::InvalidValue {
            what: "event",
            given: format!("number {}", id.0),
            accepted: "a number that this monitor gave".to_owned(),
        })
    }
}
