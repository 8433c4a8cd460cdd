//! The limiter: options, table and algorithm put together.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::algorithm::ChargedAt;
use super::cell::{Cell, Step, Words};
use super::decision::{self, Charge, Decision, Receipt};
use super::options::{Overflow, RateLimiterConfig, RateLimiterOptions, Rule};
use super::quota::MAX_SAFE_INTEGER;
use super::table::{Full, Table};
use crate::instances::{Instance, OptionList};
use crate::key_hash::KeyHash;
use crate::tally::Tally;
use crate::{Error, Result};

/// Counts over all threads since creation, and the state of the table now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimiterStats {
    /// Calls admitted.
    pub allowed: u64,
    /// Calls refused.
    pub refused: u64,
    /// Calls that passed under `dryRun` and would have been refused.
    pub dry_refused: u64,
    /// Calls that found no place in the table: passed uncounted, refused, or a block that was not kept.
    pub untracked: u64,
    /// Clients forgotten while their state still mattered.
    pub live_evictions: u64,
    /// Clients blocked now.
    pub blocked: u64,
    /// Clients not as if never seen now.
    pub size: u64,
    /// Most clients held at once.
    pub capacity: u64,
}

/// A rate limit for each of many clients, shared by all threads.
///
/// Any number of threads admits the quota and not one unit more, for every client that was not evicted
/// while live. A call of a known client is lock-free but for the shared lock of one of the table's
/// shards; a refusal writes nothing.
pub struct RateLimiter {
    name: String,
    created_with: OptionList,
    config: ArcSwap<RateLimiterConfig>,
    reconfiguring: Mutex<()>,
    table: Table,
    tally: Tally<4>,
    closed: AtomicBool,
}

/// The options in force at one moment.
type Config = arc_swap::Guard<Arc<RateLimiterConfig>>;

const ALLOWED: usize = 0;
const REFUSED: usize = 1;
const DRY_REFUSED: usize = 2;
const UNTRACKED: usize = 3;

impl RateLimiter {
    /// A limiter with nobody in it.
    #[must_use]
    pub fn new(name: &str, config: RateLimiterConfig) -> Self {
        let options = &config.options;
        // `maxKeys` is validated to 2^32, which every 64-bit machine counts.
        let capacity = usize::try_from(options.max_keys).unwrap_or(usize::MAX);
        Self {
            name: name.to_owned(),
            created_with: config.list(),
            table: Table::new(capacity, options.overflow, config.rules.len()),
            config: ArcSwap::from_pointee(config),
            reconfiguring: Mutex::new(()),
            tally: Tally::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// The name it was created under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Charges `cost` units if they are there; true when the call may pass.
    pub fn try_consume(&self, key: KeyHash, cost: u64, now: u64) -> Result<bool> {
        self.check_call(cost)?;
        Ok(match self.charge(key, cost, now) {
            Ok((config, charge)) => self.count(charge.refused.is_some(), &config),
            Err(_) => self.count(self.overflow_refuses(), &self.config.load()),
        })
    }

    /// As [`try_consume`](Self::try_consume), with everything that can be told about it.
    pub fn consume(&self, key: KeyHash, cost: u64, now: u64) -> Result<Decision> {
        self.check_call(cost)?;
        let (config, decision) = match self.charge(key, cost, now) {
            Ok((config, charge)) => {
                let decision = charge.describe(&config);
                (config, decision)
            }
            Err(full) => {
                let config = self.config.load();
                let decision = self.describe_overflow(&full, &config, now);
                (config, decision)
            }
        };
        self.count(!decision.allowed, &config);
        Ok(decision.pass_if_dry(&config))
    }

    /// As [`consume`](Self::consume), with `limit` in place of the configured one for this call: what the
    /// client has used stays used. For a limiter of one limit.
    pub fn consume_with_limit(&self, key: KeyHash, cost: u64, limit: u64, now: u64) -> Result<Decision> {
        self.check_call(cost)?;
        let charged = self.with_cell(key, now, |config, cell, now| {
            let config = config.with_limit(limit)?;
            let charge = decision::charge(&config.rules, cell, cost, now);
            Ok((config, charge))
        });
        let (config, decision) = match charged {
            Ok(charged) => {
                let (config, charge) = charged?;
                let decision = charge.describe(&config);
                (config, decision)
            }
            Err(full) => {
                let config = self.config.load().with_limit(limit)?;
                let decision = self.describe_overflow(&full, &config, now);
                (config, decision)
            }
        };
        self.count(!decision.allowed, &config);
        Ok(decision.pass_if_dry(&config))
    }

    /// What a call of cost 1 would be told; charges nothing and counts nothing.
    pub fn peek(&self, key: KeyHash, now: u64) -> Result<Decision> {
        self.check_open()?;
        let (config, charge) = self.foresee(key, 1, now);
        Ok(charge.describe(&config).pass_if_dry(&config))
    }

    /// Gives units back, up to a full quota. A client never seen stays so.
    pub fn refund(&self, key: KeyHash, cost: u64, now: u64) -> Result<()> {
        self.check_call(cost)?;
        self.table.existing(key, |cell| {
            let config = self.config.load();
            let refund = |rule: &Rule, word| rule.algorithm.refund(word, now, cost);
            cell.update(|words| Step::Write(each(&config.rules, words, refund), ()));
        });
        Ok(())
    }

    /// Takes the charge of a call back, by what its decision said. What time has given back since is not
    /// given a second time, nor to another window than was charged.
    pub fn undo(&self, key: KeyHash, cost: u64, receipt: &Receipt, now: u64) -> Result<()> {
        self.check_call(cost)?;
        self.table.existing(key, |cell| {
            let config = self.config.load().judging_by(receipt.limit);
            cell.update(|words| {
                let mut next = *words;
                for ((rule, word), settles) in config.rules.iter().zip(&mut next).zip(receipt.settles) {
                    *word = rule.algorithm.undo(*word, now, cost, ChargedAt { at: receipt.at, settles });
                }
                Step::Write(next, ())
            });
        });
        Ok(())
    }

    /// Charges without asking; stops where nothing is left.
    pub fn penalize(&self, key: KeyHash, cost: u64, now: u64) -> Result<()> {
        self.check_call(cost)?;
        let penalized = self.with_cell(key, now, |config, cell, now| {
            let penalize = |rule: &Rule, word| rule.algorithm.penalize(word, now, cost);
            cell.update(|words| Step::Write(each(&config.rules, words, penalize), ()));
        });
        if penalized.is_err() {
            self.tally.add(UNTRACKED, 1);
        }
        Ok(())
    }

    /// Refuses the client until `now + duration`, or the end of a block that is longer. False, and
    /// counted, when the table cannot hold it.
    pub fn block(&self, key: KeyHash, duration: u64, now: u64) -> Result<bool> {
        self.check_open()?;
        let until = now + duration;
        let blocked = self.with_cell(key, now, |_, cell, _| cell.block(until)).is_ok();
        if !blocked {
            self.tally.add(UNTRACKED, 1);
        }
        Ok(blocked)
    }

    /// Forgets what the client did and ends its block; true when there was anything to forget.
    pub fn reset(&self, key: KeyHash, now: u64) -> Result<bool> {
        self.check_open()?;
        let mattered = self.table.existing(key, |cell| {
            let mattered = lifetime(&self.config.load().rules, cell, now) > 0;
            cell.reset();
            mattered
        });
        Ok(mattered.unwrap_or(false))
    }

    /// Forgets every client, blocks included.
    pub fn clear(&self) -> Result<()> {
        self.check_open()?;
        self.table.clear();
        Ok(())
    }

    /// Changes the options for all threads at once. What clients have used stays used, as far as the new
    /// limits could have left it. One pass over the table.
    pub fn reconfigure(&self, options: RateLimiterOptions, now: u64) -> Result<()> {
        let _one_at_a_time = self.reconfiguring.lock();
        self.replace_options(options, now)
    }

    /// As [`reconfigure`](Self::reconfigure), where the options in force are still of `generation`: for
    /// options that were made of them. False when others came between, and nothing was changed.
    pub fn reconfigure_since(&self, generation: u64, options: RateLimiterOptions, now: u64) -> Result<bool> {
        let _one_at_a_time = self.reconfiguring.lock();
        if self.config.load().generation != generation {
            return Ok(false);
        }
        self.replace_options(options, now).map(|()| true)
    }

    /// The caller holds `reconfiguring`.
    fn replace_options(&self, options: RateLimiterOptions, now: u64) -> Result<()> {
        self.check_open()?;
        let config = Arc::new(self.config.load().replaced_by(options)?);
        self.config.store(Arc::clone(&config));
        // Decisions load the options under the locks that `adapt` takes: those made before it are adapted,
        // those made after it know the new options.
        self.adopt(&config, u64::MAX, now);
        Ok(())
    }

    /// The clock was set back, by hand, in a test: nobody is to wait for the time that it showed before. Blocks
    /// end when they were to end.
    pub fn clock_was_set_back(&self, now: u64) {
        let _one_at_a_time = self.reconfiguring.lock();
        self.adopt(&self.config.load(), now, now);
    }

    /// Cuts what clients owe to what these options could have left at `now`.
    fn adopt(&self, config: &RateLimiterConfig, latest: u64, now: u64) {
        self.table.adapt(latest, |cell| {
            let adopt = |rule: &Rule, word| rule.algorithm.adopt(word, now);
            cell.update(|words| Step::Write(each(&config.rules, words, adopt), ()));
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
        let config = self.config.load();
        let (size, blocked) = self.table.count(now, |cell| lifetime(&config.rules, cell, now));
        Ok(RateLimiterStats {
            allowed: self.tally.sum(ALLOWED),
            refused: self.tally.sum(REFUSED),
            dry_refused: self.tally.sum(DRY_REFUSED),
            untracked: self.tally.sum(UNTRACKED),
            live_evictions: self.table.live_evictions(),
            blocked,
            size,
            capacity: config.options.max_keys,
        })
    }

    fn check_open(&self) -> Result<()> {
        // Relaxed: a call that races with `destroy` may still be answered.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }

    fn check_call(&self, cost: u64) -> Result<()> {
        self.check_open()?;
        if cost == 0 || cost > MAX_SAFE_INTEGER {
            return Err(Error::InvalidCost { given: cost.to_string() });
        }
        Ok(())
    }

    fn charge(&self, key: KeyHash, cost: u64, now: u64) -> std::result::Result<(Config, Charge), Full> {
        self.with_cell(key, now, |config, cell, now| {
            let charge = decision::charge(&config.rules, cell, cost, now);
            (config, charge)
        })
    }

    fn foresee(&self, key: KeyHash, cost: u64, now: u64) -> (Config, Charge) {
        let state = self.table.existing(key, |cell| (self.config.load(), cell.words(), cell.blocked_until()));
        let (config, words, blocked_until) =
            state.unwrap_or_else(|| (self.config.load(), Words::default(), 0));
        let charge = decision::foresee(&config.rules, words, blocked_until, now, cost);
        (config, charge)
    }

    /// Runs `call` on the client's cell with the options in force, which are loaded under its lock.
    fn with_cell<R>(
        &self,
        key: KeyHash,
        now: u64,
        call: impl Fn(Config, &Cell, u64) -> R,
    ) -> std::result::Result<R, Full> {
        let lifetime = |cell: &Cell, now| lifetime(&self.config.load().rules, cell, now);
        self.table.with(key, now, lifetime, |cell, now| call(self.config.load(), cell, now))
    }

    fn overflow_refuses(&self) -> bool {
        self.tally.add(UNTRACKED, 1);
        self.config.load().options.overflow == Overflow::Deny
    }

    fn describe_overflow(&self, full: &Full, config: &RateLimiterConfig, now: u64) -> Decision {
        let refused = self.overflow_refuses();
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

    /// Counts the call; true when it may pass.
    fn count(&self, refused: bool, config: &RateLimiterConfig) -> bool {
        let counter = match (refused, config.options.dry_run) {
            (false, _) => ALLOWED,
            (true, false) => REFUSED,
            (true, true) => DRY_REFUSED,
        };
        self.tally.add(counter, 1);
        counter != REFUSED
    }
}

/// Nanoseconds until the client is as if never seen, by its limits and its block.
fn lifetime(rules: &[Rule], cell: &Cell, now: u64) -> u64 {
    let words = cell.words();
    let resets = rules.iter().zip(words).map(|(rule, word)| rule.algorithm.reset_after(word, now));
    resets.fold(cell.blocked_until().saturating_sub(now), u64::max)
}

/// The words after the same operation on each limit.
fn each(rules: &[Rule], words: &Words, operation: impl Fn(&Rule, u64) -> u64) -> Words {
    let mut next = *words;
    for (rule, word) in rules.iter().zip(&mut next) {
        *word = operation(rule, *word);
    }
    next
}

impl Instance for RateLimiter {
    const KIND: &'static str = "RateLimiter";
    type Config = RateLimiterConfig;

    fn create(name: &str, config: RateLimiterConfig) -> Self {
        Self::new(name, config)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(config: &RateLimiterConfig) -> OptionList {
        config.list()
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        // A thread may keep the closed limiter for a while; it need not keep its clients.
        self.table.clear();
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("name", &self.name).finish_non_exhaustive()
    }
}
