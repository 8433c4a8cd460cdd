//! The reputation as a named instance.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Reputation;
use crate::Result;
use crate::reputation::options::ReputationConfig;
use crate::reputation::ranges::Ranges;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};

impl Reputation {
    /// A test set the clock back: bans keep their remaining time.
    pub fn clock_was_set_back(&self, set_back: SetBack) {
        // First: what follows then changes no ban that is watched.
        self.clients.watch().clock_was_set_back(set_back);
        self.clients.clock_was_set_back(set_back);
        self.ranges
            .change(|ranges| Ranges { bans: Arc::new(ranges.bans.after_set_back(set_back)), ..ranges });
    }
}

impl Instance for Reputation {
    const KIND: &'static str = "Reputation";
    type Config = ReputationConfig;

    fn create(name: &str, config: ReputationConfig) -> Self {
        Self::new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &ReputationConfig) -> OptionList {
        config.list()
    }

    /// How clients are identified, how many are tracked, and which processes share the bans.
    fn list_fixed(config: &ReputationConfig) -> OptionList {
        let is_fixed = |option: &str| ["ipv6Prefix", "maxClients", "scope"].contains(&option);
        config.list().into_iter().filter(|(option, _)| is_fixed(option)).collect()
    }

    /// Bans and failures stay.
    fn reconfigure(&self, _: &str, config: ReputationConfig, _: bool) -> Result<Option<Arc<Self>>> {
        self.clients.reconfigure(config.capacity, config.policy);
        let lists = Arc::new(config.lists.clone());
        self.ipv6_prefix.store(config.ipv6_prefix, Ordering::Relaxed);
        self.config.store(Arc::new(config));
        self.ranges.change(|ranges| Ranges { lists, ..ranges });
        Ok(None)
    }

    fn reset(&self) {
        self.clients.clear();
        let lists = Arc::new(self.config.load().lists.clone());
        self.ranges.change(|_| Ranges { lists, bans: Arc::default() });
        self.counters.reset();
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        // A thread may hold the closed reputation for a while; its clients are freed now.
        self.clients.clear();
        self.clients.watch().end();
    }

    /// Its subscriptions. Bans belong to clients.
    fn thread_ended(&self, thread: ThreadId, _: u64) {
        self.clients.watch().thread_ended(thread);
    }

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back);
    }
}

impl fmt::Debug for Reputation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reputation").field("name", &self.name).finish_non_exhaustive()
    }
}
