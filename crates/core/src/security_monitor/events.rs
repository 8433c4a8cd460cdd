//! The kinds of events of a monitor, by number.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::rule::Rule;
use crate::runtime::chunks::Chunks;
use crate::runtime::sharded_counters::ShardedCounters;
use crate::{Error, Result};

/// Most different events of one monitor: their names come from a program, not from its clients.
pub const MAX_EVENTS: usize = 1024;

/// The number of an event in one monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventId(pub u32);

/// One kind of event.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) id: EventId,
    pub(super) name: Arc<str>,
    /// The rules that judge it, by index.
    pub(super) rules: Box<[usize]>,
    /// Whether one of them counts details.
    pub(super) has_distinct: bool,
    total: Arc<ShardedCounters<1>>,
}

impl Event {
    fn new(id: EventId, name: Arc<str>, rules: &[Rule], total: Arc<ShardedCounters<1>>) -> Self {
        let own: Box<[usize]> = (0..rules.len()).filter(|index| rules[*index].event == name).collect();
        let has_distinct = own.iter().any(|index| rules[*index].distinct);
        Self { id, name, rules: own, has_distinct, total }
    }

    pub(super) fn count(&self) {
        self.total.add(0, 1);
    }

    pub(super) fn total(&self) -> u64 {
        self.total.sum(0)
    }
}

/// All events of one monitor. A look-up by number takes no lock.
#[derive(Debug)]
pub(super) struct Events {
    by_number: Chunks<OnceLock<Event>>,
    numbers: Mutex<HashMap<Box<str>, EventId>>,
}

impl Events {
    pub(super) fn new() -> Self {
        Self { by_number: Chunks::new(MAX_EVENTS, OnceLock::new), numbers: Mutex::default() }
    }

    /// The same events under the same numbers, judged by other rules; with `counted` they keep their totals.
    pub(super) fn judged_by(&self, rules: &[Rule], counted: bool) -> Self {
        let events = Self::new();
        let mut numbers = events.numbers.lock();
        for event in self.iter() {
            let total = if counted { Arc::clone(&event.total) } else { Arc::new(ShardedCounters::new()) };
            let index = event.id.0 as usize;
            events
                .by_number
                .at(index)
                .get_or_init(|| Event::new(event.id, Arc::clone(&event.name), rules, total));
            numbers.insert(event.name.as_ref().into(), event.id);
        }
        drop(numbers);
        events
    }

    /// The number of this event, which is added with its first mention.
    pub(super) fn mention(&self, name: &str, rules: &[Rule]) -> Result<EventId> {
        let mut numbers = self.numbers.lock();
        if let Some(id) = numbers.get(name) {
            return Ok(*id);
        }
        let index = numbers.len();
        if index == MAX_EVENTS {
            return Err(Error::InvalidValue {
                what: "event",
                given: format!("{name:?}"),
                accepted: format!(
                    "one of at most {MAX_EVENTS} different events; what differs by request belongs in the detail"
                ),
            });
        }
        let id = EventId(index as u32);
        self.by_number
            .at(index)
            .get_or_init(|| Event::new(id, name.into(), rules, Arc::new(ShardedCounters::new())));
        numbers.insert(name.into(), id);
        Ok(id)
    }

    /// The number of this event, if it was mentioned.
    pub(super) fn find(&self, name: &str) -> Option<EventId> {
        self.numbers.lock().get(name).copied()
    }

    pub(super) fn get(&self, id: EventId) -> Option<&Event> {
        self.by_number.find(id.0 as usize)?.get()
    }

    /// All events, in the order of their first mention.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Event> {
        self.by_number.made().map_while(OnceLock::get)
    }
}
