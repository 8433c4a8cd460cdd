//! The lines of a limiter, by key: a line is there only while a call waits.
//!
//! The table's words of such a key are those after the last call of its line, and the key is held until that call's moment
//! (`key_table/holds.rs`). So calls that charge take no lock. What joins, leaves or changes a line does, that of its key.
//! What changes the words of a key otherwise (`changes`) finds it held, and changes the words before its line instead.
//!
//! A call whose clock has passed the hold charges the words after the line, as its last call was due by that clock. The
//! owner of the lock may have read its clock before that. It then finds other words in the table than it left there
//! (`Table::hold` answers false), and serves the line by the later clock.

mod all;
mod changes;
mod joining;
#[cfg(all(test, sluice_loom))]
mod models;
#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64 as Counter, Ordering::Relaxed};

pub use self::joining::{WaitRequest, WaitStart};
use super::config::RateLimiterConfig;
use super::contents::Contents;
use super::counts::{ALLOWED, REFUSED};
use super::decision::{Charge, Decision};
use super::line::{Event, Line, LineWords, Ticket};
use super::waits::{WaitId, WaitOutcome, Waits};
use crate::key_table::{Cell, Client, Hold, Table, Words};
use crate::runtime::key_hash::{AlreadyHashed, KeyHash};
use crate::runtime::sharded_counters::Count;
use crate::runtime::sync::{AtomicU64, Mutex, Ordering, full_barrier};

const SHARDS: usize = 16;

/// What is told of the outcome of a call that waits.
#[derive(Debug)]
struct Waiter {
    waits: Arc<Waits>,
    /// As of its [`WaitRequest`].
    counts_refusal: bool,
}

type KeyLine = Line<Waiter>;
type Shard = HashMap<KeyHash, KeyLine, AlreadyHashed>;

/// What the table has of a line: the words after its last call, and the end of the hold.
type Published = (LineWords, u64);

pub(super) struct Lines {
    /// Lines, and calls that may be about to begin one.
    entered: AtomicU64,
    waiting: Counter,
    waited: Counter,
    shards: Box<[Mutex<Shard>]>,
}

/// Lets other calls know that a line may begin.
struct Entered<'a>(&'a Lines);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            entered: AtomicU64::new(0),
            waiting: Counter::default(),
            waited: Counter::default(),
            shards: (0..SHARDS).map(|_| Mutex::new(Shard::default())).collect(),
        }
    }
}

impl Lines {
    /// Calls that wait now.
    pub(super) fn waiting(&self) -> u64 {
        // Relaxed: a number for reports.
        self.waiting.load(Relaxed)
    }

    /// Calls that waited and were charged.
    pub(super) fn waited(&self) -> u64 {
        self.waited.load(Relaxed)
    }

    /// Whether a key may be held. A call that finds a key held also finds this true.
    pub(super) fn any(&self) -> bool {
        self.entered.load(Ordering::SeqCst) > 0
    }

    /// Keys that are held, and not blocked by the user.
    pub(super) fn held(&self, now: u64) -> u64 {
        if !self.any() {
            return 0;
        }
        let is_held = |line: &&KeyLine| line.held_until() > now && line.blocked_until() <= now;
        self.shards.iter().map(|shard| shard.lock().values().filter(is_held).count() as u64).sum()
    }

    fn shard(&self, key: KeyHash) -> &Mutex<Shard> {
        let (high, _) = key.halves();
        &self.shards[(high % SHARDS as u64) as usize]
    }

    fn enter(&self) -> Entered<'_> {
        self.begin();
        full_barrier();
        Entered(self)
    }

    /// One more line, or call that may begin one.
    fn begin(&self) {
        self.entered.fetch_add(1, Ordering::SeqCst);
    }

    fn end(&self) {
        self.entered.fetch_sub(1, Ordering::SeqCst);
    }

    /// One more call waits, unless as many do as may.
    fn admit(&self, most: u64) -> bool {
        let one_more = |waiting| (waiting < most).then_some(waiting + 1);
        self.waiting.fetch_update(Relaxed, Relaxed, one_more).is_ok()
    }

    /// Counts from 0 again.
    fn begin_anew(&self) {
        self.waited.store(0, Relaxed);
    }

    fn one_less(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }
}

/// The line of a key, while the caller has the lock of its shard.
struct AtKey<'a, C: Cell> {
    contents: &'a Contents,
    table: &'a Table<C>,
    /// The config in force, read under the lock.
    config: &'a RateLimiterConfig,
    key: KeyHash,
    now: u64,
}

/// Runs code at the line of a key, on either table, by the config in force. The caller has the lock of its shard.
macro_rules! at_key {
    ($call:expr, $key:expr, $now:expr, $at:ident => $body:expr) => {{
        let config = $call.in_force.load();
        $crate::rate_limiter::contents::with_table!($call.contents, table => {
            let $at = $crate::rate_limiter::lines::AtKey {
                contents: $call.contents,
                table,
                config: &config,
                key: $key,
                now: $now,
            };
            $body
        })
    }};
}
use at_key;

impl<C: Cell> AtKey<'_, C> {
    fn lines(&self) -> &Lines {
        &self.contents.lines
    }

    /// Serves what is due, and lays a line anew that calls have left. Whether a call waits.
    fn catch_up(&self, shard: &mut Shard) -> bool {
        let Some(line) = shard.get_mut(&self.key) else { return false };
        let before = published(line);
        if line.is_stale() {
            line.settle(&self.config.rules, self.now, &mut |event| self.tell(event));
        }
        line.serve(self.now, &mut |event| self.tell(event));
        self.conclude(shard, before)
    }

    /// After the line was changed: brings the table up to it, and removes the line where no call waits. Whether one waits.
    fn conclude(&self, shard: &mut Shard, before: Published) -> bool {
        let Some(line) = shard.get_mut(&self.key) else { return false };
        if !self.publish(before, published(line)) {
            self.pass(line);
        }
        if !line.is_empty() {
            return true;
        }
        let until = line.blocked_until();
        shard.remove(&self.key);
        if until <= self.now {
            self.table.end_hold(self.key, self.now);
        }
        self.lines().end();
        false
    }

    /// A later clock has charged the key: by it, the moment of every call has come.
    fn pass(&self, line: &mut KeyLine) {
        line.serve(u64::MAX, &mut |event| self.tell(event));
    }

    fn publish(&self, before: Published, after: Published) -> bool {
        before == after || self.table.hold(self.key, &hold::<C::Words>(before, after))
    }

    fn tell(&self, event: Event<'_, Waiter>) {
        let (ticket, outcome, counter) = match event {
            Event::Moved(ticket) => return ticket.waiter.waits.moved(ticket.id, ticket.moment),
            Event::SetBack(ticket) => return ticket.waiter.waits.set_back(ticket.id, ticket.moment),
            Event::Served(ticket) => {
                self.lines().waited.fetch_add(1, Relaxed);
                let decision = self.describe(&ticket);
                (ticket, WaitOutcome::Served(decision), Some(ALLOWED))
            }
            Event::Late(ticket) => {
                let wait = (ticket.moment < u64::MAX).then(|| ticket.moment.saturating_sub(self.now));
                let counter = ticket.waiter.counts_refusal.then_some(REFUSED);
                (ticket, WaitOutcome::TooLate(wait), counter)
            }
        };
        self.lines().one_less();
        if let Some(counter) = counter {
            self.contents.counters.count(counter);
        }
        ticket.waiter.waits.end(ticket.id, outcome);
    }

    /// The decision of a call that waited, at its moment.
    fn describe(&self, ticket: &Ticket<Waiter>) -> Decision {
        let words = narrow::<C::Words>(&ticket.after);
        Charge::of_admitted(Client { words, blocked_until: 0 }, ticket.moment).describe(self.config)
    }
}

fn published(line: &KeyLine) -> Published {
    (line.tail(), line.held_until())
}

fn hold<W: Words>((expected, from): Published, (words, until): Published) -> Hold<W> {
    Hold { expected: narrow(&expected), words: narrow(&words), from, until }
}

fn widen<W: Words>(words: &W) -> LineWords {
    let mut wide = LineWords::default();
    wide.iter_mut().zip(words.as_ref()).for_each(|(wide, word)| *wide = *word);
    wide
}

fn narrow<W: Words>(wide: &LineWords) -> W {
    let mut words = W::default();
    words.as_mut().iter_mut().zip(wide).for_each(|(word, wide)| *word = *wide);
    words
}

/// A number that no other waiting call of the process has.
fn next_id() -> WaitId {
    static NEXT: Counter = Counter::new(1);
    NEXT.fetch_add(1, Relaxed)
}
