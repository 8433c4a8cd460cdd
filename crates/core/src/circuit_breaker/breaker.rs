//! The breaker: options, circuits and listeners put together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;

use super::answer::{Answer, Request};
use super::change::CircuitChange;
use super::circuit::{Circuit, Reported};
use super::options::CircuitBreakerConfig;
use super::peers::Peers;
use super::rates::Outcome;
use super::state::CircuitState;
use super::stats::{CircuitBreakerStats, CircuitStats};
use super::ticket::Ticket;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::mailbox::{Sink, SubscriptionId};
use crate::runtime::sharded_counters::ShardedCounters;
use crate::runtime::subscribers::Subscribers;
use crate::{Error, Result, ThreadId};

/// A circuit for each of many peers, shared by all threads.
///
/// Calls through a closed circuit, and those that an open one refuses, are lock-free but for the shared lock of
/// one shard of the look-up.
pub struct CircuitBreaker {
    name: String,
    created_with: OptionList,
    config: ArcSwap<CircuitBreakerConfig>,
    /// Of `config`, for every call; 0 for any.
    timeout_ms: AtomicU64,
    peers: Peers,
    subscribers: Subscribers<CircuitChange>,
    counters: ShardedCounters<7>,
    closed: AtomicBool,
}

const SUCCEEDED: usize = 0;
const FAILED: usize = 1;
const SLOW: usize = 2;
const REFUSED: usize = 3;
const IGNORED: usize = 4;
const OPENED: usize = 5;
const UNTRACKED: usize = 6;

impl CircuitBreaker {
    /// A breaker that knows no peer: all circuits are closed.
    #[must_use]
    pub fn new(name: &str, config: CircuitBreakerConfig) -> Self {
        // `maxPeers` is validated to a million.
        let capacity = usize::try_from(config.options.max_peers).unwrap_or(usize::MAX);
        Self {
            name: name.to_owned(),
            created_with: config.options.list(),
            timeout_ms: AtomicU64::new(config.options.timeout_ms.unwrap_or(0)),
            config: ArcSwap::from_pointee(config),
            peers: Peers::new(capacity),
            subscribers: Subscribers::default(),
            counters: ShardedCounters::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Milliseconds that a call may take; 0 for any.
    #[must_use]
    pub fn timeout_ms(&self) -> u64 {
        // Relaxed: it belongs to no other data.
        self.timeout_ms.load(Ordering::Relaxed)
    }

    /// Whether a call to a peer that is known may pass; `None` for one that is not.
    pub fn try_acquire_known(&self, key: KeyHash, request: Request, now: u64) -> Result<Option<Answer>> {
        self.check_open()?;
        let answer = match self.peers.with(key, |circuit| circuit.try_pass(now)) {
            None => return Ok(None),
            Some(Some(answer)) => Some(answer),
            Some(None) => self.peers.get(key).and_then(|circuit| self.pass(&circuit, request, now)),
        };
        if let Some(Err(_)) = answer {
            self.counters.add(REFUSED, 1);
        }
        Ok(answer)
    }

    /// Whether a call to a peer may pass. `key` is the hash of `peer`.
    pub fn try_acquire(&self, key: KeyHash, peer: &str, request: Request, now: u64) -> Result<Answer> {
        loop {
            if let Some(answer) = self.try_acquire_known(key, request, now)? {
                return Ok(answer);
            }
            if self.circuit(key, peer, false).is_none() {
                self.counters.add(UNTRACKED, 1);
                return Ok(Ok(Ticket::UNTRACKED));
            }
        }
    }

    /// Counts a call that took so many nanoseconds, where that is known. A ticket counts once, and only in the
    /// state in which it was given; false when it does not any more.
    pub fn report(&self, ticket: Ticket, failed: bool, took: Option<u64>, now: u64) -> bool {
        let config = self.config.load();
        let slow = took.zip(config.slow_after).is_some_and(|(took, most)| took > most);
        let outcome = Outcome { failed, slow };
        let serial = ticket.serial();
        let reported =
            self.peers.with_serial(serial, |circuit| circuit.report(ticket, outcome, &config, now));
        let counted = match reported.unwrap_or(Reported::Ignored) {
            Reported::Counted => true,
            Reported::Ignored => false,
            Reported::TooBad(counts) => {
                if let Some(circuit) = self.peers.get_serial(serial) {
                    circuit.open_if_still(ticket, counts, &config, now, &|change| self.tell(&change));
                }
                true
            }
            Reported::OfTrial => self.peers.get_serial(serial).is_some_and(|circuit| {
                circuit.report_trial(ticket, outcome, &config, now, &|change| self.tell(&change))
            }),
        };
        self.count(outcome, counted);
        counted
    }

    /// Gives a permission back unused. Without it a trial's place is free when its lease ends.
    pub fn release(&self, ticket: Ticket) {
        if let Some(circuit) = self.peers.get_serial(ticket.serial()) {
            circuit.release(ticket);
        }
    }

    /// The state of a peer's circuit. An open one stays open until a call begins to try it.
    pub fn state(&self, key: KeyHash) -> Result<CircuitState> {
        self.check_open()?;
        let state = self.peers.with(key, Circuit::state).flatten();
        Ok(state.unwrap_or(CircuitState::Closed))
    }

    /// Refuses all calls to a peer until it is reset or disabled.
    pub fn isolate(&self, key: KeyHash, peer: &str) -> Result<()> {
        self.set(key, peer, CircuitState::Isolated)
    }

    /// Lets all calls to a peer pass, and counts none, until it is reset or isolated.
    pub fn disable(&self, key: KeyHash, peer: &str) -> Result<()> {
        self.set(key, peer, CircuitState::Disabled)
    }

    /// Closes a peer's circuit, whatever its state, and forgets its calls.
    pub fn reset(&self, key: KeyHash) -> Result<()> {
        self.check_open()?;
        if let Some(circuit) = self.peers.get(key) {
            // One that gave up its place is as good as reset.
            circuit.set(CircuitState::Closed, &|change| self.tell(&change));
        }
        Ok(())
    }

    /// Tells a thread of every change from now on.
    pub fn subscribe(&self, sink: Sink<CircuitChange>, subscription: SubscriptionId) -> Result<()> {
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

    /// Ends every subscription of a thread that ended, and gives its trials' places back.
    pub fn thread_ended(&self, thread: ThreadId) {
        self.subscribers.thread_ended(thread);
        for circuit in self.peers.all() {
            circuit.thread_ended(thread);
        }
    }

    /// The clock was set back, by hand, in a test: nobody is to wait for the time that it showed before.
    pub fn clock_was_set_back(&self, now: u64) {
        for circuit in self.peers.all() {
            circuit.clock_was_set_back(&self.config.load(), now);
        }
    }

    /// Sums over all threads, and one pass over the circuits.
    pub fn stats(&self) -> Result<CircuitBreakerStats> {
        self.check_open()?;
        let mut stats = CircuitBreakerStats {
            succeeded: self.counters.sum(SUCCEEDED),
            failed: self.counters.sum(FAILED),
            slow: self.counters.sum(SLOW),
            refused: self.counters.sum(REFUSED),
            ignored: self.counters.sum(IGNORED),
            opened: self.counters.sum(OPENED),
            untracked: self.counters.sum(UNTRACKED),
            evicted: self.peers.evicted(),
            ..CircuitBreakerStats::default()
        };
        for state in self.peers.all().iter().filter_map(|circuit| circuit.state()) {
            *match state {
                CircuitState::Closed => &mut stats.closed,
                CircuitState::Open => &mut stats.open,
                CircuitState::HalfOpen => &mut stats.half_open,
                CircuitState::Isolated => &mut stats.isolated,
                CircuitState::Disabled => &mut stats.disabled,
            } += 1;
        }
        Ok(stats)
    }

    /// One peer's circuit; `None` for a peer that is not known, whose circuit is closed.
    pub fn peer_stats(&self, key: KeyHash, now: u64) -> Result<Option<CircuitStats>> {
        self.check_open()?;
        Ok(self.peers.get(key).and_then(|circuit| circuit.stats(now)))
    }

    /// All circuits, by the names of their peers.
    pub fn all_peer_stats(&self, now: u64) -> Result<Vec<CircuitStats>> {
        self.check_open()?;
        let mut all: Vec<_> = self.peers.all().iter().filter_map(|circuit| circuit.stats(now)).collect();
        all.sort_unstable_by(|a, b| a.peer.cmp(&b.peer));
        Ok(all)
    }

    fn pass(&self, circuit: &Circuit, request: Request, now: u64) -> Option<Answer> {
        circuit.pass(request, &self.config.load(), now, &|change| self.tell(&change))
    }

    fn set(&self, key: KeyHash, peer: &str, to: CircuitState) -> Result<()> {
        self.check_open()?;
        // Until it is not one that gives up its place at this moment.
        while self
            .circuit(key, peer, true)
            .is_some_and(|circuit| !circuit.set(to, &|change| self.tell(&change)))
        {}
        Ok(())
    }

    fn circuit(&self, key: KeyHash, peer: &str, must: bool) -> Option<Arc<Circuit>> {
        self.peers
            .get_or_insert(key, must, |serial| Circuit::new(serial, Arc::from(peer), &self.config.load()))
    }

    /// Under the circuit's lock.
    fn tell(&self, change: &CircuitChange) {
        if change.to == CircuitState::Open {
            self.counters.add(OPENED, 1);
        }
        self.subscribers.notify(change);
    }

    fn count(&self, outcome: Outcome, counted: bool) {
        let counter = match (counted, outcome.failed) {
            (false, _) => IGNORED,
            (true, false) => SUCCEEDED,
            (true, true) => FAILED,
        };
        self.counters.add(counter, 1);
        if counted && outcome.slow {
            self.counters.add(SLOW, 1);
        }
    }

    fn check_open(&self) -> Result<()> {
        // Relaxed: a call that races with `destroy` may still be answered.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }
}

impl Instance for CircuitBreaker {
    const KIND: &'static str = "CircuitBreaker";
    type Config = CircuitBreakerConfig;

    fn create(name: &str, config: CircuitBreakerConfig) -> Self {
        Self::new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &CircuitBreakerConfig) -> OptionList {
        config.options.list()
    }

    /// The window, which every circuit has, and how many circuits there are.
    fn list_fixed(config: &CircuitBreakerConfig) -> OptionList {
        config.options.list_fixed()
    }

    /// Circuits stay as they are; what happens to them from now on is judged by the new options.
    fn reconfigure(&self, _: &str, config: CircuitBreakerConfig, _: bool) -> Result<Option<Arc<Self>>> {
        // `maxPeers` is validated to a million.
        self.peers.set_capacity(usize::try_from(config.options.max_peers).unwrap_or(usize::MAX));
        self.timeout_ms.store(config.options.timeout_ms.unwrap_or(0), Ordering::Relaxed);
        self.config.store(Arc::new(config));
        Ok(None)
    }

    /// Circuits are closed, without an event; permits are of no circuit any more.
    fn reset(&self) {
        self.peers.clear();
        self.counters.reset();
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.subscribers.end();
    }

    fn thread_ended(&self, thread: ThreadId, _: u64) {
        Self::thread_ended(self, thread);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back.now);
    }
}

impl fmt::Debug for CircuitBreaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker").field("name", &self.name).finish_non_exhaustive()
    }
}
