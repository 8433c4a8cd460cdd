//! The tracker: counts, connections and who holds them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use parking_lot::Mutex;

use super::connection::{Connection, ConnectionEvent, ConnectionOptions};
use super::gauge::Gauge;
use super::options::{ConnectionTrackerConfig, ConnectionTrackerOptions};
use crate::runtime::ThreadId;
use crate::runtime::clock::{self, MS, SetBack};
use crate::runtime::instances::{Instance, OptionList};
use crate::runtime::key_hash::hash_str;
use crate::runtime::mailbox::{Sink, SubscriptionId, is_same};
use crate::runtime::memory::MemoryUse;
use crate::runtime::sharded_counters::ShardedCounters;
use crate::runtime::subscribers::Subscribers;
use crate::{Error, RateLimiter, Result};

/// Why a connection was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// As many as are allowed at once are open.
    Max,
    /// As many of this client as are allowed at once are open.
    MaxPerClient,
    /// The client opens too often; it may again after so many nanoseconds.
    Opens {
        /// The wait in nanoseconds.
        retry_after: u64,
    },
}

/// The answer to an attempt to open.
#[derive(Clone, Debug)]
pub enum Opened {
    /// It counts.
    Yes(Arc<Connection>),
    /// It does not.
    No(Refusal),
}

/// Counts over all threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionTrackerStats {
    /// Open now.
    pub count: u64,
    /// Opened since creation.
    pub opened: u64,
    /// Closed since creation.
    pub closed: u64,
    /// Refused because of `max`.
    pub refused_max: u64,
    /// Refused because of `maxPerClient`.
    pub refused_max_per_client: u64,
    /// Refused because of `opens`.
    pub refused_opens: u64,
    /// Refused because whoever opened it is banned.
    pub refused_banned: u64,
    /// TCP connections that had lost their address before they were accepted.
    pub without_address: u64,
    /// Messages and their bytes that had room.
    pub messages_allowed: u64,
    /// Messages without room in one of the two quotas.
    pub messages_refused: u64,
    /// Bytes of the messages that had room.
    pub bytes_allowed: u64,
    /// Bytes of the messages that had none.
    pub bytes_refused: u64,
    /// Open now, by thread.
    pub per_thread: BTreeMap<ThreadId, u64>,
}

/// Connections of all threads: never more than `max`, nor than `maxPerClient` of one client.
pub struct ConnectionTracker {
    name: String,
    created_with: OptionList,
    in_force: ArcSwap<InForce>,
    total: Gauge,
    /// Open connections of each client that has any. Its shard's lock makes check and count one step.
    clients: DashMap<Arc<str>, u64>,
    connections: DashMap<u64, Arc<Connection>>,
    ids: DashMap<Arc<str>, u64>,
    next_serial: AtomicU64,
    /// Threads that wait for the last connection to close.
    draining: Mutex<Vec<(Sink<ConnectionEvent>, SubscriptionId)>>,
    /// Threads that are told of the end.
    subscribers: Subscribers<ConnectionEvent>,
    counters: ShardedCounters<11>,
    closed: AtomicBool,
}

/// The options in force, and what counts how often clients open.
struct InForce {
    config: ConnectionTrackerConfig,
    opens: Option<Arc<RateLimiter>>,
}

const OPENED: usize = 0;
const CLOSED: usize = 1;
const REFUSED_MAX: usize = 2;
const REFUSED_MAX_PER_CLIENT: usize = 3;
const REFUSED_OPENS: usize = 4;
const MESSAGES_ALLOWED: usize = 5;
const MESSAGES_REFUSED: usize = 6;
const BYTES_ALLOWED: usize = 7;
const BYTES_REFUSED: usize = 8;
const REFUSED_BANNED: usize = 9;
const WITHOUT_ADDRESS: usize = 10;

impl ConnectionTracker {
    /// A tracker without connections.
    ///
    /// # Panics
    /// Where [`try_new`](Self::try_new) is an error.
    #[must_use]
    pub fn new(name: &str, config: ConnectionTrackerConfig) -> Self {
        Self::try_new(name, config).expect("memory for `opens`")
    }

    /// A tracker without connections; an error where the system cannot map the memory of `opens`.
    pub fn try_new(name: &str, config: ConnectionTrackerConfig) -> Result<Self> {
        let opens = config.opens.clone().map(|opens| RateLimiter::try_new(name, opens)).transpose()?;
        Ok(Self {
            name: name.to_owned(),
            created_with: config.list(),
            in_force: ArcSwap::from_pointee(InForce { opens: opens.map(Arc::new), config }),
            total: Gauge::new(),
            clients: DashMap::new(),
            connections: DashMap::new(),
            ids: DashMap::new(),
            next_serial: AtomicU64::new(1),
            draining: Mutex::new(Vec::new()),
            subscribers: Subscribers::default(),
            counters: ShardedCounters::new(),
            closed: AtomicBool::new(false),
        })
    }

    /// Bytes that the clients of `opens` take, where there is such a limit.
    #[must_use]
    pub fn opens_memory(&self) -> Option<Arc<MemoryUse>> {
        self.in_force.load().opens.as_ref().map(|opens| Arc::clone(opens.memory()))
    }

    /// Tells a thread when this is destroyed.
    pub fn subscribe(&self, sink: Sink<ConnectionEvent>, subscription: SubscriptionId) -> Result<()> {
        self.check_open()?;
        let thread = sink.thread();
        self.subscribers.add(sink, subscription);
        // Again: a subscription that came after the end would never be told.
        self.check_open().inspect_err(|_| self.subscribers.remove(thread, subscription))
    }

    /// Opens a connection of `client`, or says why not. `client` is `None` for a socket without an
    /// address, which counts towards `max` only. `at` is the clock and the date in UTC milliseconds.
    pub fn open(
        &self,
        client: Option<&str>,
        options: ConnectionOptions<'_>,
        at: (u64, u64),
    ) -> Result<Opened> {
        self.check_open()?;
        let in_force = self.in_force.load();
        let client: Option<Arc<str>> =
            client.map(|text| in_force.config.client(text)).transpose()?.map(Arc::from);
        if let Some(id) = options.id.filter(|id| self.ids.contains_key(*id)) {
            return Err(duplicate(id));
        }
        let counted = client.as_ref().filter(|_| options.check_client);
        if let Err(refusal) = self.admit(&in_force, counted, at.0) {
            self.counters.add(refusal.counter(), 1);
            return Ok(Opened::No(refusal));
        }
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        let Some(id) = self.claim_id(options.id, serial) else {
            self.release(counted);
            return Err(duplicate(options.id.unwrap_or_default()));
        };
        let connection = Arc::new(Connection::new(serial, id, client, options, at));
        self.connections.insert(serial, Arc::clone(&connection));
        self.counters.add(OPENED, 1);
        Ok(Opened::Yes(connection))
    }

    /// Open connections over all threads.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.total.get()
    }

    /// Open connections of one client over all threads.
    pub fn count_for(&self, client: &str) -> Result<u64> {
        self.check_open()?;
        let client = self.in_force.load().config.client(client)?;
        Ok(self.clients.get(client.as_str()).map_or(0, |count| *count))
    }

    /// The open connection with this number.
    #[must_use]
    pub fn by_serial(&self, serial: u64) -> Option<Arc<Connection>> {
        self.connections.get(&serial).map(|connection| Arc::clone(connection.value()))
    }

    /// The open connection with this id.
    pub fn by_id(&self, id: &str) -> Result<Option<Arc<Connection>>> {
        self.check_open()?;
        let serial = self.ids.get(id).map(|serial| *serial);
        Ok(serial.and_then(|serial| self.by_serial(serial)))
    }

    /// Closes a connection: it no longer counts, and its thread closes the socket it serves. False when it
    /// was closed already.
    pub fn close(&self, connection: &Connection) -> bool {
        let closed = self.forget(connection);
        if closed {
            connection.ask_thread(None);
        }
        closed
    }

    /// As [`close`](Self::close), when the socket is closed already.
    pub fn forget(&self, connection: &Connection) -> bool {
        if !connection.close() {
            return false;
        }
        self.connections.remove(&connection.serial);
        self.ids.remove(&connection.id);
        self.counters.add(CLOSED, 1);
        self.release(connection.counted_client().as_ref());
        true
    }

    /// Counts an open connection for the client that turned out to be behind it: that of a proxy which carries one
    /// client from now on. Limits per client apply as if it opened now; a refusal changes nothing. A connection that
    /// counts for a client already, or is closed, stays as it is.
    pub fn assign(&self, connection: &Connection, client: &str, now: u64) -> Result<Option<Refusal>> {
        self.check_open()?;
        let in_force = self.in_force.load();
        let client: Arc<str> = Arc::from(in_force.config.client(client)?);
        if connection.counted_client().is_some() {
            return Ok(None);
        }
        let raised = charge_opens(&in_force, &client, now).and_then(|()| {
            self.raise_client(&client, &in_force.config.options)
                .inspect_err(|_| refund_opens(&in_force, &client, now))
        });
        if let Err(refusal) = raised {
            self.counters.add(refusal.counter(), 1);
            return Ok(Some(refusal));
        }
        if !connection.assign(&client) {
            self.lower_client(&client);
        }
        Ok(None)
    }

    /// Closes everything that a thread held when it ended, and asks it nothing more.
    pub fn thread_ended(&self, thread: ThreadId) {
        self.draining.lock().retain(|(sink, _)| sink.thread() != thread);
        self.subscribers.thread_ended(thread);
        for connection in self.select(|connection| connection.thread == thread) {
            self.forget(&connection);
        }
    }

    /// Open connections, oldest first.
    pub fn list(&self, most: usize, client: Option<&str>) -> Result<Vec<Arc<Connection>>> {
        self.check_open()?;
        let client = client.map(|text| self.in_force.load().config.client(text)).transpose()?;
        let mut connections =
            self.select(|c| client.is_none() || c.current_client().as_deref() == client.as_deref());
        connections.sort_unstable_by_key(|connection| connection.serial);
        connections.truncate(most);
        Ok(connections)
    }

    /// Closes connections on which nothing was transferred for this long. Sockets are closed by their
    /// owners, who look again before they do; returns how many were closed or asked for.
    pub fn close_idle(&self, older_than_ms: Option<u64>, now: u64) -> Result<u64> {
        self.check_open()?;
        let idle_ms = older_than_ms.or(self.idle_timeout_ms()).unwrap_or(0);
        let idle = self.select(|connection| connection.idle_for(now) >= idle_ms * MS);
        for connection in &idle {
            if !connection.ask_thread(Some(idle_ms)) {
                self.forget(connection);
            }
        }
        Ok(idle.len() as u64)
    }

    /// Charges one message of so many bytes to a connection; false when it has no room, or is closed.
    pub fn try_message(&self, serial: u64, bytes: u64, now: u64) -> Result<bool> {
        self.check_open()?;
        let Some(connection) = self.by_serial(serial) else { return Ok(false) };
        connection.touch(now);
        let allowed = connection.try_message(&self.in_force.load().config, bytes, now);
        let (messages, byte_count) =
            if allowed { (MESSAGES_ALLOWED, BYTES_ALLOWED) } else { (MESSAGES_REFUSED, BYTES_REFUSED) };
        self.counters.add(messages, 1);
        self.counters.add(byte_count, bytes);
        Ok(allowed)
    }

    /// Counts a connection that somebody else refused: its client is banned.
    pub fn refused_banned(&self) -> Result<()> {
        self.check_open()?;
        self.counters.add(REFUSED_BANNED, 1);
        Ok(())
    }

    /// Counts a TCP connection that was closed at accept, when nothing names its client any more.
    pub fn refused_without_address(&self) -> Result<()> {
        self.check_open()?;
        self.counters.add(WITHOUT_ADDRESS, 1);
        Ok(())
    }

    /// The thread is told when no connection is left, once, however often it asked before.
    pub fn notify_drained(&self, sink: Sink<ConnectionEvent>, subscription: SubscriptionId) {
        let mut draining = self.draining.lock();
        let is_known = |(known, number): &(Sink<_>, _)| is_same(known, &sink) && *number == subscription;
        if !draining.iter().any(is_known) {
            draining.push((sink, subscription));
        }
    }

    /// The clock was set back, by hand, in a test: quotas refill and connections become idle as before.
    pub fn clock_was_set_back(&self, set_back: SetBack) {
        if let Some(opens) = &self.in_force.load().opens {
            opens.clock_was_set_back(set_back.now);
        }
        for connection in &self.connections {
            connection.clock_was_set_back(set_back);
        }
    }

    /// What counts as idle by default, in milliseconds.
    #[must_use]
    pub fn idle_timeout_ms(&self) -> Option<u64> {
        self.in_force.load().config.options.idle_timeout_ms
    }

    /// Sums over all threads, and one pass over the connections.
    pub fn stats(&self) -> Result<ConnectionTrackerStats> {
        self.check_open()?;
        let mut per_thread = BTreeMap::new();
        for connection in &self.connections {
            *per_thread.entry(connection.thread).or_default() += 1;
        }
        Ok(ConnectionTrackerStats {
            count: self.count(),
            opened: self.counters.sum(OPENED),
            closed: self.counters.sum(CLOSED),
            refused_max: self.counters.sum(REFUSED_MAX),
            refused_max_per_client: self.counters.sum(REFUSED_MAX_PER_CLIENT),
            refused_opens: self.counters.sum(REFUSED_OPENS),
            refused_banned: self.counters.sum(REFUSED_BANNED),
            without_address: self.counters.sum(WITHOUT_ADDRESS),
            messages_allowed: self.counters.sum(MESSAGES_ALLOWED),
            messages_refused: self.counters.sum(MESSAGES_REFUSED),
            bytes_allowed: self.counters.sum(BYTES_ALLOWED),
            bytes_refused: self.counters.sum(BYTES_REFUSED),
            per_thread,
        })
    }

    /// Whether the tracker still takes calls.
    pub fn check_open(&self) -> Result<()> {
        // Relaxed: a call that races with `destroy` may still be answered.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }

    /// Takes a place for one connection: all limits or none are charged.
    fn admit(
        &self,
        in_force: &InForce,
        client: Option<&Arc<str>>,
        now: u64,
    ) -> std::result::Result<(), Refusal> {
        let options = &in_force.config.options;
        let Some(client) = client else {
            return if self.raise_total(options.max) { Ok(()) } else { Err(Refusal::Max) };
        };
        charge_opens(in_force, client, now)?;
        let admitted = self.raise_client_and_total(client, options);
        if admitted.is_err() {
            refund_opens(in_force, client, now);
        }
        admitted
    }

    fn raise_client_and_total(
        &self,
        client: &Arc<str>,
        options: &ConnectionTrackerOptions,
    ) -> std::result::Result<(), Refusal> {
        self.raise_client_if(client, options, || self.raise_total(options.max))
    }

    /// One connection more of a client, whose place in the total is taken already.
    fn raise_client(
        &self,
        client: &Arc<str>,
        options: &ConnectionTrackerOptions,
    ) -> std::result::Result<(), Refusal> {
        self.raise_client_if(client, options, || true)
    }

    /// `has_place` is asked last, under the lock of the client's shard.
    fn raise_client_if(
        &self,
        client: &Arc<str>,
        options: &ConnectionTrackerOptions,
        has_place: impl FnOnce() -> bool,
    ) -> std::result::Result<(), Refusal> {
        let max_per_client = options.max_per_client.unwrap_or(u64::MAX);
        match self.clients.entry(Arc::clone(client)) {
            Entry::Occupied(count) if *count.get() >= max_per_client => Err(Refusal::MaxPerClient),
            _ if !has_place() => Err(Refusal::Max),
            Entry::Occupied(mut count) => {
                *count.get_mut() += 1;
                Ok(())
            }
            Entry::Vacant(place) => {
                place.insert(1);
                Ok(())
            }
        }
    }

    fn raise_total(&self, max: Option<u64>) -> bool {
        self.total.try_raise(max.unwrap_or(u64::MAX))
    }

    /// Gives back what [`admit`](Self::admit) took, except a charge for opening.
    fn release(&self, client: Option<&Arc<str>>) {
        if let Some(client) = client {
            self.lower_client(client);
        }
        if self.total.lower() == 0 {
            for (sink, subscription) in self.draining.lock().drain(..) {
                sink.push(subscription, ConnectionEvent::Drained);
            }
        }
    }

    fn lower_client(&self, client: &Arc<str>) {
        if let Entry::Occupied(mut count) = self.clients.entry(Arc::clone(client)) {
            match *count.get() {
                1 => drop(count.remove()),
                more => *count.get_mut() = more - 1,
            }
        }
    }

    /// Makes an id lead to this connection; `None` when another has it.
    fn claim_id(&self, id: Option<&str>, serial: u64) -> Option<Arc<str>> {
        if let Some(id) = id {
            return self.insert_id(Arc::from(id), serial);
        }
        let candidates = std::iter::once(format!("c{serial}"));
        let mut candidates = candidates.chain((2_u64..).map(|n| format!("c{serial}-{n}")));
        candidates.find_map(|id| self.insert_id(Arc::from(id), serial))
    }

    fn insert_id(&self, id: Arc<str>, serial: u64) -> Option<Arc<str>> {
        match self.ids.entry(Arc::clone(&id)) {
            Entry::Occupied(_) => None,
            Entry::Vacant(place) => {
                place.insert(serial);
                Some(id)
            }
        }
    }

    fn select(&self, wanted: impl Fn(&Connection) -> bool) -> Vec<Arc<Connection>> {
        let wanted = self.connections.iter().filter(|connection| wanted(connection));
        wanted.map(|connection| Arc::clone(connection.value())).collect()
    }
}

fn refund_opens(in_force: &InForce, client: &str, now: u64) {
    if let Some(opens) = &in_force.opens {
        // Cannot fail: the cost is 1, and the tracker alone has the limiter.
        let _ = opens.refund(hash_str(client), 1, now);
    }
}

fn charge_opens(in_force: &InForce, client: &str, now: u64) -> std::result::Result<(), Refusal> {
    let Some(opens) = &in_force.opens else { return Ok(()) };
    match opens.consume(hash_str(client), 1, now) {
        Ok(decision) if !decision.allowed => {
            Err(Refusal::Opens { retry_after: decision.retry_after.unwrap_or(u64::MAX) })
        }
        _ => Ok(()),
    }
}

impl Refusal {
    const fn counter(self) -> usize {
        match self {
            Self::Max => REFUSED_MAX,
            Self::MaxPerClient => REFUSED_MAX_PER_CLIENT,
            Self::Opens { .. } => REFUSED_OPENS,
        }
    }
}

impl Instance for ConnectionTracker {
    const KIND: &'static str = "ConnectionTracker";
    type Config = ConnectionTrackerConfig;

    fn create(name: &str, config: ConnectionTrackerConfig) -> Self {
        Self::new(name, config)
    }

    fn try_create(name: &str, config: ConnectionTrackerConfig) -> Result<Self> {
        Self::try_new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &ConnectionTrackerConfig) -> OptionList {
        config.list()
    }

    /// By which clients are named: those that are connected have names.
    fn list_fixed(config: &ConnectionTrackerConfig) -> OptionList {
        let is_fixed = |option: &str| ["clients", "ipv6Prefix"].contains(&option);
        config.list().into_iter().filter(|(option, _)| is_fixed(option)).collect()
    }

    /// Connections that are open stay so, also where they are more than are allowed from now on.
    fn reconfigure(&self, name: &str, config: ConnectionTrackerConfig, _: bool) -> Result<Option<Arc<Self>>> {
        let opens = match (&self.in_force.load().opens, &config.opens) {
            (Some(opens), Some(new)) => {
                opens.reconfigure(new.options().clone(), clock::now)?;
                Some(Arc::clone(opens))
            }
            (_, new) => new.clone().map(|new| RateLimiter::try_new(name, new)).transpose()?.map(Arc::new),
        };
        self.in_force.store(Arc::new(InForce { config, opens }));
        Ok(None)
    }

    /// Sockets stay open, and count no more.
    fn reset(&self) {
        for connection in self.select(|_| true) {
            self.forget(&connection);
        }
        if let Some(opens) = &self.in_force.load().opens {
            Instance::reset(&**opens);
        }
        self.counters.reset();
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(opens) = &self.in_force.load().opens {
            Instance::close(&**opens);
        }
        self.subscribers.end();
        for (sink, subscription) in self.draining.lock().drain(..) {
            sink.destroyed(subscription);
        }
    }

    fn thread_ended(&self, thread: ThreadId, _: u64) {
        Self::thread_ended(self, thread);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back);
    }
}

impl fmt::Debug for ConnectionTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTracker").field("name", &self.name).finish_non_exhaustive()
    }
}

fn duplicate(id: &str) -> Error {
    let accepted = "an id no open connection of this tracker has";
    Error::DuplicateId { what: "connection", id: id.to_owned(), accepted }
}
