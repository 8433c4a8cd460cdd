//! The quick path: most calls are ordinary, and an ordinary call needs little of what a call can do.
//!
//! A call is ordinary where all of these hold:
//!
//! | what | is | tested by |
//! |---|---|---|
//! | limits | one, live | [`Ordinary::of`], once per config |
//! | cost | at least 1, at most the capacity | [`Ordinary::covers`] |
//! | config | in force | the config epoch |
//! | limiter | not destroyed | [`Handle::enter`](crate::runtime::retire::Handle::enter) |
//! | key | found at the first look | `Slots::find_likely` |
//! | state | charged, never blocked | `State::ordinary_word` |
//! | other threads | none comes between look and exchange | the exchange, the tag |
//!
//! It decides by the same pure functions as every call, commits by one exchange, and then does what every call does:
//! counts, and adopts a config that came meanwhile. Any other call has done nothing here, and is made as a
//! [`Call`](super::call::Call) in full.

use crate::key_table::{Charged, Single, Table};
use std::slice;

use super::algorithm::Algorithm;
use super::call::Call;
use super::config::{RateLimiterConfig, Rule};
use super::contents::KeyTable;
use super::counts::{ALLOWED, REFUSED};
use super::decision::{Decision, Described, Outcome, Receipt};
use super::gcra::Gcra;
use super::options::MAX_LIMITS;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;
use crate::runtime::sharded_counters::Count;

/// What ordinary calls need of a config.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ordinary {
    /// The largest cost of an ordinary call; 0 where no call is ordinary.
    most: u64,
    limit: u64,
    pub(super) algorithm: Algorithm,
}

impl Ordinary {
    pub(super) fn of(rules: &[Rule], dry_run: bool) -> Self {
        let Rule { limit, algorithm, .. } = rules[0];
        let is_ordinary = rules.len() == 1 && !dry_run;
        Self { most: if is_ordinary { algorithm.capacity() } else { 0 }, limit, algorithm }
    }

    /// The rate by which a call of this cost is decided, where it is GCRA.
    #[inline(always)]
    pub(super) fn gcra(&self, cost: u64) -> Option<Gcra> {
        match self.algorithm {
            Algorithm::Gcra(rate) if self.covers(cost) => Some(rate),
            _ => None,
        }
    }

    /// Whether a call of this cost is decided by a window.
    #[inline(always)]
    pub(super) fn is_window(&self, cost: u64) -> bool {
        self.covers(cost) && !matches!(self.algorithm, Algorithm::Gcra(_))
    }

    #[inline(always)]
    fn covers(&self, cost: u64) -> bool {
        cost.wrapping_sub(1) < self.most
    }
}

impl RateLimiterConfig {
    /// The decision of an ordinary call: its cost and time are in `call`. `algorithm` is the one of this config. Where a
    /// caller names which one it is, the others are optimised away.
    #[inline(always)]
    pub(super) fn describe(&self, algorithm: Algorithm, call: (u64, u64), charged: &Charged) -> Decision {
        let (&Charged { word, is_refused }, (cost, now)) = (charged, call);
        let limit = self.ordinary.limit;
        let mut settles = [0; MAX_LIMITS];
        settles[0] = now + algorithm.reset_after(word, now);
        let refused = if is_refused { algorithm.decide(word, now, cost).err() } else { None };
        let outcome = Outcome { word, now, refused, block: 0 };
        let described = Described { policy: 0, limit, algorithm: &algorithm, generation: self.generation };
        described.decision(&outcome, Receipt { at: now, limit, settles })
    }

    /// As [`describe`](Self::describe), where the algorithm is a window. Each is named: what the fields of a decision have
    /// in common is then computed once.
    pub(super) fn describe_window(&self, call: (u64, u64), charged: &Charged) -> Decision {
        match self.ordinary.algorithm {
            Algorithm::SlidingWindow(rate) => self.describe(Algorithm::SlidingWindow(rate), call, charged),
            algorithm => self.describe(algorithm, call, charged),
        }
    }
}

impl<C: Count> Call<'_, C> {
    /// Charges a key if the call is ordinary. `None`: it is not, and nothing was done. `decide` gives the key's word after
    /// the call, or refuses it.
    #[inline(always)]
    pub(super) fn charge_at_once(
        &self,
        key: KeyHash,
        now: u64,
        decide: impl Fn(u64) -> Option<u64>,
    ) -> Option<Charged> {
        let KeyTable::Single(table) = &self.contents.table else { return None };
        let charged = table.charge_at_once(key, decide)?;
        self.finish_at_once(table, key, now, &charged);
        Some(charged)
    }

    /// As [`consume`](Self::consume), where the call is admitted; else `None`, and nothing is charged or counted.
    pub(super) fn consume_at_once(&self, key: KeyHash, cost: u64, now: u64) -> Option<Decision> {
        let ordinary = &self.config.ordinary;
        let charged = match &self.contents.table {
            KeyTable::Single(table) if ordinary.covers(cost) => {
                let charged = table.charge_at_once(key, |word| ordinary.algorithm.admit(word, now, cost));
                charged.inspect(|charged| {
                    if !charged.is_refused {
                        self.finish_at_once(table, key, now, charged);
                    }
                })
            }
            _ => None,
        };
        match charged {
            Some(charged) if charged.is_refused => None,
            Some(charged) => Some(self.config.describe(ordinary.algorithm, (cost, now), &charged)),
            None => self.consume_if_admitted(key, cost, now),
        }
    }

    /// What every call does after it has charged or refused its key: adopts a config that came meanwhile, and counts.
    #[inline(always)]
    pub(super) fn finish_at_once(&self, table: &Table<Single>, key: KeyHash, now: u64, charged: &Charged) {
        if charged.is_refused {
            self.counts.count(REFUSED);
        } else {
            if !planted!(QuickEpochNotReadAgain) {
                self.settle(table, key, now, Some([charged.word]));
            }
            self.counts.count(ALLOWED);
        }
    }

    /// [`try_consume`](Self::try_consume) for each key in order, until another config comes into force. The keys' memory
    /// is loaded in parallel.
    pub(super) fn try_consume_each(
        &self,
        keys: &mut slice::Iter<'_, KeyHash>,
        cost: u64,
        now: u64,
        answer: &mut impl FnMut(bool),
    ) {
        keys.as_slice().iter().for_each(|key| self.contents.prefetch(*key));
        let ordinary = &self.config.ordinary;
        let is_ordinary = ordinary.covers(cost);
        for key in keys {
            let admit = |word| ordinary.algorithm.admit(word, now, cost);
            let charged = if is_ordinary { self.charge_at_once(*key, now, admit) } else { None };
            answer(match charged {
                Some(charged) => !charged.is_refused,
                None => self.try_consume(*key, cost, now),
            });
            if self.in_force.epoch() != self.epoch {
                break;
            }
        }
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod differential;
