//! Events of clients: counted, judged by two rules and kept in a history.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rapidhash::fast::RandomState;
use sluice_core::runtime::clock::MS;
use sluice_core::{Action, EventId, RuleOptions, SecurityMonitor, SecurityMonitorOptions};

use super::{Call, Guard};
use crate::contenders::{Locks, NOW, Text};
use crate::waited::Waited;

const EVENT: &str = "login-failed";
/// The count of both rules: of events of a client, and of distinct details.
const COUNT: usize = 5;
const WINDOW_MS: u64 = 60_000;
const HISTORY: usize = 10_000;
const DETAILS: [&str; 8] = ["anna", "bert", "carl", "dora", "emil", "fred", "gina", "hans"];

/// A monitor in either form, which returns how many rules an event met.
pub trait Observer: Send + Sync {
    const LOCKS: Locks;
    fn record(&self, ip: &str, detail: &str, waited: &mut Waited) -> u64;
}

/// Each client has met both rules before; they are muted but still count.
pub struct Record<O>(pub O);

impl<O: Observer> Guard for Record<O> {
    const LOCKS: Locks = O::LOCKS;

    fn fill(&self, clients: &[Text]) {
        for ip in clients {
            let met = DETAILS.iter().map(|detail| self.0.record(ip, detail, &mut Waited::default()));
            assert_eq!(met.collect::<Vec<_>>(), [0, 0, 0, 0, 2, 0, 0, 0], "rules are met once");
        }
    }

    fn call(&self, call: Call, waited: &mut Waited) -> bool {
        self.0.record(call.ip, DETAILS[call.before % DETAILS.len()], waited) == 0
    }
}

pub struct Sluice {
    monitor: SecurityMonitor,
    event: EventId,
}

impl Sluice {
    pub fn new() -> Self {
        let options = SecurityMonitorOptions {
            history: HISTORY as u64,
            reputation: Some("benchmark".to_owned()),
            ..SecurityMonitorOptions::new(vec![rule("many", false), rule("different", true)])
        };
        let monitor = SecurityMonitor::new("benchmark", options.try_into().expect("valid options"));
        Self { event: monitor.event(EVENT).expect("open"), monitor }
    }
}

fn rule(name: &str, distinct: bool) -> RuleOptions {
    RuleOptions {
        name: name.to_owned(),
        event: EVENT.to_owned(),
        count: COUNT as u64,
        window_ms: WINDOW_MS,
        distinct,
        mute_ms: None,
        // So that the callback of `record` reports it.
        action: Action::Ban,
    }
}

impl Observer for Sluice {
    const LOCKS: Locks = Locks::Hidden;

    fn record(&self, ip: &str, detail: &str, _: &mut Waited) -> u64 {
        // Relaxed: used by this thread only.
        let met = AtomicU64::new(0);
        let ban = |_: &str, _: &sluice_core::Alert| met.fetch_add(1, Ordering::Relaxed) < COUNT as u64;
        self.monitor.record(self.event, ip, Some(detail), (*NOW, *NOW), ban).expect("an address");
        met.into_inner()
    }
}

/// Takes its three locks together, in this order, as such code usually does.
#[derive(Default)]
pub struct Plain {
    counts: RwLock<HashMap<String, u64, RandomState>>,
    clients: RwLock<HashMap<IpAddr, Client, RandomState>>,
    history: RwLock<VecDeque<Entry>>,
}

#[derive(Default)]
struct Client {
    counts: HashMap<String, u64, RandomState>,
    events: VecDeque<u64>,
    details: VecDeque<(String, u64)>,
    /// By rule.
    muted_until: [u64; 2],
}

/// An entry of the history, which is not read here.
#[expect(dead_code, reason = "written as it would be, to be read by others")]
struct Entry {
    event: String,
    client: IpAddr,
    detail: String,
    at: u64,
}

impl Observer for Plain {
    const LOCKS: Locks = Locks::Measured;

    fn record(&self, ip: &str, detail: &str, waited: &mut Waited) -> u64 {
        let client = ip.parse().expect("an address");
        let entry = Entry { event: EVENT.to_owned(), client, detail: detail.to_owned(), at: *NOW };
        let mut counts = waited.write(&self.counts);
        let mut clients = waited.write(&self.clients);
        let mut history = waited.write(&self.history);
        add_one(&mut counts, EVENT);
        let met = clients.entry(client).or_default().record(EVENT, detail, *NOW);
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(entry);
        met
    }
}

impl Client {
    fn record(&mut self, event: &str, detail: &str, now: u64) -> u64 {
        add_one(&mut self.counts, event);
        let is_gone = |at: u64| now - at >= WINDOW_MS * MS;
        while self.events.len() == COUNT || self.events.front().is_some_and(|at| is_gone(*at)) {
            self.events.pop_front();
        }
        self.events.push_back(now);
        self.details.retain(|(known, at)| known != detail && !is_gone(*at));
        if self.details.len() == COUNT {
            self.details.pop_front();
        }
        self.details.push_back((detail.to_owned(), now));
        let found = [self.events.len(), self.details.len()];
        let mut met = 0;
        for (found, muted_until) in found.into_iter().zip(&mut self.muted_until) {
            if found >= COUNT && *muted_until <= now {
                *muted_until = now + WINDOW_MS * MS;
                met += 1;
            }
        }
        met
    }
}

fn add_one(counts: &mut HashMap<String, u64, RandomState>, event: &str) {
    match counts.get_mut(event) {
        Some(count) => *count += 1,
        None => {
            counts.insert(event.to_owned(), 1);
        }
    }
}
