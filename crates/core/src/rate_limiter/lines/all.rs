//! What concerns all lines of a limiter: other options, a clock that is set back, the end of a thread, the end of it all.

use std::collections::HashSet;
use std::ops::DerefMut;

use super::{AtKey, Event, KeyLine, Lines, Shard, Ticket, Waiter, at_key};
use crate::key_table::{Cell, Table};
use crate::rate_limiter::config::RateLimiterConfig;
use crate::rate_limiter::contents::{Contents, with_table};
use crate::rate_limiter::decision::each;
use crate::rate_limiter::limiter::RateLimiter;
use crate::rate_limiter::line::LineWords;
use crate::rate_limiter::waits::WaitOutcome;
use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::planted::planted;
use crate::runtime::sync::Mutex;

impl Contents {
    /// Cuts what keys have used to what `config` could have left, and lays their lines anew. New keys count from `latest` at
    /// the latest. Once `is_replaced`, keys stay as they are: they may be charged by a later config, which has a pass of
    /// its own.
    pub(in crate::rate_limiter) fn adopt(
        &self,
        config: &RateLimiterConfig,
        latest: u64,
        is_replaced: &dyn Fn() -> bool,
        clock: &dyn Fn() -> u64,
    ) {
        let adopted = |words: &mut LineWords, now| {
            *words = each(&config.rules, *words, |rule, word| rule.algorithm.adopt(word, now));
        };
        let change = |line: &mut KeyLine, change: &LineChange<'_>| {
            let now = change.now;
            line.change(&config.rules, now, |words, _| adopted(words, now), &mut |event| {
                (change.tell)(event)
            });
        };
        self.adopt_with(config, latest, is_replaced, clock, &change);
    }

    /// As [`adopt`](Self::adopt), after a test set the clock back: calls that wait, wait as long as before.
    pub(in crate::rate_limiter) fn set_back(&self, config: &RateLimiterConfig, set_back: SetBack) {
        let change = |line: &mut KeyLine, change: &LineChange<'_>| {
            line.set_back(&config.rules, |time| set_back.moved(time), &mut |event| (change.tell)(event));
        };
        self.adopt_with(config, set_back.now, &|| false, &|| set_back.now, &change);
    }

    fn adopt_with(
        &self,
        config: &RateLimiterConfig,
        latest: u64,
        is_replaced: &dyn Fn() -> bool,
        clock: &dyn Fn() -> u64,
        change: &dyn Fn(&mut KeyLine, &LineChange<'_>),
    ) {
        // No line begins before the end.
        let mut shards: Vec<_> = self.lines.shards.iter().map(Mutex::lock).collect();
        with_table!(self, table => {
            let held = places(table, &shards);
            table.adapt_unless(|place| held.contains(&place), latest, |words| {
                // Both are read after the words, so no charge was made by a later clock or a later config.
                let now = clock();
                if is_replaced() {
                    return *words;
                }
                each(&config.rules, *words, |rule, word| rule.algorithm.adopt(word, now))
            });
            self.each_line(table, config, &mut shards, clock, change);
        });
        self.refusing.forget();
    }

    /// Removes every key. Calls that wait are placed as if nothing had been used before them.
    pub(in crate::rate_limiter) fn clear(&self, config: &RateLimiterConfig, now: u64) {
        let mut shards: Vec<_> = self.lines.shards.iter().map(Mutex::lock).collect();
        let change = |line: &mut KeyLine, change: &LineChange<'_>| {
            let forget =
                |words: &mut LineWords, block: &mut u64| (*words, *block) = (LineWords::default(), 0);
            line.change(&config.rules, change.now, forget, &mut |event| (change.tell)(event));
        };
        with_table!(self, table => {
            let held = places(table, &shards);
            table.clear_unless(|place| held.contains(&place));
            self.each_line(table, config, &mut shards, &|| now, &change);
        });
        self.refusing.forget();
    }

    /// Removes every key, sets the counters to 0, and ends all waiting.
    pub(in crate::rate_limiter) fn reset(&self) {
        let mut shards: Vec<_> = self.lines.shards.iter().map(Mutex::lock).collect();
        shards.iter_mut().for_each(|shard| self.lines.close_shard(shard));
        self.lines.begin_anew();
        with_table!(self, table => table.reset_all());
        self.refusing.forget();
        self.counters.reset();
    }

    /// Changes every line in which calls wait.
    fn each_line<C: Cell>(
        &self,
        table: &Table<C>,
        config: &RateLimiterConfig,
        shards: &mut [impl DerefMut<Target = Shard>],
        clock: &dyn Fn() -> u64,
        change: &dyn Fn(&mut KeyLine, &LineChange<'_>),
    ) {
        for shard in shards {
            let keys: Vec<KeyHash> = shard.keys().copied().collect();
            for key in keys {
                let now = clock();
                let at = AtKey { contents: self, table, config, key, now };
                at.change_line(shard, |line| {
                    change(line, &LineChange { now, tell: &|event| at.tell(event) });
                });
            }
        }
    }
}

/// What a change of a line needs.
struct LineChange<'a> {
    now: u64,
    tell: &'a dyn Fn(Event<'_, Waiter>),
}

/// The places of all keys that lines hold.
fn places<C: Cell>(table: &Table<C>, shards: &[impl DerefMut<Target = Shard>]) -> HashSet<usize> {
    if planted!(HeldWordsAdopted) {
        return HashSet::new();
    }
    shards.iter().flat_map(|shard| shard.keys()).filter_map(|key| table.place_of(*key)).collect()
}

impl Lines {
    /// Ends all waiting: the limiter is destroyed, and lets no call in.
    pub(in crate::rate_limiter) fn close(&self) {
        self.shards.iter().for_each(|shard| self.close_shard(&mut shard.lock()));
    }

    /// All calls of a thread leave a line. Whether it is to be served or laid anew, also for those that have left before.
    fn leave_all(&self, line: &mut KeyLine, thread: ThreadId, now: u64) -> bool {
        let of_thread = |ticket: &&Ticket<Waiter>| ticket.waiter.waits.thread() == thread;
        let ids: Vec<_> = line.tickets().filter(of_thread).map(|ticket| ticket.id).collect();
        for id in ids {
            if line.leave(id, now) {
                self.one_less();
            }
        }
        line.is_stale() || line.is_due(now)
    }

    fn close_shard(&self, shard: &mut Shard) {
        for (_, line) in shard.drain() {
            self.end();
            for ticket in line.into_tickets() {
                self.one_less();
                ticket.waiter.waits.end(ticket.id, WaitOutcome::Closed);
            }
        }
    }
}

impl RateLimiter {
    /// The calls of a thread that ended leave their lines, and those behind move ahead.
    pub(in crate::rate_limiter) fn end_waits_of(&self, thread: ThreadId, now: u64) {
        // A limiter that is destroyed has no lines.
        let _ = self.call(|call| {
            let lines = &call.contents.lines;
            if !lines.any() {
                return;
            }
            for shard in &lines.shards {
                let shard = &mut shard.lock();
                let left: Vec<KeyHash> = shard
                    .iter_mut()
                    .filter_map(|(key, line)| lines.leave_all(line, thread, now).then_some(*key))
                    .collect();
                for key in left {
                    at_key!(call, key, now, at => at.catch_up(shard));
                }
            }
        });
    }
}
