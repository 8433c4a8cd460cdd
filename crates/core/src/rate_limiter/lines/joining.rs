//! A call joins the line of its key, and leaves it.

use std::sync::Arc;

use super::{AtKey, KeyLine, Published, Shard, Waiter, at_key, hold, next_id, published, widen};
use crate::key_table::{Cell, Client};
use crate::rate_limiter::call::Call;
use crate::rate_limiter::counts::{ALLOWED, REFUSED, overflow_refuses};
use crate::rate_limiter::decision::{self, Charge, Decision, lifetime};
use crate::rate_limiter::limiter::{RateLimiter, check_cost};
use crate::rate_limiter::line::{Line, NoPlace, Place, Request};
use crate::rate_limiter::waits::{self, WaitId, Waits};
use crate::runtime::key_hash::KeyHash;
use crate::runtime::sharded_counters::Count;
use crate::{Error, Result};

/// A call that waits where it cannot be charged at once.
#[derive(Clone, Copy, Debug)]
pub struct WaitRequest<'a> {
    /// The calls of its thread.
    pub waits: &'a Arc<Waits>,
    /// Units.
    pub cost: u64,
    /// When it came.
    pub now: u64,
    /// The latest moment that it accepts.
    pub latest: u64,
    /// Whether a call that is not to wait counts as refused.
    pub counts_refusal: bool,
}

/// What became of a call that asked to wait. Times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitStart {
    /// It was charged at once.
    Served(Decision),
    /// It waits.
    Waits(WaitId),
    /// It would be charged so far from now, which is later than it accepts.
    TooLate(u64),
    /// As many calls wait as may, or the table has no slot for the key. It would be charged so far from now.
    Full(u64),
    /// It asks for more than is ever available at once: than so many units.
    Never(u64),
}

impl RateLimiter {
    /// Charges the call, or has it wait in the line of its key.
    ///
    /// # Errors
    ///
    /// As of [`try_consume`](Self::try_consume); processes share the limiter, as a line is of one process.
    pub fn join(self: &Arc<Self>, key: KeyHash, request: &WaitRequest<'_>) -> Result<WaitStart> {
        check_cost(request.cost)?;
        if self.in_force.is_shared() {
            return Err(Error::Unsupported {
                what: "waiting for a limiter that processes share",
                accepted: "calls that are decided at once",
            });
        }
        let place = waits::Place { limiter: Arc::clone(self), key };
        self.call(|call| call.join(place, request).ok_or_else(|| self.closed()))?
    }

    /// Serves the calls of a key that are due, and moves those ahead that stood behind calls that have left.
    pub(in crate::rate_limiter) fn serve_line(&self, key: KeyHash, now: u64) {
        // A limiter that is destroyed has no lines.
        let _ = self.call(|call| {
            let mut shard = call.contents.lines.shard(key).lock();
            at_key!(call, key, now, at => at.catch_up(&mut shard));
        });
    }

    /// A call leaves its line, unless its moment has come. `serve_line` then charges it, or lays the line anew.
    pub(in crate::rate_limiter) fn leave_line(&self, key: KeyHash, id: WaitId, now: u64) {
        // A limiter that is destroyed has no lines.
        let _ = self.call(|call| {
            let lines = &call.contents.lines;
            if lines.shard(key).lock().get_mut(&key).is_some_and(|line| line.leave(id, now)) {
                lines.one_less();
            }
        });
    }
}

impl<C: Count> Call<'_, C> {
    /// `None`: the limiter is destroyed.
    fn join(&self, place: waits::Place, request: &WaitRequest<'_>) -> Option<WaitStart> {
        if self.config.options.dry_run {
            return Some(WaitStart::Served(self.consume(place.key, request.cost, request.now)));
        }
        let lines = &self.contents.lines;
        // Before the words are read: what changes them without the lock then finds that a line may begin.
        let _entered = lines.enter();
        let mut shard = lines.shard(place.key).lock();
        if self.in_force.epoch().is_closed() {
            return None;
        }
        let (key, now) = (place.key, request.now);
        let joined = at_key!(self, key, now, at => at.join(&mut shard, &place, request));
        match joined {
            WaitStart::Served(_) => self.counts.count(ALLOWED),
            WaitStart::TooLate(_) | WaitStart::Full(_) if request.counts_refusal => {
                self.counts.count(REFUSED)
            }
            _ => {}
        }
        Some(joined)
    }
}

/// The outcome of an attempt to charge a key at once.
enum AtOnce<W> {
    Charged(Decision),
    /// The state of the key, which refused.
    Refused(Client<W>),
    /// The table has no slot for the key until then.
    Full(u64),
}

impl<C: Cell> AtKey<'_, C> {
    fn join(&self, shard: &mut Shard, at: &waits::Place, request: &WaitRequest<'_>) -> WaitStart {
        loop {
            let joined = if self.catch_up(shard) {
                self.join_line(shard, at, request)
            } else {
                self.begin_line(shard, at, request)
            };
            if let Some(joined) = joined {
                return joined;
            }
        }
    }

    /// Joins a line in which calls wait. `None`: another call came between.
    fn join_line(
        &self,
        shard: &mut Shard,
        at: &waits::Place,
        request: &WaitRequest<'_>,
    ) -> Option<WaitStart> {
        let line = shard.get_mut(&self.key)?;
        let before = published(line);
        let joined = self.join_behind(line, before, at, request);
        if joined.is_none() {
            self.pass(line);
            self.conclude(shard, before);
        }
        joined
    }

    /// Charges the key, or begins a line of it. `None`: another call came between.
    fn begin_line(
        &self,
        shard: &mut Shard,
        at: &waits::Place,
        request: &WaitRequest<'_>,
    ) -> Option<WaitStart> {
        let seen = match self.charge(request.cost) {
            AtOnce::Charged(decision) => return Some(WaitStart::Served(decision)),
            AtOnce::Full(until) => return Some(WaitStart::Full(until.saturating_sub(self.now))),
            AtOnce::Refused(seen) => seen,
        };
        let block = if seen.blocked_until > self.now { seen.blocked_until } else { 0 };
        let mut line = Line::new(widen(&seen.words), block);
        let before = (line.tail(), seen.blocked_until);
        let joined = self.join_behind(&mut line, before, at, request);
        if !line.is_empty() {
            self.lines().begin();
            shard.insert(self.key, line);
        }
        joined
    }

    /// Places a call behind the last one of a line. `before` is what the table has. `None`: it has something else.
    fn join_behind(
        &self,
        line: &mut KeyLine,
        before: Published,
        at: &waits::Place,
        request: &WaitRequest<'_>,
    ) -> Option<WaitStart> {
        let WaitRequest { waits, cost, now, latest, counts_refusal } = *request;
        let asked = Request { cost, now, latest };
        let place = match line.place(&self.config.rules, &asked) {
            Ok(place) => place,
            Err(NoPlace::TooLate(wait)) => return Some(WaitStart::TooLate(wait)),
            Err(NoPlace::Never) => return Some(WaitStart::Never(self.config.capacity())),
        };
        let Place { moment, after } = place;
        if !self.lines().admit(self.config.options.max_waiting) {
            return Some(WaitStart::Full(moment - now));
        }
        if !self.table.hold(self.key, &hold::<C::Words>(before, (after, moment))) {
            self.lines().one_less();
            return None;
        }
        let id = next_id();
        line.join(id, &asked, &place, Waiter { waits: Arc::clone(waits), counts_refusal });
        waits.add(id, at.clone(), moment, now);
        Some(WaitStart::Waits(id))
    }

    /// As `consume`, but counts nothing.
    fn charge(&self, cost: u64) -> AtOnce<C::Words> {
        let (rules, now) = (&self.config.rules, self.now);
        let (mut charge, mut seen) = (Charge::default(), Client::default());
        let decide = |client: &Client<_>, now| {
            seen = *client;
            decision::charge(rules, client, cost, now, &mut charge)
        };
        let charged = self.table.update(self.key, now, |words, now| lifetime(rules, words, now), decide);
        match charged {
            Ok(()) if charge.refused.is_some() => AtOnce::Refused(seen),
            Ok(()) => AtOnce::Charged(charge.describe(self.config)),
            Err(full) if overflow_refuses(self.config, &self.contents.counters) => {
                AtOnce::Full(full.earliest_vacancy)
            }
            Err(full) => AtOnce::Charged(Decision::of_full_table(&full, self.config, false, now)),
        }
    }
}
