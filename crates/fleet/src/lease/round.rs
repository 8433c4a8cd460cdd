//! What becomes of the units that a script call has granted.

use std::sync::Arc;
use std::time::Instant;

use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{Decision, Grant, GrantShare, Leases, MAX_LIMITS, RemoteState, RemoteVerdict, RemoteWord};

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
    /// Units that each limit has taken back.
    returned: Vec<u64>,
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
            returned: reply.returned.clone(),
            key: entry.key(),
        }
    }
}

impl Granted<'_> {
    /// Units that a limit was charged: of those beside, so many fewer as it has to spare.
    fn charged(&self, limit: usize) -> u64 {
        let spare = if let Operation::Lease { spare, .. } = self.operation { spare[limit] } else { 0 };
        self.calls * self.operation.cost() + self.beside.saturating_sub(spare)
    }

    /// Lets a limiter go on from here without the server: units that are held are charged.
    pub(crate) fn tell(&self, limiter: &FleetLimiter, request: &Request) {
        let Round { now, .. } = self.round;
        let state = RemoteState { now: of_us(*now), block: self.block, words: &self.words };
        limiter.learn(request, self.key, &state, &std::array::from_fn(|limit| self.charged(limit)));
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
        self.settle(self.passed * cost, &mut decision.receipt.settles);
        decision
    }

    /// When so many units lapse by each limit, by this process's clock.
    fn settle(&self, units: u64, settles: &mut [u64; MAX_LIMITS]) {
        let Round { plan, now, sent, .. } = self.round;
        for ((limit, own), settles) in plan.by_limit(&self.doubles).zip(settles) {
            let (length, _) = limit.grant_of(own, *now, units);
            *settles = Leases::<ClientName>::end_of(*sent, length);
        }
    }

    /// Holds what no caller has used; how to give it back where it cannot be held.
    pub(crate) fn hold(self) -> Option<(ClientName, Operation)> {
        let Round { leases, plan, now, sent, .. } = self.round;
        let Operation::Lease { cost, .. } = self.operation else {
            self.returned();
            return None;
        };
        if self.calls * cost + self.beside == 0 {
            self.refused();
            return None;
        }
        // Callers whose time is over were admitted otherwise, unless all of those were refused.
        let late = (self.calls - self.passed).min(self.expired);
        let spent = if plan.gives_back { 0 } else { late };
        let used = (self.passed - self.unclaimed + spent) * cost;
        let limits = plan.by_limit(&self.doubles).enumerate();
        let shares: Vec<_> =
            limits.map(|(index, (limit, own))| limit.share(own, *now, (self.charged(index), used))).collect();
        let grant = Grant { sent: *sent, used, shares: &shares };
        let is_held = leases.granted(&self.client, self.key, &grant, clock::elapsing());
        let returned = give_back(&shares);
        (!is_held).then_some((self.client, returned?))
    }

    /// The server has taken units back, or has not.
    fn returned(&self) {
        let Round { leases, plan, now, .. } = self.round;
        let by_limit = plan.by_limit(&self.doubles).zip(&self.returned);
        let backs: Vec<_> =
            by_limit.map(|((limit, own), units)| limit.taken_back(own, *now, *units)).collect();
        leases.returned(&self.client, &backs);
    }

    fn refused(&self) {
        let Round { leases, plan, now, sent, received } = self.round;
        let state = RemoteState { now: of_us(*now), block: self.block, words: &self.words };
        let verdict = RemoteVerdict { allowed: false, cost: 1, charged: 0 };
        let one = plan.config.describe_remote(&state, verdict);
        // What is refused to a larger call may be there for a call of one unit.
        if one.remaining > 0 && self.block == 0 {
            return leases.unanswered(&self.client);
        }
        let wait = one.retry_after.unwrap_or(u64::MAX);
        leases.refused(&self.client, self.key, (*sent, wait), clock::elapsing());
        // Which of several limits has refused, the table of what is held does not say.
        if plan.has_several_limits() {
            let cost = self.operation.cost();
            let verdict = RemoteVerdict { allowed: false, cost, charged: 0 };
            let mut refusal = plan.config.describe_remote(&state, verdict);
            refusal.retry_after = refusal.retry_after.map(|wait| wait.max(Leases::<ClientName>::PACE));
            plan.remembered.put(&self.client, cost, refusal, *received);
        }
    }
}

/// How units go back that were just granted; `None` where there are none.
fn give_back(shares: &[GrantShare]) -> Option<Operation> {
    let (mut units, mut states) = ([0; MAX_LIMITS], [0; MAX_LIMITS]);
    for ((units, state), share) in units.iter_mut().zip(&mut states).zip(shares) {
        (*units, *state) = (share.kept, share.id.state);
    }
    let at = shares.first().map_or(0, |share| share.id.at);
    units.iter().any(|units| *units > 0).then_some(Operation::GiveBack { units, at, states })
}
