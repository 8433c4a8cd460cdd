//! The limiter: options, table and algorithm put together.

use std::sync::{Arc, OnceLock};
use std::{fmt, io};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::algorithm::ChargedAt;
use super::calls::{
    ALLOWED, COUNTERS, DRY_REFUSED, REFUSED, RateLimiterStats, UNTRACKED, count, overflow_refuses,
};
use super::cell::{Cell, Several, Single, Step, Words};
use super::config::{RateLimiterConfig, Rule};
use super::config_epoch::{AtomicConfigEpoch, ConfigEpoch};
use super::decision::{self, Charge, Decision, Receipt, admit};
use super::local_handle::LocalHandles;
use super::options::RateLimiterOptions;
use super::quota::MAX_SAFE_INTEGER;
use super::table::{Client, Full, Table};
use crate::runtime::ThreadId;
use crate::runtime::clock;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::memory::MemoryUse;
use crate::runtime::options::Source;
use crate::runtime::planted::planted;
use crate::runtime::retire::{Handle, Inside, Retirable};
use crate::runtime::sharded_counters::{Count, ShardedCounters};
use crate::runtime::sync::full_barrier;
use crate::{Error, Result};

/// A rate limit for each of many clients, shared by all threads.
///
/// Any number of threads admits the quota and not one unit more, for every client that was not evicted
/// while live. No call about a client takes a lock; a refusal writes nothing. A thread that calls often takes a
/// [`LocalHandle`](super::LocalHandle).
pub struct RateLimiter {
    name: String,
    created_with: OptionList,
    config: ArcSwap<RateLimiterConfig>,
    epoch: AtomicConfigEpoch,
    reconfiguring: Mutex<()>,
    contents: Arc<Retirable<Contents>>,
    memory: Arc<MemoryUse>,
    locals: LocalHandles,
    /// The limiter in its place, once it was replaced.
    successor: OnceLock<Arc<Self>>,
}

macro_rules! with_table {
    ($clients:expr, $table:ident => $call:expr) => {
        match &$clients {
            Clients::Single($table) => $call,
            Clients::Several($table) => $call,
        }
    };
}

/// What ends when the limiter is destroyed, as soon as no call is inside.
pub(super) struct Contents {
    clients: Clients,
    counters: ShardedCounters<COUNTERS>,
    memory: Arc<MemoryUse>,
}

impl Contents {
    fn new(config: &RateLimiterConfig) -> io::Result<Self> {
        let (options, limits) = (&config.options, config.rules.len());
        // `maxKeys` is validated to 2^32, which every 64-bit machine counts.
        let max_keys = usize::try_from(options.max_keys).unwrap_or(usize::MAX);
        let memory = Arc::<MemoryUse>::default();
        let clients = match limits {
            1 => {
                let single = |_| Ok(Single);
                Clients::Single(Table::new(max_keys, options.overflow, Arc::clone(&memory), single)?)
            }
            _ => {
                let several = |slots| Several::new(slots, limits, Arc::clone(&memory));
                let table = Table::new(max_keys, options.overflow, Arc::clone(&memory), several)?;
                Clients::Several(Box::new(table))
            }
        };
        Ok(Self { clients, counters: ShardedCounters::new(), memory })
    }

    /// Prefetches the memory of a client that will soon call.
    #[inline]
    pub(super) fn prefetch(&self, key: KeyHash) {
        with_table!(self.clients, table => table.prefetch(key));
    }
}

impl Drop for Contents {
    fn drop(&mut self) {
        self.memory.end();
    }
}

/// The clients of a limiter of one limit, or of several.
#[expect(
    clippy::large_enum_variant,
    reason = "one per limiter; a box would be one more look-up in every call"
)]
enum Clients {
    Single(Table<Single>),
    Several(Box<Table<Several>>),
}

/// The options that a call is decided by, the epoch in which they were read, and where clients are.
#[derive(Clone, Copy)]
pub(super) struct InForce<'a> {
    pub(super) config: &'a RateLimiterConfig,
    pub(super) epoch: ConfigEpoch,
    pub(super) contents: &'a Contents,
}

impl RateLimiter {
    /// A limiter without clients.
    ///
    /// # Panics
    /// Where [`try_new`](Self::try_new) is an error.
    #[must_use]
    pub fn new(name: &str, config: RateLimiterConfig) -> Self {
        Self::try_new(name, config).expect("memory for its clients")
    }

    /// A limiter without clients; an error where the system cannot map memory for `max_keys` of them. The memory is
    /// taken page by page as clients come, and given back when the limiter is closed.
    pub fn try_new(name: &str, config: RateLimiterConfig) -> Result<Self> {
        let contents = Contents::new(&config).map_err(|cause| config.too_large(&cause))?;
        Ok(Self {
            name: name.to_owned(),
            created_with: config.list(),
            memory: Arc::clone(&contents.memory),
            contents: Arc::new(Retirable::new(contents)),
            config: ArcSwap::from_pointee(config),
            epoch: AtomicConfigEpoch::default(),
            reconfiguring: Mutex::new(()),
            locals: LocalHandles::default(),
            successor: OnceLock::new(),
        })
    }

    /// The name it was created under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes that its clients take now, in whole pages; 0 once it is closed.
    #[must_use]
    pub fn memory(&self) -> &Arc<MemoryUse> {
        &self.memory
    }

    /// Charges `cost` units if they are there; true when the call may pass.
    pub fn try_consume(&self, key: KeyHash, cost: u64, now: u64) -> Result<bool> {
        let epoch = self.check_call(cost)?;
        let contents = self.contents()?;
        let config = self.config.load();
        let in_force = InForce { config: &config, epoch, contents: &contents };
        Ok(self.try_consume_by(in_force, &contents.counters, key, cost, now))
    }

    /// As [`try_consume`](Self::try_consume), with everything that can be told about it.
    pub fn consume(&self, key: KeyHash, cost: u64, now: u64) -> Result<Decision> {
        let epoch = self.check_call(cost)?;
        let contents = self.contents()?;
        let config = self.config.load();
        let in_force = InForce { config: &config, epoch, contents: &contents };
        Ok(self.consume_by(in_force, &contents.counters, key, cost, now))
    }

    /// As [`consume`](Self::consume), with `limit` in place of the configured one for this call: what the
    /// client has used stays used. For a limiter of one limit.
    pub fn consume_with_limit(&self, key: KeyHash, cost: u64, limit: u64, now: u64) -> Result<Decision> {
        let epoch = self.check_call(cost)?;
        let contents = self.contents()?;
        let config = self.config.load();
        let in_force = InForce { config: &config, epoch, contents: &contents };
        self.consume_with_limit_by(in_force, &contents.counters, key, (cost, limit), now)
    }

    /// What a call of cost 1 would be told; charges nothing and counts nothing.
    pub fn peek(&self, key: KeyHash, now: u64) -> Result<Decision> {
        let epoch = self.check_open()?;
        let contents = self.contents()?;
        Ok(self.peek_by(InForce { config: &self.config.load(), epoch, contents: &contents }, key, now))
    }

    #[inline]
    pub(super) fn try_consume_by(
        &self,
        in_force: InForce<'_>,
        counts: &impl Count,
        key: KeyHash,
        cost: u64,
        now: u64,
    ) -> bool {
        let rules = &in_force.config.rules;
        let refused = with_table!(in_force.contents.clients, table => {
            let decide = |client: &Client<_>, now| match admit(rules, client, cost, now) {
                Some(words) => Step::Write(words, Some(words)),
                None => Step::Keep(None),
            };
            let written = table.update(key, now, |words, now| lifetime(rules, words, now), decide);
            written.map(|written| {
                self.settle(table, in_force.epoch, key, now, written);
                written.is_none()
            })
        });
        let refused = refused.unwrap_or_else(|_| overflow_refuses(in_force.config, counts));
        count(refused, in_force.config, counts)
    }

    #[inline(always)]
    pub(super) fn consume_by(
        &self,
        in_force: InForce<'_>,
        counts: &impl Count,
        key: KeyHash,
        cost: u64,
        now: u64,
    ) -> Decision {
        let config = in_force.config;
        let rules = &config.rules;
        let decision = with_table!(in_force.contents.clients, table => {
            let mut charge = Charge::default();
            let decide = |client: &Client<_>, now| decision::charge(rules, client, cost, now, &mut charge);
            let charged = table.update(key, now, |words, now| lifetime(rules, words, now), decide);
            charged.map(|()| {
                self.settle(table, in_force.epoch, key, now, charge.written());
                charge.describe(config)
            })
        });
        let decision = decision
            .unwrap_or_else(|full| describe_overflow(&full, config, overflow_refuses(config, counts), now));
        count(!decision.allowed, config, counts);
        decision.pass_if_dry(config)
    }

    pub(super) fn consume_with_limit_by(
        &self,
        in_force: InForce<'_>,
        counts: &impl Count,
        key: KeyHash,
        charge: (u64, u64),
        now: u64,
    ) -> Result<Decision> {
        let (cost, limit) = charge;
        let config = in_force.config.with_limit(limit)?;
        Ok(self.consume_by(InForce { config: &config, ..in_force }, counts, key, cost, now))
    }

    pub(super) fn peek_by(&self, in_force: InForce<'_>, key: KeyHash, now: u64) -> Decision {
        let config = in_force.config;
        let decision = with_table!(in_force.contents.clients, table => {
            let client = table.get(key).unwrap_or_default();
            decision::foresee(&config.rules, client, 1, now).describe(config)
        });
        decision.pass_if_dry(config)
    }

    /// Gives units back, up to a full quota. A client never seen stays so.
    pub fn refund(&self, key: KeyHash, cost: u64, now: u64) -> Result<()> {
        let epoch = self.check_call(cost)?;
        let contents = self.contents()?;
        let config = self.config.load();
        with_table!(contents.clients, table => {
            let written = table.update_existing(key, |client| {
                write(each(&config.rules, client.words, |rule, word| rule.algorithm.refund(word, now, cost)))
            });
            self.settle(table, epoch, key, now, written);
        });
        Ok(())
    }

    /// Takes the charge of a call back, by what its decision said. What time has given back since is not
    /// given a second time, nor to another window than was charged.
    pub fn undo(&self, key: KeyHash, cost: u64, receipt: &Receipt, now: u64) -> Result<()> {
        let epoch = self.check_call(cost)?;
        let contents = self.contents()?;
        let config = self.config.load().judging_by(receipt.limit);
        with_table!(contents.clients, table => {
            let written = table.update_existing(key, |client| {
                let mut words = client.words;
                for ((rule, word), settles) in config.rules.iter().zip(words.as_mut()).zip(receipt.settles) {
                    *word = rule.algorithm.undo(*word, now, cost, ChargedAt { at: receipt.at, settles });
                }
                write(words)
            });
            self.settle(table, epoch, key, now, written);
        });
        Ok(())
    }

    /// Charges without asking; stops where nothing is left.
    pub fn penalize(&self, key: KeyHash, cost: u64, now: u64) -> Result<()> {
        let epoch = self.check_call(cost)?;
        let contents = self.contents()?;
        let config = self.config.load();
        let rules = &config.rules;
        let penalized = with_table!(contents.clients, table => {
            let penalize = |client: &Client<_>, now| {
                write(each(rules, client.words, |rule, word| rule.algorithm.penalize(word, now, cost)))
            };
            let written = table.update(key, now, |words, now| lifetime(rules, words, now), penalize);
            written.map(|words| self.settle(table, epoch, key, now, Some(words)))
        });
        if penalized.is_err() {
            contents.counters.count(UNTRACKED);
        }
        Ok(())
    }

    /// Refuses the client until `now + duration`, or the end of a block that is longer. False, and
    /// counted, when the table cannot hold it. The end is kept to 1/64 ms.
    pub fn block(&self, key: KeyHash, duration: u64, now: u64) -> Result<bool> {
        self.check_open()?;
        let contents = self.contents()?;
        let config = self.config.load();
        let blocked = with_table!(contents.clients, table => {
            table.block(key, now + duration, now, |words, now| lifetime(&config.rules, words, now))
        });
        if blocked.is_err() {
            contents.counters.count(UNTRACKED);
        }
        Ok(blocked.is_ok())
    }

    /// Forgets what the client did and ends its block; true when there was anything to forget.
    pub fn reset(&self, key: KeyHash, now: u64) -> Result<bool> {
        self.check_open()?;
        let contents = self.contents()?;
        let config = self.config.load();
        Ok(with_table!(contents.clients, table => table.reset(key).is_some_and(|client| {
            client.lifetime(now, |words, now| lifetime(&config.rules, words, now)) > 0
        })))
    }

    /// Forgets every client, blocks included, one after the other.
    pub fn clear(&self) -> Result<()> {
        self.check_open()?;
        let contents = self.contents()?;
        with_table!(contents.clients, table => table.clear());
        Ok(())
    }

    /// Changes the options for all threads at once. What clients have used stays used, as far as the new
    /// limits could have left it. One pass over the table, during which calls go on. `clock` tells the time of
    /// each of its steps.
    pub fn reconfigure(&self, options: RateLimiterOptions, clock: impl Fn() -> u64) -> Result<()> {
        let _one_at_a_time = self.reconfiguring.lock();
        self.replace_options(options, clock)
    }

    /// As [`reconfigure`](Self::reconfigure), by the options in `given`. What is left out stays in force, also when
    /// another thread changes it at the same time.
    pub fn reconfigure_with(&self, given: &dyn Source, clock: impl Fn() -> u64) -> Result<()> {
        loop {
            let in_force = self.config();
            let options = in_force.options.with(given)?;
            if self.reconfigure_since(in_force.generation, options, &clock)? {
                return Ok(());
            }
        }
    }

    /// False when the options in force are no longer those of `generation`; nothing was changed then.
    fn reconfigure_since(
        &self,
        generation: u64,
        options: RateLimiterOptions,
        clock: impl Fn() -> u64,
    ) -> Result<bool> {
        let _one_at_a_time = self.reconfiguring.lock();
        if self.config.load().generation != generation {
            return Ok(false);
        }
        self.replace_options(options, clock).map(|()| true)
    }

    /// The caller holds `reconfiguring`.
    fn replace_options(&self, options: RateLimiterOptions, clock: impl Fn() -> u64) -> Result<()> {
        self.check_open()?;
        let contents = self.contents()?;
        let config = Arc::new(self.config.load().replaced_by(options)?);
        self.config.store(Arc::clone(&config));
        // A call that was decided by the options before either wrote before the pass below comes to its client,
        // or finds the epoch changed after it wrote, and does for its client what the pass does.
        self.epoch.advance();
        full_barrier();
        self.adopt(&contents, &config, u64::MAX, clock);
        Ok(())
    }

    /// The clock was set back, by hand, in a test: nobody is to wait for the time that it showed before. Blocks
    /// end when they were to end.
    pub fn clock_was_set_back(&self, now: u64) {
        let _one_at_a_time = self.reconfiguring.lock();
        if let Some(contents) = self.contents.enter() {
            self.adopt(&contents, &self.config.load(), now, || now);
        }
    }

    /// Cuts what clients owe to what these options could have left.
    fn adopt(&self, contents: &Contents, config: &RateLimiterConfig, latest: u64, clock: impl Fn() -> u64) {
        with_table!(contents.clients, table => table.adapt(latest, |words| {
            // Read after the words: nobody has charged by a later clock.
            let now = clock();
            each(&config.rules, *words, |rule, word| rule.algorithm.adopt(word, now))
        }));
    }

    /// After a call has written: other options that came meanwhile are adopted for its client.
    #[inline]
    fn settle<C: Cell>(
        &self,
        table: &Table<C>,
        epoch: ConfigEpoch,
        key: KeyHash,
        now: u64,
        written: Option<C::Words>,
    ) {
        let Some(words) = written else { return };
        // The write before the look.
        full_barrier();
        if !planted!(EpochNotReadAgain) && self.epoch.get() != epoch {
            self.adopt_one(table, key, now, words);
        }
    }

    /// Cuts what the call itself has written, and nothing that came later: others may have charged by a later
    /// clock and the options in force, and were admitted on top of no more than these leave.
    #[cold]
    fn adopt_one<C: Cell>(&self, table: &Table<C>, key: KeyHash, now: u64, written: C::Words) {
        let config = self.config.load();
        table.update_existing(key, |client| {
            let adopted = each(&config.rules, client.words, |rule, word| rule.algorithm.adopt(word, now));
            if client.words == written { Step::Write(adopted, ()) } else { Step::Keep(()) }
        });
    }

    /// The options in force.
    #[must_use]
    pub fn config(&self) -> Arc<RateLimiterConfig> {
        self.config.load_full()
    }

    /// Sums over all threads, and one pass over the table.
    pub fn stats(&self, now: u64) -> Result<RateLimiterStats> {
        self.check_open()?;
        let contents = self.contents()?;
        let config = self.config.load();
        let ((size, blocked), live_evictions, capacity) = with_table!(contents.clients, table => {
            let counts = table.count(now, |words, now| lifetime(&config.rules, words, now));
            (counts, table.live_evictions(), table.capacity() as u64)
        });
        let sum = |counter| contents.counters.sum(counter) + self.locals.sum(counter);
        Ok(RateLimiterStats {
            allowed: sum(ALLOWED),
            refused: sum(REFUSED),
            dry_refused: sum(DRY_REFUSED),
            untracked: sum(UNTRACKED),
            live_evictions,
            blocked,
            size,
            capacity,
        })
    }

    pub(super) fn epoch(&self) -> ConfigEpoch {
        self.epoch.get()
    }

    pub(super) fn locals(&self) -> &LocalHandles {
        &self.locals
    }

    /// The limiter in its place, once it was replaced by one with another table.
    #[must_use]
    pub fn successor(&self) -> Option<&Arc<Self>> {
        self.successor.get()
    }

    pub(super) fn check_open(&self) -> Result<ConfigEpoch> {
        // A call that races with `destroy` may still be answered.
        let epoch = self.epoch.get();
        if epoch.is_closed() { Err(self.closed()) } else { Ok(epoch) }
    }

    pub(super) fn closed(&self) -> Error {
        Error::Closed { name: self.name.clone() }
    }

    /// Begins a call that a thread makes without a local.
    fn contents(&self) -> Result<Inside<'_, Contents>> {
        self.contents.enter().ok_or_else(|| self.closed())
    }

    /// A local's way to the clients.
    pub(super) fn handle(&self) -> Handle<Contents> {
        Handle::new(Arc::clone(&self.contents))
    }

    fn check_call(&self, cost: u64) -> Result<ConfigEpoch> {
        check_cost(cost)?;
        self.check_open()
    }

    /// Prefetches the memory of a client that will soon call.
    #[inline]
    pub fn prefetch(&self, key: KeyHash) {
        if let Some(contents) = self.contents.enter() {
            contents.prefetch(key);
        }
    }
}

#[inline]
pub(super) fn check_cost(cost: u64) -> Result<()> {
    if cost == 0 || cost > MAX_SAFE_INTEGER {
        return Err(Error::InvalidCost { given: cost.to_string() });
    }
    Ok(())
}

fn describe_overflow(full: &Full, config: &RateLimiterConfig, refused: bool, now: u64) -> Decision {
    let wait = if refused { full.earliest_vacancy.saturating_sub(now) } else { 0 };
    let Rule { limit, algorithm, .. } = &config.rules[0];
    Decision {
        allowed: !refused,
        policy: 0,
        limit: *limit,
        remaining: if refused { 0 } else { algorithm.capacity() },
        reset_after: wait,
        retry_after: Some(wait),
        more_after: wait,
        would_refuse: None,
        generation: config.generation,
        receipt: Receipt::default(),
    }
}

/// Nanoseconds until words are as those of a client never seen.
fn lifetime(rules: &[Rule], words: impl AsRef<[u64]>, now: u64) -> u64 {
    let resets = rules.iter().zip(words.as_ref()).map(|(rule, word)| rule.algorithm.reset_after(*word, now));
    resets.fold(0, u64::max)
}

/// Writes the words, and tells which.
fn write<W: Words>(words: W) -> Step<W, W> {
    Step::Write(words, words)
}

/// The words after the same operation on each limit's.
fn each<W: Words>(rules: &[Rule], mut words: W, operation: impl Fn(&Rule, u64) -> u64) -> W {
    for (rule, word) in rules.iter().zip(words.as_mut()) {
        *word = operation(rule, *word);
    }
    words
}

impl Instance for RateLimiter {
    const KIND: &'static str = "RateLimiter";
    type Config = RateLimiterConfig;

    fn create(name: &str, config: RateLimiterConfig) -> Self {
        Self::new(name, config)
    }

    fn try_create(name: &str, config: RateLimiterConfig) -> Result<Self> {
        Self::try_new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &RateLimiterConfig) -> OptionList {
        config.list()
    }

    fn close(&self) {
        self.epoch.close();
        self.contents.retire();
    }

    /// What the table is made for.
    fn list_fixed(config: &RateLimiterConfig) -> OptionList {
        config.list_fixed()
    }

    fn reconfigure(
        &self,
        name: &str,
        config: RateLimiterConfig,
        is_empty: bool,
    ) -> Result<Option<Arc<Self>>> {
        let in_force = self.config.load_full();
        if !is_empty {
            Self::reconfigure(self, config.options, clock::now)?;
            return Ok(None);
        }
        // An empty limiter takes any options: where its words cannot hold them, another one takes its place.
        let fits = in_force.list_fixed() == config.list_fixed();
        if fits && Self::reconfigure(self, config.options.clone(), clock::now).is_ok() {
            return Ok(None);
        }
        let generation = in_force.generation + 1;
        let successor = Arc::new(Self::try_new(name, RateLimiterConfig { generation, ..config })?);
        // It is closed after its successor can be found.
        let successor = self.successor.get_or_init(|| successor);
        Instance::close(self);
        Ok(Some(Arc::clone(successor)))
    }

    fn reset(&self) {
        let Some(contents) = self.contents.enter() else { return };
        with_table!(contents.clients, table => table.reset_all());
        contents.counters.reset();
        self.locals.reset();
    }

    /// Handles are dropped with their thread; a charge belongs to the client.
    fn thread_ended(&self, _: ThreadId, _: u64) {}

    fn clock_was_set_back(&self, set_back: SetBack) {
        Self::clock_was_set_back(self, set_back.now);
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;
    use crate::runtime::clock::MS;
    use crate::runtime::key_hash::hash_str;

    /// A call that stood still while other options came knows only an old time.
    #[test]
    fn who_settles_late_takes_no_charge_of_others_back() {
        let options = RateLimiterOptions::single(10, 10);
        let limiter = RateLimiter::new("test", options.clone().try_into().expect("valid"));
        let (key, epoch) = (hash_str("client"), limiter.epoch());
        assert!(limiter.try_consume(key, 10, 0).expect("open"));
        let contents = limiter.contents().expect("open");
        let Clients::Single(table) = &contents.clients else { panic!("one limit") };
        let written = table.get(key).map(|client| client.words);

        limiter.reconfigure(options, || 0).expect("valid");
        assert!(limiter.try_consume(key, 10, 10 * MS).expect("open"));
        limiter.settle(table, epoch, key, 0, written);
        assert!(!limiter.try_consume(key, 1, 10 * MS).expect("open"), "the burst was used at this time");
    }
}
