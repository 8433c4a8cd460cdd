//! What one call does to its key: decide, commit, and adopt a config that came meanwhile.

use super::algorithm::ChargedAt;
use super::config::RateLimiterConfig;
use super::config_epoch::ConfigEpoch;
use super::contents::{Contents, with_table};
use super::counts::{ALLOWED, UNTRACKED, count, overflow_refuses};
use super::decision::{self, Charge, Decision, Receipt, admit, each, lifetime};
use super::in_force::ConfigInForce;
use crate::Result;
use crate::key_table::{Cell, Client, Step, Table};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;
use crate::runtime::sharded_counters::Count;
use crate::runtime::sync::full_barrier;

/// A call: the config it is decided by, and where its key and its counters are.
pub(super) struct Call<'a, C> {
    /// Read before `config`.
    pub(super) epoch: ConfigEpoch,
    pub(super) config: &'a RateLimiterConfig,
    /// Where a later config is found.
    pub(super) in_force: &'a ConfigInForce,
    pub(super) contents: &'a Contents,
    pub(super) counts: &'a C,
}

impl<C: Count> Call<'_, C> {
    /// Charges `cost` units if they are available; true when the call is admitted.
    #[inline(never)]
    pub(super) fn try_consume(&self, key: KeyHash, cost: u64, now: u64) -> bool {
        let rules = &self.config.rules;
        let refused = with_table!(self.contents, table => {
            let decide = |client: &Client<_>, now| match admit(rules, client, cost, now) {
                Some(words) => Step::Write(words, Some(words)),
                None => Step::Keep(None),
            };
            let written = table.update(key, now, |words, now| lifetime(rules, words, now), decide);
            written.map(|written| {
                self.settle(table, key, now, written);
                written.is_none()
            })
        });
        let refused = refused.unwrap_or_else(|_| overflow_refuses(self.config, self.counts));
        count(refused, self.config, self.counts)
    }

    /// As [`try_consume`](Self::try_consume), with the whole decision. Inlined, so that unused fields of the decision
    /// are optimised away.
    #[inline(always)]
    pub(super) fn consume(&self, key: KeyHash, cost: u64, now: u64) -> Decision {
        let config = self.config;
        let rules = &config.rules;
        let decision = with_table!(self.contents, table => {
            let mut charge = Charge::default();
            let decide = |client: &Client<_>, now| decision::charge(rules, client, cost, now, &mut charge);
            let charged = table.update(key, now, |words, now| lifetime(rules, words, now), decide);
            charged.map(|()| {
                self.settle(table, key, now, charge.written());
                charge.describe(config)
            })
        });
        let decision = decision.unwrap_or_else(|full| {
            Decision::of_full_table(&full, config, overflow_refuses(config, self.counts), now)
        });
        count(!decision.allowed, config, self.counts);
        decision.pass_if_dry(config)
    }

    /// As [`consume`](Self::consume), where the call is admitted; else `None`, and nothing is charged or counted.
    pub(super) fn consume_if_admitted(&self, key: KeyHash, cost: u64, now: u64) -> Option<Decision> {
        let rules = &self.config.rules;
        let decision = with_table!(self.contents, table => {
            let mut charge = Charge::default();
            let decide = |client: &Client<_>, now| decision::charge(rules, client, cost, now, &mut charge);
            table.update(key, now, |words, now| lifetime(rules, words, now), decide).ok()?;
            self.settle(table, key, now, Some(charge.written()?));
            charge.describe(self.config)
        });
        self.counts.count(ALLOWED);
        Some(decision)
    }

    /// As [`consume`](Self::consume), with `limit` in place of the configured one.
    pub(super) fn consume_with_limit(
        &self,
        key: KeyHash,
        cost: u64,
        limit: u64,
        now: u64,
    ) -> Result<Decision> {
        let config = self.config.with_limit(limit)?;
        Ok(Call { config: &config, ..*self }.consume(key, cost, now))
    }

    /// What a call of cost 1 would come to; charges and counts nothing.
    pub(super) fn peek(&self, key: KeyHash, now: u64) -> Decision {
        let config = self.config;
        let decision = with_table!(self.contents, table => {
            let client = table.get(key).unwrap_or_default();
            decision::foresee(&config.rules, client, 1, now).describe(config)
        });
        decision.pass_if_dry(config)
    }

    pub(super) fn refund(&self, key: KeyHash, cost: u64, now: u64) {
        self.adjust(key, now, |rule, _, word, now| rule.algorithm.refund(word, now, cost));
    }

    /// Takes back the charge that `receipt` is of, by the limit that decided it.
    pub(super) fn undo(&self, key: KeyHash, cost: u64, receipt: &Receipt, now: u64) {
        let own = self.config.of_limit(receipt.limit);
        self.adjust(key, now, |rule, index, word, now| {
            let algorithm = own.as_ref().map_or(rule.algorithm, |own| own.rules[index].algorithm);
            algorithm.undo(word, now, cost, ChargedAt { at: receipt.at, settles: receipt.settles[index] })
        });
    }

    pub(super) fn penalize(&self, key: KeyHash, cost: u64, now: u64) {
        self.charge_anyway(key, now, |rule, _, word, now| rule.algorithm.penalize(word, now, cost));
    }

    /// False, and counted, when the table has no slot for the key.
    pub(super) fn block(&self, key: KeyHash, until: u64, now: u64) -> bool {
        let is_kept = self.block_until(key, until, now);
        if !is_kept {
            self.counts.count(UNTRACKED);
        }
        is_kept
    }

    /// True when there was state or a block to remove.
    pub(super) fn reset(&self, key: KeyHash, now: u64) -> bool {
        self.forget(key, now)
    }

    /// After the call has written: adopts a config that came meanwhile.
    #[inline]
    pub(super) fn settle<S: Cell>(
        &self,
        table: &Table<S>,
        key: KeyHash,
        now: u64,
        written: Option<S::Words>,
    ) {
        let Some(words) = written else { return };
        // The write before the look at the epoch.
        full_barrier();
        if !planted!(EpochNotReadAgain) && self.in_force.epoch() != self.epoch {
            adopt_one(table, self.in_force, key, now, words);
        }
    }
}

/// Cuts what the call itself has written, and nothing that came later: other calls may have charged by a later clock and
/// the config in force, and were admitted on top of no more than that config leaves.
#[cold]
fn adopt_one<S: Cell>(table: &Table<S>, in_force: &ConfigInForce, key: KeyHash, now: u64, written: S::Words) {
    in_force.follow();
    let config = in_force.load();
    table.update_existing(key, |client| {
        let adopted = each(&config.rules, client.words, |rule, word| rule.algorithm.adopt(word, now));
        if client.words == written { Step::Write(adopted, ()) } else { Step::Keep(()) }
    });
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;
    use crate::rate_limiter::contents::KeyTable;
    use crate::rate_limiter::{RateLimiterConfig, RateLimiterOptions};
    use crate::runtime::clock::MS;
    use crate::runtime::key_hash::hash_str;

    /// A call that was suspended while the config was replaced knows only an old time.
    #[test]
    fn a_call_that_settles_late_takes_no_later_charge_back() {
        let config = || RateLimiterConfig::try_from(RateLimiterOptions::single(10, 10)).expect("valid");
        let (old, contents) = (config(), Contents::new(&config()).expect("room"));
        let in_force = ConfigInForce::new(config());
        let call = || Call {
            epoch: in_force.epoch(),
            config: &old,
            in_force: &in_force,
            contents: &contents,
            counts: &contents.counters,
        };
        let (key, late) = (hash_str("client"), call());
        assert!(late.try_consume(key, 10, 0));
        let KeyTable::Single(table) = &contents.table else { panic!("one limit") };
        let written = table.get(key).map(|client| client.words);

        assert!(in_force.replace(&config(), config().into()));
        contents.adopt(&in_force.load(), u64::MAX, &|| false, &|| 0);
        assert!(call().try_consume(key, 10, 10 * MS));
        late.settle(table, key, 0, written);
        assert!(!call().try_consume(key, 1, 10 * MS), "the burst was used at this time");
    }
}
