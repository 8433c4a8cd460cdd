//! What becomes of the units that a script call has granted.

use std::sync::Arc;
use std::time::Instant;

use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{Decision, Grant, Leases, RemoteState, RemoteVerdict, RemoteWord};

use crate::client_name::ClientName;
use crate::composer::Entry;
use crate::limiter::FleetLimiter;
use crate::operation::Operation;
use crate::plan::{Plan, of_us};
use crate::reply::EntryReply;
use crate::request::Request;

/// An answer to a script call that asked for leases or gave some back.
pub(crate) struct Round<'a> {
    pub(crate) leases: &'a Arc<Leases<ClientName>>,
    pub(crate) plan: &'a Arc<Plan>,
    /// The server's clock, in microseconds.
    pub(crate) now: u64,
    /// When it was sent, by the clock of leases.
    pub(crate) sent: u64,
    pub(crate) received: Instant,
}

/// The units granted for one client.
pub(crate) struct Granted<'a> {
    round: &'a Round<'a>,
    client: ClientName,
    operation: Operation,
    words: Vec<RemoteWord>,
    block: u64,
    doubles: Vec<i64>,
    /// Calls that the server has granted, and those of them that were passed on.
    calls: u64,
    passed: u64,
    /// Calls whose time is over.
    expired: u64,
    /// Calls that nothing waits for: their units are held.
    unclaimed: u64,
    beside: u64,
    key: KeyHash,
}

/// Whether an operation is about leases.
pub(crate) const fn concerns(operation: &Operation) -> bool {
    matches!(operation, Operation::Lease { .. } | Operation::GiveBack { .. })
}

/// A moment by the clock of leases, never later than it was.
pub(crate) fn on_clock(at: Instant) -> u64 {
    // The clock first: the time in between is added to the age.
    let now = clock::elapsing();
    let age = at.elapsed().as_nanos();
    now.saturating_sub(u64::try_from(age).unwrap_or(u64::MAX))
}

impl Round<'_> {
    pub(crate) fn of(&self, entry: &Entry, reply: &EntryReply) -> Granted<'_> {
        let outcome = reply.outcome.unwrap_or_default();
        let operation = *entry.operation();
        let waiting: u64 = entry.waiting.iter().map(|request| request.operation.calls()).sum();
        Granted {
            round: self,
            client: entry.client().clone(),
            operation,
            words: self.plan.read(&reply.doubles),
            block: of_us(reply.block),
            doubles: reply.doubles.clone(),
            calls: outcome,
            passed: 0,
            expired: entry.calls().saturating_sub(waiting),
            unclaimed: 0,
            beside: reply.beside,
            key: entry.key(),
        }
    }
}

impl Granted<'_> {
    /// Lets a limiter go on from here without the server: units that are held are charged.
    pub(crate) fn tell(&self, limiter: &FleetLimiter, request: &Request) {
        let Round { now, .. } = self.round;
        let state = RemoteState { now: of_us(*now), block: self.block, words: &self.words };
        limiter.learn(request, self.key, &state, self.calls * self.operation.cost() + self.beside);
    }

    /// The decision on the next request.
    pub(crate) fn next(&mut self, request: &Request) -> Decision {
        let cost = self.operation.cost();
        let calls = request.operation.calls();
        let allowed = calls > 0 && self.passed < self.calls;
        if allowed {
            self.passed += 1;
            if request.caller.is_none() {
                self.unclaimed += 1;
            }
        }
        let config = &self.round.plan.config;
        let state = RemoteState { now: of_us(self.round.now), block: self.block, words: &self.words };
        let verdict = RemoteVerdict { allowed, cost, charged: self.passed * cost };
        let mut decision = config.describe_remote(&state, verdict);
        // The charge is taken back here, by this process's clock.
        decision.receipt.at = self.round.sent;
        decision.receipt.settles[0] = self.settles(self.passed * cost);
        decision
    }

    /// When so many units lapse, by this process's clock.
    fn settles(&self, units: u64) -> u64 {
        let (length, _) = self.round.plan.grant_of(&self.doubles, self.round.now, units);
        Leases::<ClientName>::end_of(self.round.sent, length)
    }

    /// Holds what no caller has used; how to give it back where it cannot be held.
    pub(crate) fn hold(self) -> Option<(ClientName, Operation)> {
        let Round { leases, plan, now, sent, .. } = self.round;
        let clock = clock::elapsing();
        let before = self.doubles.first().map_or(0, |debt| debt.max(&0).unsigned_abs());
        let Operation::Lease { cost, .. } = self.operation else {
            let left = before.saturating_sub(self.calls * plan.interval());
            leases.returned(&self.client, self.calls, plan.row_of(*now, left));
            return None;
        };
        let units = self.calls * cost + self.beside;
        if units == 0 {
            self.refused(clock);
            return None;
        }
        // Callers whose time is over were admitted otherwise, unless all of those were refused.
        let late = (self.calls - self.passed).min(self.expired);
        let spent = if plan.gives_back { 0 } else { late };
        let used = (self.passed - self.unclaimed + spent) * cost;
        let (length, id) = plan.grant_of(&self.doubles, *now, units);
        let follows = plan.row_end(*now, before);
        let grant = Grant { sent: *sent, length, kept: units - used, used, follows, id };
        let is_held = leases.granted(&self.client, self.key, &grant, clock) || grant.kept == 0;
        let returned = Operation::GiveBack { units: grant.kept, at: id.at, state: id.state };
        (!is_held).then_some((self.client, returned))
    }

    fn refused(&self, clock: u64) {
        let Round { leases, plan, now, sent, .. } = self.round;
        let state = RemoteState { now: of_us(*now), block: self.block, words: &self.words };
        let verdict = RemoteVerdict { allowed: false, cost: 1, charged: 0 };
        let one = plan.config.describe_remote(&state, verdict);
        // What is refused to a larger call may be there for a call of one unit.
        if one.remaining > 0 && self.block == 0 {
            return leases.unanswered(&self.client);
        }
        let wait = one.retry_after.unwrap_or(u64::MAX);
        leases.refused(&self.client, self.key, (*sent, wait), clock);
    }
}
