//! What can be asked of a tracker.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::ConnectionTracker;
use super::connection::Connection;
use super::stats::ConnectionTrackerStats;
use crate::Result;

impl ConnectionTracker {
    /// Open connections over all threads, and over all processes that share it.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.total()
    }

    /// Open connections of this process.
    #[must_use]
    pub fn count_of_process(&self) -> u64 {
        self.counts.total_of_process()
    }

    /// Open connections of one client over all threads, and over all processes that share it.
    ///
    /// # Errors
    /// The tracker was destroyed, or the client is not an address.
    pub fn count_for(&self, client: &str) -> Result<u64> {
        self.check_open()?;
        let client = self.in_force().config.client(client)?;
        Ok(self.counts.of_client(&client))
    }

    /// The most connections at once, and the most of one client, by the options in force.
    #[must_use]
    pub fn caps(&self) -> (Option<u64>, Option<u64>) {
        let in_force = self.in_force();
        let options = &in_force.config.options;
        (options.max, options.max_per_client)
    }

    /// The name under which a client is counted.
    ///
    /// # Errors
    /// The tracker was destroyed, or the client is not an address.
    pub fn name_of(&self, client: &str) -> Result<String> {
        self.check_open()?;
        self.in_force().config.client(client)
    }

    /// The options that processes compare which count together, in words.
    #[must_use]
    pub fn caps_in_words(&self) -> String {
        let (max, max_per_client) = self.caps();
        let in_words = |cap: Option<u64>| cap.map_or_else(|| "none".to_owned(), |cap| cap.to_string());
        let clients = self.in_force().config.clients_in_words();
        format!("max {}, maxPerClient {}, clients {clients}", in_words(max), in_words(max_per_client))
    }

    /// The open connection with this serial.
    #[must_use]
    pub fn by_serial(&self, serial: u64) -> Option<Arc<Connection>> {
        self.connections.get(&serial).map(|connection| Arc::clone(connection.value()))
    }

    /// The open connection with this id.
    ///
    /// # Errors
    /// The tracker was destroyed.
    pub fn by_id(&self, id: &str) -> Result<Option<Arc<Connection>>> {
        self.check_open()?;
        Ok(self.ids.serial(id).and_then(|serial| self.by_serial(serial)))
    }

    /// Open connections, of one client or of all, oldest first.
    ///
    /// # Errors
    /// The tracker was destroyed, or the client is not an address.
    pub fn list(&self, most: usize, client: Option<&str>) -> Result<Vec<Arc<Connection>>> {
        self.check_open()?;
        let client = client.map(|text| self.in_force.load().config.client(text)).transpose()?;
        let mut connections =
            self.select(|c| client.is_none() || c.current_client().as_deref() == client.as_deref());
        connections.sort_unstable_by_key(|connection| connection.serial);
        connections.truncate(most);
        Ok(connections)
    }

    /// The clients with most open connections, at most `most`, and their counts. Costs one pass over the connections.
    ///
    /// # Errors
    /// The tracker was destroyed.
    pub fn busiest(&self, most: usize) -> Result<Vec<(Arc<str>, u64)>> {
        self.check_open()?;
        let mut counts: HashMap<Arc<str>, u64> = HashMap::new();
        for client in self.connections.iter().filter_map(|connection| connection.current_client()) {
            *counts.entry(client).or_default() += 1;
        }
        let mut clients: Vec<_> = counts.into_iter().collect();
        clients.sort_unstable_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
        clients.truncate(most);
        Ok(clients)
    }

    /// The default of [`close_idle`](Self::close_idle), in milliseconds.
    #[must_use]
    pub fn idle_timeout_ms(&self) -> Option<u64> {
        self.in_force().config.options.idle_timeout_ms
    }

    /// Sums over all threads, and over all processes that share it; connections by thread of this process alone. Costs one pass over the connections.
    ///
    /// # Errors
    /// The tracker was destroyed.
    pub fn stats(&self) -> Result<ConnectionTrackerStats> {
        self.check_open()?;
        let mut per_thread = BTreeMap::new();
        for connection in &self.connections {
            *per_thread.entry(connection.thread).or_default() += 1;
        }
        Ok(self.counters.stats(self.count(), per_thread))
    }

    pub(super) fn select(&self, is_wanted: impl Fn(&Connection) -> bool) -> Vec<Arc<Connection>> {
        let wanted = self.connections.iter().filter(|connection| is_wanted(connection));
        wanted.map(|connection| Arc::clone(connection.value())).collect()
    }
}
