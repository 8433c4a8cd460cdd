//! The tracker: opens, finds and closes connections.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use arc_swap::{ArcSwap, Guard};
use dashmap::DashMap;
use parking_lot::Mutex;

use super::connection::{Connection, ConnectionEvent, ConnectionOptions, Place};
use super::counts::{Counting, Counts, CountsOfProcess};
use super::ids::Ids;
use super::in_force::InForce;
use super::options::{ConnectionTrackerConfig, ConnectionTrackerOptions};
use super::refusal::{Opened, Refusal};
use super::shared::Sharing;
use super::stats::{Counter, Counters};
use crate::runtime::ThreadId;
use crate::runtime::clock::{MS, SetBack};
use crate::runtime::instances::OptionList;
use crate::runtime::mailbox::{Sink, SubscriptionId, is_same};
use crate::runtime::memory::MemoryUse;
use crate::runtime::subscribers::Subscribers;
use crate::{Error, Result};

/// Connections of all threads, or of all processes that share it: never more than `max`, nor than `maxPerClient` of one
/// client. What is known of each connection is of its process alone.
pub struct ConnectionTracker {
    pub(super) name: String,
    pub(super) created_with: OptionList,
    pub(super) in_force: ArcSwap<InForce>,
    /// Where processes share it.
    pub(super) sharing: Option<Sharing>,
    pub(super) counts: Counts,
    pub(super) connections: DashMap<u64, Arc<Connection>>,
    pub(super) ids: Ids,
    next_serial: AtomicU64,
    /// Subscriptions that are notified when the last connection closes.
    pub(super) draining: Mutex<Vec<(Sink<ConnectionEvent>, SubscriptionId)>>,
    /// Subscriptions that are notified when the tracker is destroyed.
    pub(super) subscribers: Subscribers<ConnectionEvent>,
    pub(super) counters: Counters,
    pub(super) closed: AtomicBool,
}

impl ConnectionTracker {
    /// A tracker without connections.
    ///
    /// # Panics
    /// Where [`try_new`](Self::try_new) fails.
    #[must_use]
    pub fn new(name: &str, config: ConnectionTrackerConfig) -> Self {
        Self::try_new(name, config).expect("memory for `opens`")
    }

    /// A tracker without connections.
    ///
    /// # Errors
    /// The system cannot map the memory of `opens`.
    pub fn try_new(name: &str, config: ConnectionTrackerConfig) -> Result<Self> {
        let (created_with, in_force) = (config.list(), InForce::new(name, config)?);
        let counts = Counts::OfProcess(CountsOfProcess::new());
        Ok(Self::of_parts(name, created_with, in_force, (counts, Counters::new()), None))
    }

    pub(super) fn of_parts(
        name: &str,
        created_with: OptionList,
        in_force: InForce,
        (counts, counters): (Counts, Counters),
        sharing: Option<Sharing>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            created_with,
            in_force: ArcSwap::from_pointee(in_force),
            sharing,
            counts,
            connections: DashMap::new(),
            ids: Ids::default(),
            next_serial: AtomicU64::new(1),
            draining: Mutex::new(Vec::new()),
            subscribers: Subscribers::default(),
            counters,
            closed: AtomicBool::new(false),
        }
    }

    /// The memory of the clients that `opens` counts, where there is such a limit, and its memory is of this process.
    #[must_use]
    pub fn opens_memory(&self) -> Option<Arc<MemoryUse>> {
        if self.sharing.is_some() {
            return None;
        }
        self.in_force.load().opens.as_ref().map(|opens| Arc::clone(opens.memory()))
    }

    /// Notifies the subscription when the tracker is destroyed.
    ///
    /// # Errors
    /// The tracker was destroyed.
    pub fn subscribe(&self, sink: Sink<ConnectionEvent>, subscription: SubscriptionId) -> Result<()> {
        self.check_open()?;
        let thread = sink.thread();
        self.subscribers.add(sink, subscription);
        // Again: a subscription that was added after the end would never be notified.
        self.check_open().inspect_err(|_| self.subscribers.remove(thread, subscription))
    }

    /// Opens a connection of `client`, or returns why not. `client` is `None` for a socket without an
    /// address, which counts towards `max` only. `at` is the clock, and the date in UTC milliseconds.
    ///
    /// # Errors
    /// The tracker was destroyed, an open connection has the id, or the client is not an address.
    pub fn open(
        &self,
        client: Option<&str>,
        options: ConnectionOptions<'_>,
        at: (u64, u64),
    ) -> Result<Opened> {
        self.check_open()?;
        let in_force = self.in_force();
        let client: Option<Arc<str>> =
            client.map(|text| in_force.config.client(text)).transpose()?.map(Arc::from);
        if let Some(id) = options.id.filter(|id| self.ids.contains(id)) {
            return Err(duplicate(id));
        }
        let counted = client.as_ref().filter(|_| options.check_client);
        let counting = self.counting();
        let caps = caps_of(&in_force, options.place.as_ref());
        if let Err(refusal) = Self::admit(&counting, &in_force, caps, counted, at.0) {
            self.counters.count_refusal(refusal);
            return Ok(Opened::No(refusal));
        }
        let serial = self.next_serial.fetch_add(1, Ordering::Relaxed);
        let Some(id) = self.ids.claim(options.id, serial) else {
            self.release(&counting, counted);
            return Err(duplicate(options.id.unwrap_or_default()));
        };
        let connection = Arc::new(Connection::new(serial, id, client, options, at));
        self.connections.insert(serial, Arc::clone(&connection));
        self.counters.add(Counter::Opened, 1);
        Ok(Opened::Yes(connection))
    }

    /// Counts an open connection for `client`: that of a proxy which carries one client from now on. Limits per client
    /// apply as if it opened now; a refusal changes nothing. A connection that counts for a client already, or is
    /// closed, stays as it is. `place` was granted for the client elsewhere.
    ///
    /// # Errors
    /// The tracker was destroyed, or the client is not an address.
    pub fn assign(
        &self,
        connection: &Connection,
        client: &str,
        place: Option<Place>,
        now: u64,
    ) -> Result<Option<Refusal>> {
        self.check_open()?;
        let in_force = self.in_force();
        let client: Arc<str> = Arc::from(in_force.config.client(client)?);
        if connection.counted_client().is_some() {
            return Ok(None);
        }
        let counting = self.counting();
        let caps = caps_of(&in_force, place.as_ref());
        let raised = in_force.charge_open(&client, now).and_then(|()| {
            counting.try_raise_client(&client, caps).inspect_err(|_| in_force.refund_open(&client, now))
        });
        if let Err(refusal) = raised {
            self.counters.count_refusal(refusal);
            return Ok(Some(refusal));
        }
        if !connection.assign(&client) {
            counting.lower_client(&client);
        } else if let Some(place) = place {
            connection.hold(place.held);
        }
        Ok(None)
    }

    /// Closes a connection: it no longer counts, and its thread closes the socket. False when it was closed already.
    pub fn close(&self, connection: &Connection) -> bool {
        let closed = self.forget(connection);
        if closed {
            connection.ask_thread(None);
        }
        closed
    }

    /// As [`close`](Self::close), for a connection whose socket is closed already.
    pub fn forget(&self, connection: &Connection) -> bool {
        let counting = self.counting();
        if !connection.close() {
            return false;
        }
        self.connections.remove(&connection.serial);
        self.ids.release(&connection.id);
        self.counters.add(Counter::Closed, 1);
        self.release(&counting, connection.counted_client().as_ref());
        connection.give_back();
        true
    }

    /// Closes connections on which nothing was transferred for `older_than_ms`; without it, for the idle timeout.
    /// Threads close the sockets, and check again before they do. Returns how many were closed or asked for.
    ///
    /// # Errors
    /// The tracker was destroyed.
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

    /// Charges a connection for one message of so many bytes. False when a quota refuses it, or the connection is
    /// closed.
    ///
    /// # Errors
    /// The tracker was destroyed.
    pub fn try_message(&self, serial: u64, bytes: u64, now: u64) -> Result<bool> {
        self.check_open()?;
        let Some(connection) = self.by_serial(serial) else { return Ok(false) };
        connection.touch(now);
        let allowed = connection.try_message(&self.in_force().config, bytes, now);
        self.counters.count_message(allowed, bytes);
        Ok(allowed)
    }

    /// Counts a connection that a guard refused because its client is banned.
    ///
    /// # Errors
    /// The tracker was destroyed.
    pub fn refused_banned(&self) -> Result<()> {
        self.check_open()?;
        self.counters.add(Counter::RefusedBanned, 1);
        Ok(())
    }

    /// Counts a connection that was refused by the caps of all machines.
    pub fn refused(&self, refusal: Refusal) {
        self.counters.count_refusal(refusal);
    }

    /// Counts a TCP connection that was closed at accept because it had lost its address.
    ///
    /// # Errors
    /// The tracker was destroyed.
    pub fn refused_without_address(&self) -> Result<()> {
        self.check_open()?;
        self.counters.add(Counter::WithoutAddress, 1);
        Ok(())
    }

    /// Notifies the subscription once when no connection is left, however often this is called before.
    pub fn notify_drained(&self, sink: Sink<ConnectionEvent>, subscription: SubscriptionId) {
        let mut draining = self.draining.lock();
        let is_known = |(known, number): &(Sink<_>, _)| is_same(known, &sink) && *number == subscription;
        if !draining.iter().any(is_known) {
            draining.push((sink, subscription));
        }
    }

    /// Closes all connections of a thread that ended, and removes its subscriptions.
    pub fn thread_ended(&self, thread: ThreadId) {
        self.draining.lock().retain(|(sink, _)| sink.thread() != thread);
        self.subscribers.thread_ended(thread);
        for connection in self.select(|connection| connection.thread == thread) {
            self.forget(&connection);
        }
    }

    /// A test set the clock back: quotas refill, and connections become idle, as before.
    pub fn clock_was_set_back(&self, set_back: SetBack) {
        self.in_force.load().clock_was_set_back(set_back);
        for connection in &self.connections {
            connection.clock_was_set_back(set_back);
        }
    }

    /// Whether the tracker still takes calls.
    ///
    /// # Errors
    /// The tracker was destroyed.
    pub fn check_open(&self) -> Result<()> {
        // Relaxed: a call that races with `destroy` may still be answered.
        if self.closed.load(Ordering::Relaxed) || self.is_closed_everywhere() {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }

    /// The options in force: in shared memory, another process may have replaced them.
    pub(super) fn in_force(&self) -> Guard<Arc<InForce>> {
        if let Some(sharing) = &self.sharing {
            sharing.follow(&self.in_force);
        }
        self.in_force.load()
    }

    /// The counts, for a connection that opens or closes. Held until the connection is found, or is not.
    fn counting(&self) -> Counting<'_> {
        if let Counts::OfMachine(counts) = &self.counts
            && counts.is_lost()
        {
            let client_of = |connection: &Arc<Connection>| connection.counted_client();
            counts.count_anew(|| self.select(|_| true).iter().map(client_of).collect());
        }
        self.counts.enter()
    }

    /// Counts one connection: all limits are charged, or none.
    fn admit(
        counting: &Counting<'_>,
        in_force: &InForce,
        caps: &ConnectionTrackerOptions,
        client: Option<&Arc<str>>,
        now: u64,
    ) -> std::result::Result<(), Refusal> {
        let Some(client) = client else { return counting.try_raise(caps) };
        in_force.charge_open(client, now)?;
        counting.try_raise_both(client, caps).inspect_err(|_| in_force.refund_open(client, now))
    }

    /// Takes back what [`admit`](Self::admit) counted, except the charge for opening.
    fn release(&self, counting: &Counting<'_>, client: Option<&Arc<str>>) {
        if counting.lower(client) == 0 {
            for (sink, subscription) in self.draining.lock().drain(..) {
                sink.push(subscription, ConnectionEvent::Drained);
            }
        }
    }
}

impl fmt::Debug for ConnectionTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionTracker").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The options whose caps apply: those in force, unless the place was granted under the caps of all machines.
fn caps_of<'a>(in_force: &'a InForce, place: Option<&Place>) -> &'a ConnectionTrackerOptions {
    static WITHOUT_CAPS: LazyLock<ConnectionTrackerOptions> = LazyLock::new(ConnectionTrackerOptions::new);
    if place.is_some_and(|place| !place.checks_caps) { &WITHOUT_CAPS } else { &in_force.config.options }
}

fn duplicate(id: &str) -> Error {
    let accepted = "an id no open connection of this tracker has";
    Error::DuplicateId { what: "connection", id: id.to_owned(), accepted }
}
