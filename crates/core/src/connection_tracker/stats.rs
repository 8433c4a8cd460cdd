//! What a tracker counts since its creation.

use std::collections::BTreeMap;
use std::io;

use super::refusal::Refusal;
use crate::runtime::ThreadId;
use crate::runtime::arena::Arena;
use crate::runtime::sharded_counters::ShardedCounters;

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
    /// Refused by a guard because the client is banned.
    pub refused_banned: u64,
    /// TCP connections that had lost their address before they were accepted.
    pub without_address: u64,
    /// Messages that were admitted.
    pub messages_allowed: u64,
    /// Messages that one of the two quotas refused.
    pub messages_refused: u64,
    /// Bytes of the messages that were admitted.
    pub bytes_allowed: u64,
    /// Bytes of the messages that were refused.
    pub bytes_refused: u64,
    /// Open now, by thread.
    pub per_thread: BTreeMap<ThreadId, u64>,
}

/// What is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Counter {
    Opened,
    Closed,
    RefusedMax,
    RefusedMaxPerClient,
    RefusedOpens,
    RefusedBanned,
    WithoutAddress,
    MessagesAllowed,
    MessagesRefused,
    BytesAllowed,
    BytesRefused,
}

/// How many counters there are.
const COUNTERS: usize = Counter::BytesRefused as usize + 1;

/// The counters of one tracker.
pub(super) struct Counters(ShardedCounters<COUNTERS>);

impl Counters {
    pub(super) fn new() -> Self {
        Self(ShardedCounters::new())
    }

    /// Of all processes that share the memory.
    pub(super) fn in_arena(arena: &Arena) -> io::Result<Self> {
        ShardedCounters::in_arena(arena).map(Self)
    }

    pub(super) fn add(&self, counter: Counter, amount: u64) {
        self.0.add(counter as usize, amount);
    }

    pub(super) fn count_refusal(&self, refusal: Refusal) {
        let counter = match refusal {
            Refusal::Max => Counter::RefusedMax,
            Refusal::MaxPerClient => Counter::RefusedMaxPerClient,
            Refusal::Opens { .. } => Counter::RefusedOpens,
        };
        self.add(counter, 1);
    }

    pub(super) fn count_message(&self, is_admitted: bool, bytes: u64) {
        let (messages, byte_count) = if is_admitted {
            (Counter::MessagesAllowed, Counter::BytesAllowed)
        } else {
            (Counter::MessagesRefused, Counter::BytesRefused)
        };
        self.add(messages, 1);
        self.add(byte_count, bytes);
    }

    pub(super) fn stats(&self, count: u64, per_thread: BTreeMap<ThreadId, u64>) -> ConnectionTrackerStats {
        ConnectionTrackerStats {
            count,
            opened: self.sum(Counter::Opened),
            closed: self.sum(Counter::Closed),
            refused_max: self.sum(Counter::RefusedMax),
            refused_max_per_client: self.sum(Counter::RefusedMaxPerClient),
            refused_opens: self.sum(Counter::RefusedOpens),
            refused_banned: self.sum(Counter::RefusedBanned),
            without_address: self.sum(Counter::WithoutAddress),
            messages_allowed: self.sum(Counter::MessagesAllowed),
            messages_refused: self.sum(Counter::MessagesRefused),
            bytes_allowed: self.sum(Counter::BytesAllowed),
            bytes_refused: self.sum(Counter::BytesRefused),
            per_thread,
        }
    }

    pub(super) fn reset(&self) {
        self.0.reset();
    }

    fn sum(&self, counter: Counter) -> u64 {
        self.0.sum(counter as usize)
    }
}
