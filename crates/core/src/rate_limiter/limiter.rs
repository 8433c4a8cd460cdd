//! The limiter: options, table and algorithm put together.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use super::cell::{Cell, Step};
use super::gcra::{Gcra, Refused};
use super::quota::{MAX_SAFE_INTEGER, Overflow, RateLimiterConfig};
use super::table::{Full, Table};
use crate::instances::{Instance, OptionList};
use crate::key_hash::KeyHash;
use crate::tally::Tally;
use crate::{Error, Result};

/// What is to be told about one call. Times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The call may pass.
    pub allowed: bool,
    /// Units per window.
    pub limit: u64,
    /// Units that would still be admitted at once.
    pub remaining: u64,
    /// Until the client is as if never seen.
    pub reset_after: u64,
    /// Until the same call is admitted if nothing else comes; 0 when allowed, `None` when never.
    pub retry_after: Option<u64>,
    /// Until at least one unit more is available; 0 when none is missing.
    pub more_after: u64,
    /// Under `dryRun`: whether the call would have been refused. `None` when the limiter is live.
    pub would_refuse: Option<bool>,
    /// Which options it was decided by: raised by every `reconfigure`.
    pub generation: u64,
}

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

const ALLOWED: usize = 0;
const REFUSED: usize = 1;
const DRY_REFUSED: usize = 2;
const UNTRACKED: usize = 3;

/// The outcome of one charge, before it is told to anybody.
struct Charge {
    outcome: std::result::Result<(), Refused>,
    /// The client's state after the call, the end of its block and the time it was judged by.
    state: u64,
    blocked_until: u64,
    now: u64,
}

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
            table: Table::new(capacity, options.overflow),
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
        let config = self.config.load();
        let refused = match self.charge(&config.gcra, key, cost, now) {
            Ok(charge) => charge.outcome.is_err(),
            Err(_) => self.overflow_refuses(&config),
        };
        Ok(self.count(refused, &config))
    }

    /// As [`try_consume`](Self::try_consume), with everything that can be told about it.
    pub fn consume(&self, key: KeyHash, cost: u64, now: u64) -> Result<Decision> {
        self.check_call(cost)?;
        let config = self.config.load();
        let mut decision = match self.charge(&config.gcra, key, cost, now) {
            Ok(charge) => charge.describe(&config),
            Err(full) => self.describe_overflow(&full, &config, now),
        };
        self.count(!decision.allowed, &config);
        decision.pass_if_dry(&config);
        Ok(decision)
    }

    /// What a call of cost 1 would be told; charges nothing and counts nothing.
    pub fn peek(&self, key: KeyHash, now: u64) -> Result<Decision> {
        self.check_open()?;
        let config = self.config.load();
        let (state, blocked_until) =
            self.table.existing(key, |cell| (cell.state(), cell.blocked_until())).unwrap_or_default();
        let outcome = judge(&config.gcra, state, blocked_until, now, 1).map(|_| ());
        let mut decision = Charge { outcome, state, blocked_until, now }.describe(&config);
        decision.pass_if_dry(&config);
        Ok(decision)
    }

    /// Gives units back, up to a full bucket. A client never seen stays so.
    pub fn refund(&self, key: KeyHash, cost: u64, now: u64) -> Result<()> {
        self.check_call(cost)?;
        let gcra = self.config.load().gcra;
        self.table.existing(key, |cell| {
            cell.update(|tat| match gcra.refund(tat, now, cost) {
                _ if tat <= now => Step::Keep(()),
                next => Step::Write(next, ()),
            });
        });
        Ok(())
    }

    /// Charges without asking; stops at an empty bucket.
    pub fn penalize(&self, key: KeyHash, cost: u64, now: u64) -> Result<()> {
        self.check_call(cost)?;
        let gcra = self.config.load().gcra;
        let penalized = self.table.with(key, now, |cell, now| {
            cell.update(|tat| Step::Write(gcra.penalize(tat, now, cost), ()));
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
        let blocked = self.table.with(key, now, |cell, _| cell.block(until)).is_ok();
        if !blocked {
            self.tally.add(UNTRACKED, 1);
        }
        Ok(blocked)
    }

    /// Forgets what the client did and ends its block; true when there was anything to forget.
    pub fn reset(&self, key: KeyHash, now: u64) -> Result<bool> {
        self.check_open()?;
        let mattered = self.table.existing(key, |cell| {
            let mattered = cell.state() > now || cell.blocked_until() > now;
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

    /// Changes the options for all threads at once. What clients have used stays used.
    pub fn reconfigure(&self, mut config: RateLimiterConfig) -> Result<()> {
        self.check_open()?;
        let _one_at_a_time = self.reconfiguring.lock();
        let current = self.config.load();
        for (option, fixed, given) in [
            ("maxKeys", current.options.max_keys.to_string(), config.options.max_keys.to_string()),
            ("overflow", current.options.overflow.to_string(), config.options.overflow.to_string()),
        ] {
            if fixed != given {
                let accepted = format!("{fixed}: it is fixed at creation");
                return Err(Error::invalid_option(&format!("reconfigure {option}"), given, accepted));
            }
        }
        config.generation = current.generation + 1;
        self.config.store(config.into());
        Ok(())
    }

    /// The options in force.
    #[must_use]
    pub fn config(&self) -> std::sync::Arc<RateLimiterConfig> {
        self.config.load_full()
    }

    /// Sums over all threads, and one pass over the table.
    pub fn stats(&self, now: u64) -> Result<RateLimiterStats> {
        self.check_open()?;
        let (size, blocked) = self.table.count(now);
        Ok(RateLimiterStats {
            allowed: self.tally.sum(ALLOWED),
            refused: self.tally.sum(REFUSED),
            dry_refused: self.tally.sum(DRY_REFUSED),
            untracked: self.tally.sum(UNTRACKED),
            live_evictions: self.table.live_evictions(),
            blocked,
            size,
            capacity: self.config.load().options.max_keys,
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

    fn charge(&self, gcra: &Gcra, key: KeyHash, cost: u64, now: u64) -> std::result::Result<Charge, Full> {
        // What asks for more than the burst takes no place in the table.
        if cost > gcra.burst {
            let (state, blocked_until) =
                self.table.existing(key, |cell| (cell.state(), cell.blocked_until())).unwrap_or_default();
            return Ok(Charge { outcome: Err(Refused::Ever), state, blocked_until, now });
        }
        self.table.with(key, now, |cell, now| charge_cell(gcra, cell, cost, now))
    }

    fn overflow_refuses(&self, config: &RateLimiterConfig) -> bool {
        self.tally.add(UNTRACKED, 1);
        config.options.overflow == Overflow::Deny
    }

    fn describe_overflow(&self, full: &Full, config: &RateLimiterConfig, now: u64) -> Decision {
        let refused = self.overflow_refuses(config);
        let wait = full.earliest_expiry.saturating_sub(now);
        Decision {
            allowed: !refused,
            limit: config.options.quota.limit,
            remaining: if refused { 0 } else { config.gcra.burst },
            reset_after: if refused { wait } else { 0 },
            retry_after: Some(if refused { wait } else { 0 }),
            more_after: if refused { wait } else { 0 },
            would_refuse: None,
            generation: config.generation,
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

/// Judges a client by its block first, then by its rate: the TAT after the call, or what it waits for.
fn judge(
    gcra: &Gcra,
    tat: u64,
    blocked_until: u64,
    now: u64,
    cost: u64,
) -> std::result::Result<u64, Refused> {
    let verdict = gcra.decide(tat, now, cost);
    match blocked_until.checked_sub(now) {
        None | Some(0) => verdict,
        Some(block) => Err(match verdict {
            Ok(_) => Refused::For(block),
            Err(Refused::For(wait)) => Refused::For(wait.max(block)),
            Err(Refused::Ever) => Refused::Ever,
        }),
    }
}

fn charge_cell(gcra: &Gcra, cell: &Cell, cost: u64, now: u64) -> Charge {
    let blocked_until = cell.blocked_until();
    cell.update(|tat| match judge(gcra, tat, blocked_until, now, cost) {
        Ok(next) => Step::Write(next, Charge { outcome: Ok(()), state: next, blocked_until, now }),
        Err(refused) => Step::Keep(Charge { outcome: Err(refused), state: tat, blocked_until, now }),
    })
}

impl Decision {
    /// Under `dryRun` nobody is refused, and what would have been is told.
    fn pass_if_dry(&mut self, config: &RateLimiterConfig) {
        if config.options.dry_run {
            self.would_refuse = Some(!self.allowed);
            (self.allowed, self.retry_after) = (true, Some(0));
        }
    }
}

impl Charge {
    fn describe(&self, config: &RateLimiterConfig) -> Decision {
        let Self { outcome, state, blocked_until, now } = *self;
        let gcra = &config.gcra;
        let block = blocked_until.saturating_sub(now);
        Decision {
            allowed: outcome.is_ok(),
            limit: config.options.quota.limit,
            remaining: if block > 0 { 0 } else { gcra.remaining(state, now) },
            reset_after: gcra.debt(state, now).max(block),
            retry_after: match outcome {
                Ok(()) => Some(0),
                Err(Refused::For(wait)) => Some(wait),
                Err(Refused::Ever) => None,
            },
            more_after: match judge(gcra, state, blocked_until, now, 1) {
                Err(Refused::For(wait)) => wait,
                _ => gcra.until_more(state, now),
            },
            would_refuse: None,
            generation: config.generation,
        }
    }
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
