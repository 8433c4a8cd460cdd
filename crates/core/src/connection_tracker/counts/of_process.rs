//! Open connections of the threads of one process.

use std::result::Result;
use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

use crate::connection_tracker::gauge::Gauge;
use crate::connection_tracker::options::ConnectionTrackerOptions;
use crate::connection_tracker::refusal::Refusal;

/// Open connections of all threads: never more than `max`, nor than `maxPerClient` of one client.
#[derive(Debug)]
pub(in crate::connection_tracker) struct CountsOfProcess {
    total: Gauge,
    /// Clients with open connections. The lock of a client's shard makes check and count one step.
    clients: DashMap<Arc<str>, u64>,
}

impl CountsOfProcess {
    pub(in crate::connection_tracker) fn new() -> Self {
        Self { total: Gauge::new(), clients: DashMap::new() }
    }

    pub(super) fn total(&self) -> u64 {
        self.total.get()
    }

    pub(super) fn of_client(&self, client: &str) -> u64 {
        self.clients.get(client).map_or(0, |count| *count)
    }

    /// Counts one connection more in total.
    pub(super) fn try_raise(&self, options: &ConnectionTrackerOptions) -> Result<(), Refusal> {
        if self.raise_total(options) { Ok(()) } else { Err(Refusal::Max) }
    }

    /// Counts one connection more of the client and in total, or neither.
    pub(super) fn try_raise_both(
        &self,
        client: &Arc<str>,
        options: &ConnectionTrackerOptions,
    ) -> Result<(), Refusal> {
        self.raise_client_if(client, options, || self.raise_total(options))
    }

    /// Counts one connection more of the client, which counts in total already.
    pub(super) fn try_raise_client(
        &self,
        client: &Arc<str>,
        options: &ConnectionTrackerOptions,
    ) -> Result<(), Refusal> {
        self.raise_client_if(client, options, || true)
    }

    /// Counts one connection fewer in total, and of the client if there is one. Returns how many are left in total.
    pub(super) fn lower(&self, client: Option<&Arc<str>>) -> u64 {
        if let Some(client) = client {
            self.lower_client(client);
        }
        self.total.lower()
    }

    pub(super) fn lower_client(&self, client: &Arc<str>) {
        if let Entry::Occupied(mut count) = self.clients.entry(Arc::clone(client)) {
            match *count.get() {
                1 => drop(count.remove()),
                more => *count.get_mut() = more - 1,
            }
        }
    }

    /// `has_room` is called last, under the lock of the client's shard.
    fn raise_client_if(
        &self,
        client: &Arc<str>,
        options: &ConnectionTrackerOptions,
        has_room: impl FnOnce() -> bool,
    ) -> Result<(), Refusal> {
        let max_per_client = options.max_per_client.unwrap_or(u64::MAX);
        match self.clients.entry(Arc::clone(client)) {
            Entry::Occupied(count) if *count.get() >= max_per_client => Err(Refusal::MaxPerClient),
            _ if !has_room() => Err(Refusal::Max),
            Entry::Occupied(mut count) => {
                *count.get_mut() += 1;
                Ok(())
            }
            Entry::Vacant(entry) => {
                entry.insert(1);
                Ok(())
            }
        }
    }

    fn raise_total(&self, options: &ConnectionTrackerOptions) -> bool {
        self.total.try_raise(options.max.unwrap_or(u64::MAX))
    }
}
