//! A thread's own handle to a limiter that it calls often.

use crate::key_table::Charged;
use std::fmt;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::call::Call;
use super::config::RateLimiterConfig;
use super::config_epoch::ConfigEpoch;
use super::contents::{Contents, KeyTable};
use super::counts::LocalCounts;
use super::decision::Decision;
use super::gcra::Gcra;
use super::limiter::{RateLimiter, check_cost};
use super::quick::Ordinary;
use crate::Result;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::retire::Handle;

/// Keys whose memory is prefetched at once: a few more than a core has loads in flight.
const PREFETCHED: usize = 32;

/// One thread's handle to a limiter: the config in force, and counters that no other thread writes. Calls do what those
/// of the limiter do, and cost less. It keeps no table once the limiter is destroyed.
pub struct LocalHandle {
    limiter: Arc<RateLimiter>,
    contents: Handle<Contents>,
    config: Arc<RateLimiterConfig>,
    epoch: ConfigEpoch,
    counts: LocalCounts,
}

impl LocalHandle {
    /// A handle for the calling thread.
    #[must_use]
    pub fn new(limiter: Arc<RateLimiter>) -> Self {
        // The epoch first: the next call notices a config that comes later.
        let epoch = limiter.in_force.epoch();
        limiter.in_force.follow();
        let (config, counts) = (limiter.config(), limiter.counts_of_handles.register());
        let contents = Handle::new(Arc::clone(&limiter.contents));
        Self { limiter, contents, config, epoch, counts }
    }

    /// The limiter, for calls that are not made for every request.
    #[must_use]
    pub fn limiter(&self) -> &Arc<RateLimiter> {
        &self.limiter
    }

    /// Whether calls pass that a live limiter would refuse, by the config that this handle has.
    #[inline]
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.config.options.dry_run
    }

    /// As [`RateLimiter::try_consume`].
    ///
    /// # Errors
    ///
    /// As of [`RateLimiter::try_consume`].
    #[inline]
    pub fn try_consume(&mut self, key: KeyHash, cost: u64, now: u64) -> Result<bool> {
        match self.charge_gcra_at_once(key, cost, now) {
            Some((_, charged)) => Ok(!charged.is_refused),
            None => self.try_consume_otherwise(key, cost, now),
        }
    }

    /// As [`RateLimiter::consume`]. Inlined, so that unused fields of the decision are optimised away.
    ///
    /// # Errors
    ///
    /// As of [`RateLimiter::consume`].
    #[inline(always)]
    pub fn consume(&mut self, key: KeyHash, cost: u64, now: u64) -> Result<Decision> {
        let decision = match self.charge_gcra_at_once(key, cost, now) {
            Some((rate, charged)) => self.config.describe(Algorithm::Gcra(rate), (cost, now), &charged),
            // Moved out of the result, so that the decision above stays in registers.
            None => self.consume_otherwise(key, cost, now)?,
        };
        Ok(decision)
    }

    /// As [`consume`](Self::consume), where the call would be admitted; else `None`, and nothing is charged or counted.
    ///
    /// # Errors
    ///
    /// As of [`RateLimiter::consume`].
    pub fn consume_at_once(&mut self, key: KeyHash, cost: u64, now: u64) -> Result<Option<Decision>> {
        check_cost(cost)?;
        self.keep_up()?;
        if self.config.options.dry_run {
            return self.consume(key, cost, now).map(Some);
        }
        self.call(|call| call.consume_at_once(key, cost, now))
    }

    /// As [`RateLimiter::consume_with_limit`].
    ///
    /// # Errors
    ///
    /// As of [`RateLimiter::consume_with_limit`].
    pub fn consume_with_limit(&mut self, key: KeyHash, cost: u64, limit: u64, now: u64) -> Result<Decision> {
        check_cost(cost)?;
        self.call(|call| call.consume_with_limit(key, cost, limit, now))?
    }

    /// As [`RateLimiter::peek`].
    ///
    /// # Errors
    ///
    /// As of [`RateLimiter::peek`].
    pub fn peek(&mut self, key: KeyHash, now: u64) -> Result<Decision> {
        self.call(|call| call.peek(key, now))
    }

    /// [`try_consume`](Self::try_consume) for each key; `answer` gets the results in order. The keys' memory is loaded
    /// in parallel.
    ///
    /// # Errors
    ///
    /// As of [`RateLimiter::try_consume`].
    pub fn try_consume_many(
        &mut self,
        keys: &[KeyHash],
        cost: u64,
        now: u64,
        mut answer: impl FnMut(bool),
    ) -> Result<()> {
        for batch in keys.chunks(PREFETCHED) {
            let mut left = batch.iter();
            while !left.as_slice().is_empty() {
                self.call(|call| {
                    check_cost(cost)?;
                    call.try_consume_each(&mut left, cost, now, &mut answer);
                    Ok(())
                })??;
            }
        }
        Ok(())
    }

    /// Moves to the limiter that replaced this one, if any did.
    pub fn follow(&mut self) {
        while let Some(successor) = self.limiter.successor() {
            *self = Self::new(Arc::clone(successor));
        }
    }

    /// Charges a key if the call is ordinary. `None`: it is not, and nothing was done. `admit` gives the key's word after
    /// the call, or refuses it.
    #[inline(always)]
    fn charge_at_once(
        &mut self,
        key: KeyHash,
        now: u64,
        admit: impl Fn(&Ordinary, u64) -> Option<u64>,
    ) -> Option<Charged> {
        if self.limiter.in_force.epoch() != self.epoch {
            return None;
        }
        let contents = self.contents.enter()?;
        let KeyTable::Single(table) = &contents.table else { return None };
        let charged = table.charge_at_once(key, |word| admit(&self.config.ordinary, word))?;
        // Not by `call`, whose closure might not be inlined, and made late, so that nothing of it is kept in a register
        // before.
        let call = Call {
            epoch: self.epoch,
            config: &self.config,
            in_force: &self.limiter.in_force,
            contents: &contents,
            counts: &self.counts,
        };
        call.finish_at_once(table, key, now, &charged);
        Some(charged)
    }

    /// As [`charge_at_once`](Self::charge_at_once), by GCRA.
    #[inline(always)]
    fn charge_gcra_at_once(&mut self, key: KeyHash, cost: u64, now: u64) -> Option<(Gcra, Charged)> {
        let rate = self.config.ordinary.gcra(cost)?;
        let charged = self.charge_at_once(key, now, |_, word| rate.decide(word, now, cost).ok())?;
        Some((rate, charged))
    }

    /// As [`charge_at_once`](Self::charge_at_once), by a window.
    #[inline(always)]
    fn charge_window_at_once(&mut self, key: KeyHash, cost: u64, now: u64) -> Option<Charged> {
        if !self.config.ordinary.is_window(cost) {
            return None;
        }
        self.charge_at_once(key, now, |ordinary, word| ordinary.algorithm.admit(word, now, cost))
    }

    /// Any call but an ordinary one by GCRA. Out of line, so that what that needs stays in registers.
    #[inline(never)]
    fn try_consume_otherwise(&mut self, key: KeyHash, cost: u64, now: u64) -> Result<bool> {
        match self.charge_window_at_once(key, cost, now) {
            Some(charged) => Ok(!charged.is_refused),
            None => self.try_consume_in_full(key, cost, now),
        }
    }

    #[inline(never)]
    fn try_consume_in_full(&mut self, key: KeyHash, cost: u64, now: u64) -> Result<bool> {
        check_cost(cost)?;
        self.call(|call| call.try_consume(key, cost, now))
    }

    /// As [`try_consume_otherwise`](Self::try_consume_otherwise).
    #[inline(never)]
    fn consume_otherwise(&mut self, key: KeyHash, cost: u64, now: u64) -> Result<Decision> {
        match self.charge_window_at_once(key, cost, now) {
            Some(charged) => Ok(self.config.describe_window((cost, now), &charged)),
            None => self.consume_in_full(key, cost, now),
        }
    }

    #[inline(never)]
    fn consume_in_full(&mut self, key: KeyHash, cost: u64, now: u64) -> Result<Decision> {
        check_cost(cost)?;
        self.call(|call| call.consume(key, cost, now))
    }

    #[inline(always)]
    fn call<R>(&mut self, body: impl FnOnce(&Call<'_, LocalCounts>) -> R) -> Result<R> {
        self.keep_up()?;
        let Some(contents) = self.contents.enter() else { return Err(self.limiter.closed()) };
        Ok(body(&Call {
            epoch: self.epoch,
            config: &self.config,
            in_force: &self.limiter.in_force,
            contents: &contents,
            counts: &self.counts,
        }))
    }

    #[inline]
    fn keep_up(&mut self) -> Result<()> {
        if self.limiter.in_force.epoch() == self.epoch { Ok(()) } else { self.catch_up() }
    }

    #[cold]
    fn catch_up(&mut self) -> Result<()> {
        self.follow();
        self.epoch = self.limiter.check_open()?;
        self.config = self.limiter.config();
        Ok(())
    }
}

impl Drop for LocalHandle {
    fn drop(&mut self) {
        self.limiter.counts_of_handles.unregister(&self.counts);
    }
}

impl fmt::Debug for LocalHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalHandle").field("limiter", &self.limiter).finish_non_exhaustive()
    }
}
