//! What the threads share of a guard beside its limiters, trackers and bans: which of them it has, and its counts.

use std::collections::BTreeSet;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::Result;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::runtime::sharded_counters::ShardedCounters;

/// Kinds of things a guard counts.
pub const GUARD_COUNTERS: usize = 10;

/// What all threads of one guard agree on, as text that is the same where the meaning is.
#[derive(Clone, Debug)]
pub struct GuardOptions {
    /// Whether requests are limited, and by what.
    pub rate_limit: String,
    /// Whether connections are counted.
    pub connections: String,
    /// The name of its reputation, if it has one.
    pub reputation: String,
    /// The name of its monitor, if it has one.
    pub monitor: String,
    /// What becomes of answers.
    pub record: String,
    /// Whose word on the client counts.
    pub trusted_proxies: String,
    /// Which header names the client.
    pub client_address: String,
    /// Whether it refuses anybody.
    pub dry_run: String,
}

impl GuardOptions {
    fn list(&self) -> OptionList {
        vec![
            ("rateLimit", self.rate_limit.clone()),
            ("connections", self.connections.clone()),
            ("reputation", self.reputation.clone()),
            ("monitor", self.monitor.clone()),
            ("record", self.record.clone()),
            ("trustedProxies", self.trusted_proxies.clone()),
            ("clientAddress", self.client_address.clone()),
            ("dryRun", self.dry_run.clone()),
        ]
    }

    /// A header is text in quotes. A function belongs to each thread, so one cannot replace a header for all.
    fn kind_of_client_address(&self) -> &'static str {
        if self.client_address.starts_with('"') { "a header" } else { "a function" }
    }
}

/// The shared part of a guard. It decides nothing: its limiter, tracker and reputation do. It lives as long as the
/// process.
#[derive(Debug)]
pub struct Guard {
    name: String,
    options: ArcSwap<GuardOptions>,
    created_with: OptionList,
    counters: ShardedCounters<GUARD_COUNTERS>,
    /// Names of the limiters that its rules use, added as threads declare them.
    limiters: Mutex<BTreeSet<String>>,
}

impl Guard {
    /// Its name in the process.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a limiter to the names that [`limiters`](Self::limiters) gives. Idempotent.
    pub fn add_limiter(&self, name: String) {
        self.limiters.lock().insert(name);
    }

    /// Names of the limiters that all threads use for this guard, sorted.
    #[must_use]
    pub fn limiters(&self) -> Vec<String> {
        self.limiters.lock().iter().cloned().collect()
    }

    /// The options in force.
    #[must_use]
    pub fn options(&self) -> Arc<GuardOptions> {
        self.options.load_full()
    }

    /// One more of a kind; which kinds there are is for the caller to say. False when there is no such kind.
    pub fn count(&self, counter: usize) -> bool {
        let is_known = counter < GUARD_COUNTERS;
        if is_known {
            self.counters.add(counter, 1);
        }
        is_known
    }

    /// Sums over all threads.
    #[must_use]
    pub fn counts(&self) -> [u64; GUARD_COUNTERS] {
        std::array::from_fn(|counter| self.counters.sum(counter))
    }
}

impl Instance for Guard {
    const KIND: &'static str = "guard";
    type Config = GuardOptions;

    fn create(name: &str, options: GuardOptions) -> Self {
        Self {
            name: name.to_owned(),
            created_with: options.list(),
            options: ArcSwap::from_pointee(options),
            counters: ShardedCounters::new(),
            limiters: Mutex::default(),
        }
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(options: &GuardOptions) -> OptionList {
        options.list()
    }

    /// Which parts it has, and whether it refuses anybody.
    fn list_fixed(options: &GuardOptions) -> OptionList {
        let is_fixed =
            |option: &str| ["rateLimit", "connections", "reputation", "monitor", "dryRun"].contains(&option);
        let mut fixed: OptionList =
            options.list().into_iter().filter(|(option, _)| is_fixed(option)).collect();
        fixed.push(("clientAddress", options.kind_of_client_address().to_owned()));
        fixed
    }

    fn reconfigure(&self, _: &str, options: GuardOptions, _: bool) -> Result<Option<Arc<Self>>> {
        self.options.store(Arc::new(options));
        Ok(None)
    }

    fn reset(&self) {
        self.counters.reset();
    }

    /// There is nothing to refuse: what decides is closed by itself.
    fn close(&self) {}

    /// Threads hold nothing of it.
    fn thread_ended(&self, _: ThreadId, _: u64) {}

    /// A guard knows no time.
    fn clock_was_set_back(&self, _: SetBack) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, Instances};

    fn options(record: &str) -> GuardOptions {
        let off = || "false".to_owned();
        GuardOptions {
            rate_limit: off(),
            connections: off(),
            reputation: off(),
            monitor: off(),
            record: record.to_owned(),
            trusted_proxies: "[]".to_owned(),
            client_address: "\"x-forwarded-for\"".to_owned(),
            dry_run: off(),
        }
    }

    #[test]
    fn threads_agree_on_the_options_and_add_up_their_counts() {
        let guards = Instances::<Guard>::new();
        let guard = guards.open("api", Some(options("{}"))).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let same = guards.open("api", Some(options("{}"))).unwrap();
                    (0..1_000).for_each(|_| assert!(same.count(3)));
                });
            }
        });
        assert_eq!(guard.counts()[3], 8_000);
        let mismatch = guards.open("api", Some(options("false"))).unwrap_err();
        assert!(matches!(mismatch, Error::ConfigMismatch { option: "record", .. }));
    }

    #[test]
    fn limiters_of_all_threads_are_listed_once() {
        let guards = Instances::<Guard>::new();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let guards = &guards;
                scope.spawn(move || {
                    let guard = guards.open("api", Some(options("{}"))).unwrap();
                    guard.add_limiter("api".to_owned());
                    guard.add_limiter(format!("api:GET /{thread}"));
                });
            }
        });
        let [guard] = &guards.all()[..] else { panic!("one guard") };
        assert_eq!(guard.name(), "api");
        assert_eq!(guard.limiters(), ["api", "api:GET /0", "api:GET /1", "api:GET /2", "api:GET /3"]);
    }

    #[test]
    fn what_is_no_counter_is_not_counted() {
        let guard = Guard::create("api", options("{}"));
        assert!(!guard.count(GUARD_COUNTERS));
        assert_eq!(guard.counts(), [0; GUARD_COUNTERS]);
    }
}
