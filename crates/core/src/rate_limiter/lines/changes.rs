//! What changes a key otherwise than by charging it: of a key in whose line calls wait, what it had used before them.
//!
//! Such a change finds the key held, takes the lock of its line, and lays the line anew. Where no call waits it changes the
//! table as it would without the lock, under which no line can begin.

use super::{AtKey, KeyLine, Shard, at_key, hold, published};
use crate::key_table::{Cell, Client, Step, Words};
use crate::rate_limiter::call::Call;
use crate::rate_limiter::config::Rule;
use crate::rate_limiter::contents::with_table;
use crate::rate_limiter::counts::UNTRACKED;
use crate::rate_limiter::decision::lifetime;
use crate::rate_limiter::line::LineWords;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;
use crate::runtime::sharded_counters::Count;
use crate::runtime::sync::full_barrier;

/// What an operation makes, at a time, of the word of a limit, which has this place among the limits.
pub(in crate::rate_limiter) trait OnWord: Fn(&Rule, usize, u64, u64) -> u64 {}

impl<F: Fn(&Rule, usize, u64, u64) -> u64> OnWord for F {}

/// Whose words an operation may change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// Those that no line holds.
    Free,
    /// Any: the caller has the lock, and no call waits.
    All,
}

impl<C: Count> Call<'_, C> {
    /// Changes the words of a key that is in the table.
    pub(in crate::rate_limiter) fn adjust(&self, key: KeyHash, now: u64, change: impl OnWord) {
        with_table!(self.contents, table => {
            let adjust = |keys| {
                let written = table.update_existing(key, |client| {
                    if keys == Keys::Free && self.may_be_held(client, now) {
                        return Step::Keep(None);
                    }
                    let words = each_by_place(&self.config.rules, client.words, now, &change);
                    Step::Write(words, Some(words))
                });
                // A key that is not in the table has nothing to change.
                let is_done = !matches!(written, Some(None));
                self.settle(table, key, now, written.flatten());
                is_done
            };
            if !adjust(Keys::Free) {
                self.before_the_line(key, now, &change, || { adjust(Keys::All); });
            }
        });
    }

    /// As [`adjust`](Self::adjust), of a key that is inserted if need be.
    pub(in crate::rate_limiter) fn charge_anyway(&self, key: KeyHash, now: u64, change: impl OnWord) {
        let rules = &self.config.rules;
        with_table!(self.contents, table => {
            let charge = |keys| {
                let decide = |client: &Client<_>, now| {
                    if keys == Keys::Free && self.may_be_held(client, now) {
                        return Step::Keep(None);
                    }
                    let words = each_by_place(rules, client.words, now, &change);
                    Step::Write(words, Some(words))
                };
                match table.update(key, now, |words, now| lifetime(rules, words, now), decide) {
                    Ok(written) => {
                        self.settle(table, key, now, written);
                        written.is_some()
                    }
                    Err(_) => {
                        self.counts.count(UNTRACKED);
                        true
                    }
                }
            };
            if !charge(Keys::Free) {
                self.before_the_line(key, now, &change, || { charge(Keys::All); });
            }
        });
    }

    /// Blocks a key until `until`; false where the table has no slot for it.
    pub(in crate::rate_limiter) fn block_until(&self, key: KeyHash, until: u64, now: u64) -> bool {
        let lines = &self.contents.lines;
        if !lines.any() {
            let blocked = self.block_directly(key, until, now);
            // The block before the look at the lines: a call that begins one enters, and then reads the block.
            full_barrier();
            if planted!(BlockIgnoresLine) || !lines.any() {
                return blocked;
            }
        }
        let mut shard = lines.shard(key).lock();
        let is_done = at_key!(self, key, now, at => {
            at.change(&mut shard, |_, blocked_until| *blocked_until = until.max(*blocked_until))
        });
        is_done || self.block_directly(key, until, now)
    }

    /// Removes the state of a key and its block; true where there was any.
    pub(in crate::rate_limiter) fn forget(&self, key: KeyHash, now: u64) -> bool {
        let rules = &self.config.rules;
        with_table!(self.contents, table => {
            let is_live = |client: &Client<_>| client.lifetime(now, |words, now| lifetime(rules, words, now)) > 0;
            match table.reset_unless(key, |client| self.may_be_held(client, now)) {
                None => false,
                Some((client, true)) => is_live(&client),
                Some((_, false)) => {
                    let mut shard = self.contents.lines.shard(key).lock();
                    let is_done = at_key!(self, key, now, at => {
                        at.change(&mut shard, |words, blocked_until| {
                            (*words, *blocked_until) = (LineWords::default(), 0);
                        })
                    });
                    is_done || table.reset(key).is_some_and(|client| is_live(&client))
                }
            }
        })
    }

    fn block_directly(&self, key: KeyHash, until: u64, now: u64) -> bool {
        let rules = &self.config.rules;
        with_table!(self.contents, table => {
            table.block(key, until, now, |words, now| lifetime(rules, words, now)).is_ok()
        })
    }

    /// Changes what a key had used before its line, or runs `otherwise` where no call waits.
    fn before_the_line(&self, key: KeyHash, now: u64, change: &impl OnWord, otherwise: impl FnOnce()) {
        let mut shard = self.contents.lines.shard(key).lock();
        let is_done = at_key!(self, key, now, at => {
            let rules = &at.config.rules;
            at.change(&mut shard, |words, _| *words = each_by_place(rules, *words, now, change))
        });
        if !is_done {
            otherwise();
        }
    }

    /// A line may hold the key: then its lock says whether one does.
    fn may_be_held<W>(&self, client: &Client<W>, now: u64) -> bool {
        !planted!(HeldWordsChanged) && client.blocked_until > now && self.contents.lines.any()
    }
}

impl<C: Cell> AtKey<'_, C> {
    /// Changes the words before the line and the user's block, and lays the line anew. False, and nothing is changed, where
    /// no call waits.
    pub(super) fn change(&self, shard: &mut Shard, change: impl Fn(&mut LineWords, &mut u64)) -> bool {
        self.change_line(shard, |line| {
            line.change(&self.config.rules, self.now, change, &mut |event| self.tell(event));
        })
    }

    /// Changes a line in which calls wait. False, and nothing is changed, where none does.
    pub(super) fn change_line(&self, shard: &mut Shard, change: impl FnOnce(&mut KeyLine)) -> bool {
        if !self.catch_up(shard) {
            return false;
        }
        let Some(line) = shard.get_mut(&self.key) else { return false };
        let before = published(line);
        // As it is: where a later clock has charged the key, its line has passed.
        if !self.table.hold(self.key, &hold::<C::Words>(before, before)) {
            self.pass(line);
            self.conclude(shard, before);
            return false;
        }
        change(line);
        line.serve(self.now, &mut |event| self.tell(event));
        self.conclude(shard, before);
        true
    }
}

fn each_by_place<W: Words>(rules: &[Rule], mut words: W, now: u64, change: &impl OnWord) -> W {
    for (index, (rule, word)) in rules.iter().zip(words.as_mut()).enumerate() {
        *word = change(rule, index, *word, now);
    }
    words
}
