//! Hubs, callers and steps of their calls, shared by the tests of `ClientHub`.

use std::ops::Deref;
use std::sync::Arc;

use sluice_core::deliveries::{Item, Mailbox};
use sluice_core::runtime::key_hash::{KeyHash, hash_str};
use sluice_core::{
    CallId, Caller, ClientHub, ClientHubOptions, ClientHubStats, Failed, HubEvent, Joined, Retention,
    ThreadId,
};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;
/// Fresh until it is invalidated.
pub(crate) const FOREVER: Retention = Retention { ttl: None, stale_for: 0, stale_if_error: 0, key_bytes: 0 };

pub(crate) fn hub() -> ClientHub {
    bounded(None, None)
}

pub(crate) fn bounded(max_entries: Option<u64>, max_bytes: Option<u64>) -> ClientHub {
    ClientHub::new("test", ClientHubOptions { max_entries, max_bytes }.try_into().expect("valid"))
}

/// A caller in a thread, and the mailbox of that thread.
pub(crate) struct CallingThread {
    pub(crate) caller: Caller,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Deref for CallingThread {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

pub(crate) fn caller(thread: u64) -> CallingThread {
    let mailbox = Arc::new(Mailbox::new(ThreadId(thread), Box::new(|| ())));
    let caller = Caller { mailbox: Arc::<Mailbox>::clone(&mailbox), subscription: 1 };
    CallingThread { caller, mailbox }
}

pub(crate) fn key() -> KeyHash {
    hash_str("key")
}

pub(crate) fn bytes(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

/// An error that is remembered for `retry_after`; 0 means not at all.
pub(crate) fn failed(why: &str, retry_after: u64) -> Failed {
    Failed { error: bytes(why), retry_after, key_bytes: 0 }
}

pub(crate) fn join(hub: &ClientHub, caller: &Caller, now: u64) -> Joined {
    hub.join(key(), caller.clone(), SECOND, now).expect("open")
}

/// Joins as the leader.
pub(crate) fn lead(hub: &ClientHub, caller: &Caller, now: u64) -> CallId {
    match join(hub, caller, now) {
        Joined::Lead(call) => call,
        other => panic!("{other:?}"),
    }
}

/// Joins a call in flight.
pub(crate) fn wait(hub: &ClientHub, caller: &Caller, now: u64) -> CallId {
    match join(hub, caller, now) {
        Joined::Wait { call, .. } => call,
        other => panic!("{other:?}"),
    }
}

/// Joins while the value is stale, as the call that refreshes it.
pub(crate) fn refresh(hub: &ClientHub, caller: &Caller, now: u64) -> CallId {
    match join(hub, caller, now) {
        Joined::Stale(_, Some(call)) => call,
        other => panic!("{other:?}"),
    }
}

/// Ends the run of `call` with a value. The pending calls of its own thread, or `None` if it no longer leads.
pub(crate) fn finish(
    hub: &ClientHub,
    call: CallId,
    text: &str,
    retention: Retention,
    now: u64,
) -> Option<Vec<CallId>> {
    let finished = hub.finish(key(), call, bytes(text), retention, now).expect("open");
    finished.map(|finished| finished.calls)
}

pub(crate) fn time_out(hub: &ClientHub, call: CallId, now: u64) {
    hub.time_out(key(), call, &failed("too long", 0), now);
}

/// What the hub has delivered to the thread of `caller` since the last look.
pub(crate) fn news(caller: &CallingThread) -> Vec<HubEvent> {
    let deliveries = caller.mailbox.take().into_iter();
    deliveries
        .map(|delivery| match delivery.item {
            Item::Hub(news) => news,
            other => panic!("{other:?}"),
        })
        .collect()
}

pub(crate) fn stats(hub: &ClientHub) -> ClientHubStats {
    hub.stats().expect("open")
}

/// Pending calls and running initialisers.
pub(crate) fn in_flight(hub: &ClientHub) -> (u64, u64) {
    let stats = stats(hub);
    (stats.waiting, stats.initialising)
}
