//! The limiter: the config in force, the table of its keys, and the counters.

use std::fmt;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::call::Call;
use super::config::RateLimiterConfig;
use super::config_epoch::ConfigEpoch;
use super::contents::{Contents, with_table};
use super::counts::{ALLOWED, COUNTERS, CountsOfHandles, DRY_REFUSED, REFUSED, RateLimiterStats, UNTRACKED};
use super::decision::{Decision, Receipt, lifetime};
use super::in_force::ConfigInForce;
use super::quota::MAX_SAFE_INTEGER;
use crate::runtime::instances::OptionList;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::memory::MemoryUse;
use crate::runtime::retire::{Inside, Retirable};
use crate::runtime::sharded_counters::ShardedCounters;
use crate::{Error, Result};

/// A rate limit per key, shared by all threads.
///
/// Any number of threads together admit the quota and not one unit more, for each key that was not evicted while live.
/// No call for a key takes a lock, except one that waits; a refusal writes nothing. A thread that calls often takes a
/// [`LocalHandle`](super::LocalHandle).
///
/// Methods that return a [`Result`] fail once the limiter is destroyed.
pub struct RateLimiter {
    pub(super) name: String,
    pub(super) created_with: OptionList,
    pub(super) in_force: ConfigInForce,
    /// Held by the one `reconfigure` at a time.
    pub(super) reconfiguring: Mutex<()>,
    pub(super) contents: Arc<Retirable<Contents>>,
    pub(super) memory: Arc<MemoryUse>,
    pub(super) counts_of_handles: CountsOfHandles,
    /// The limiter that replaced this one.
    pub(super) successor: OnceLock<Arc<Self>>,
}

impl RateLimiter {
    /// A limiter without keys.
    ///
    /// # Panics
    /// Where [`try_new`](Self::try_new) is an error.
    #[must_use]
    pub fn new(name: &str, config: RateLimiterConfig) -> Self {
        Self::try_new(name, config).expect("memory for its keys")
    }

    /// A limiter without keys. Its memory is committed page by page as keys come, and freed when the limiter is
    /// destroyed.
    ///
    /// # Errors
    ///
    /// The system cannot map memory for `max_keys` keys.
    pub fn try_new(name: &str, config: RateLimiterConfig) -> Result<Self> {
        let contents = Contents::new(&config).map_err(|cause| config.too_large(&cause))?;
        Ok(Self {
            name: name.to_owned(),
            created_with: config.list(),
            memory: Arc::clone(&contents.memory),
            contents: Arc::new(Retirable::new(contents)),
            in_force: ConfigInForce::new(config),
            reconfiguring: Mutex::new(()),
            counts_of_handles: CountsOfHandles::default(),
            successor: OnceLock::new(),
        })
    }

    /// The name it was created under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Bytes that its keys take now, in whole pages; 0 once it is destroyed.
    #[must_use]
    pub fn memory(&self) -> &Arc<MemoryUse> {
        &self.memory
    }

    /// The config in force.
    #[must_use]
    pub fn config(&self) -> Arc<RateLimiterConfig> {
        self.in_force.config()
    }

    /// The limiter that replaced this one, which has another table.
    #[must_use]
    pub fn successor(&self) -> Option<&Arc<Self>> {
        self.successor.get()
    }

    /// Charges `cost` units if they are available; true when the call is admitted.
    ///
    /// # Errors
    ///
    /// A cost that is 0 or too large; the limiter is destroyed.
    pub fn try_consume(&self, key: KeyHash, cost: u64, now: u64) -> Result<bool> {
        check_cost(cost)?;
        self.call(|call| call.try_consume(key, cost, now))
    }

    /// As [`try_consume`](Self::try_consume), with the whole decision.
    ///
    /// # Errors
    ///
    /// As of [`try_consume`](Self::try_consume).
    pub fn consume(&self, key: KeyHash, cost: u64, now: u64) -> Result<Decision> {
        check_cost(cost)?;
        self.call(|call| call.consume(key, cost, now))
    }

    /// As [`consume`](Self::consume), with `limit` in place of the configured one for this call: what the key has used
    /// stays used.
    ///
    /// # Errors
    ///
    /// As of [`try_consume`](Self::try_consume); an invalid limit; a limiter of several limits.
    pub fn consume_with_limit(&self, key: KeyHash, cost: u64, limit: u64, now: u64) -> Result<Decision> {
        check_cost(cost)?;
        self.call(|call| call.consume_with_limit(key, cost, limit, now))?
    }

    /// The decision for a call of cost 1; charges nothing and counts nothing.
    ///
    /// # Errors
    ///
    /// The limiter is destroyed.
    pub fn peek(&self, key: KeyHash, now: u64) -> Result<Decision> {
        self.call(|call| call.peek(key, now))
    }

    /// Returns units, up to a full quota. A key without state stays without.
    ///
    /// # Errors
    ///
    /// As of [`try_consume`](Self::try_consume).
    pub fn refund(&self, key: KeyHash, cost: u64, now: u64) -> Result<()> {
        check_cost(cost)?;
        self.call(|call| call.refund(key, cost, now))
    }

    /// Takes back the charge that `receipt` is of. What time has returned since is not returned twice, and no other
    /// window than the charged one gets anything back.
    ///
    /// # Errors
    ///
    /// As of [`try_consume`](Self::try_consume).
    pub fn undo(&self, key: KeyHash, cost: u64, receipt: &Receipt, now: u64) -> Result<()> {
        check_cost(cost)?;
        self.call(|call| call.undo(key, cost, receipt, now))
    }

    /// Charges without a decision, down to an empty quota.
    ///
    /// # Errors
    ///
    /// As of [`try_consume`](Self::try_consume).
    pub fn penalize(&self, key: KeyHash, cost: u64, now: u64) -> Result<()> {
        check_cost(cost)?;
        self.call(|call| call.penalize(key, cost, now))
    }

    /// Refuses the key until `now + duration`, or until the end of a longer block; calls that wait, wait until then. False, and counted, when the table
    /// has no slot for it. The end is kept to 1/64 ms.
    ///
    /// # Errors
    ///
    /// The limiter is destroyed.
    pub fn block(&self, key: KeyHash, duration: u64, now: u64) -> Result<bool> {
        self.call(|call| call.block(key, now + duration, now))
    }

    /// Removes the key's state and its block; true when there was any.
    ///
    /// # Errors
    ///
    /// The limiter is destroyed.
    pub fn reset(&self, key: KeyHash, now: u64) -> Result<bool> {
        self.call(|call| call.reset(key, now))
    }

    /// Removes every key with its block, one after the other.
    ///
    /// # Errors
    ///
    /// The limiter is destroyed.
    pub fn clear(&self, now: u64) -> Result<()> {
        self.call(|call| call.contents.clear(call.config, now))
    }

    /// Sums over all threads, and one pass over the table; at most once a second another pass, for `refusing`.
    ///
    /// # Errors
    ///
    /// The limiter is destroyed.
    pub fn stats(&self, now: u64) -> Result<RateLimiterStats> {
        self.call(|call| {
            let Call { config, contents, .. } = call;
            let ((size, blocked), live_evictions, capacity) = with_table!(contents, table => {
                let counts = table.count(now, |words, now| lifetime(&config.rules, words, now));
                (counts, table.live_evictions(), table.capacity() as u64)
            });
            let sum =
                |counter| contents.counters.sum(counter).wrapping_add(self.counts_of_handles.sum(counter));
            RateLimiterStats {
                allowed: sum(ALLOWED),
                refused: sum(REFUSED),
                dry_refused: sum(DRY_REFUSED),
                untracked: sum(UNTRACKED),
                live_evictions,
                blocked: blocked.saturating_sub(contents.lines.held(now)),
                waiting: contents.lines.waiting(),
                waited: contents.lines.waited(),
                refusing: contents.refusing.clients(contents, config, now),
                size,
                capacity,
            }
        })
    }

    /// Calls admitted, refused, and refused in a dry run, over all threads. Unlike [`stats`](Self::stats) it reads no table.
    ///
    /// # Errors
    ///
    /// The limiter is destroyed.
    pub fn calls(&self) -> Result<[u64; 3]> {
        let contents = self.enter()?;
        let sum = |counter| contents.counters.sum(counter).wrapping_add(self.counts_of_handles.sum(counter));
        Ok([ALLOWED, REFUSED, DRY_REFUSED].map(sum))
    }

    /// Prefetches the memory of a key that is about to be used.
    #[inline]
    pub fn prefetch(&self, key: KeyHash) {
        if let Some(contents) = self.contents.enter() {
            contents.prefetch(key);
        }
    }

    /// Runs `body` on a call that is made without a thread-local handle.
    pub(super) fn call<R>(&self, body: impl FnOnce(&Call<'_, ShardedCounters<COUNTERS>>) -> R) -> Result<R> {
        let epoch = self.check_open()?;
        let contents = self.enter()?;
        let config = self.in_force.load();
        Ok(body(&Call {
            epoch,
            config: &config,
            in_force: &self.in_force,
            contents: &contents,
            counts: &contents.counters,
        }))
    }

    pub(super) fn enter(&self) -> Result<Inside<'_, Contents>> {
        self.contents.enter().ok_or_else(|| self.closed())
    }

    /// A call that races with `destroy` may still be answered.
    pub(super) fn check_open(&self) -> Result<ConfigEpoch> {
        let epoch = self.in_force.epoch();
        self.in_force.follow();
        if epoch.is_closed() { Err(self.closed()) } else { Ok(epoch) }
    }

    pub(super) fn closed(&self) -> Error {
        Error::Closed { name: self.name.clone() }
    }
}

#[inline]
pub(super) fn check_cost(cost: u64) -> Result<()> {
    if cost == 0 || cost > MAX_SAFE_INTEGER {
        return Err(Error::InvalidCost { given: cost.to_string() });
    }
    Ok(())
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter").field("name", &self.name).finish_non_exhaustive()
    }
}
