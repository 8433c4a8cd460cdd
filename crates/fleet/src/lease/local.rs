//! A thread's own handle to a limiter of the fleet: synchronous calls, decided by what this process holds.

use std::sync::Arc;
use std::time::Instant;

use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{
    CallCounter, Decision, Error, Held, HeldEach, LocalLease, MAX_LIMITS, RemoteState, RemoteVerdict,
    RemoteWord, Taken,
};

use crate::answer::Source;
use crate::client_name::ClientName;
use crate::limiter::FleetLimiter;
use crate::plan::{Limit, Plan};

/// One thread's handle to a limiter of the fleet.
#[derive(Debug)]
pub struct LocalFleet {
    fleet: Arc<FleetLimiter>,
    /// By the options in force at the last call.
    lease: Option<(LocalLease<ClientName>, Arc<Plan>)>,
    /// Of several limits, what the last call has left of each.
    rests: HeldEach,
}

impl LocalFleet {
    /// A handle for the calling thread.
    #[must_use]
    pub fn new(fleet: Arc<FleetLimiter>) -> Self {
        Self { fleet, lease: None, rests: HeldEach::default() }
    }

    /// The limiter, for calls that are answered later.
    #[must_use]
    pub fn fleet(&self) -> &Arc<FleetLimiter> {
        &self.fleet
    }

    /// Whether a call is admitted by what is held. Where too little is, it is refused and the server is asked for the next;
    /// while the server is away, `onError` decides. `client` gives the name of the key where it is needed.
    ///
    /// # Errors
    ///
    /// The limiter is destroyed, or does not decide by leases.
    #[inline]
    pub fn try_consume(
        &mut self,
        key: KeyHash,
        cost: u64,
        client: impl FnOnce() -> ClientName,
    ) -> Result<bool, Error> {
        match self.take(key, cost)? {
            Taken::Admitted { is_low: false, .. } => Ok(true),
            taken => Ok(self.conclude(taken, (key, cost), client)?.0.allowed),
        }
    }

    /// As [`try_consume`](Self::try_consume), with the decision and what made it.
    ///
    /// # Errors
    ///
    /// As of [`try_consume`](Self::try_consume).
    pub fn consume(
        &mut self,
        key: KeyHash,
        cost: u64,
        client: impl FnOnce() -> ClientName,
    ) -> Result<(Decision, Source), Error> {
        let taken = self.take(key, cost)?;
        self.conclude(taken, (key, cost), client)
    }

    /// Whether a call is admitted by what is held, and there is nothing else to do. Else nothing was done: the other methods
    /// know why.
    #[inline]
    #[must_use]
    pub fn admits_at_once(&self, key: KeyHash, cost: u64) -> bool {
        let Some((lease, _)) = &self.lease else { return false };
        !lease.is_outdated() && lease.take_at_once(key, cost, clock::elapsing())
    }

    /// As [`consume`](Self::consume); `None` where the server has to be asked, and nothing was done.
    ///
    /// # Errors
    ///
    /// As of [`try_consume`](Self::try_consume).
    pub fn consume_held(
        &mut self,
        key: KeyHash,
        cost: u64,
        client: impl FnOnce() -> ClientName,
    ) -> Result<Option<(Decision, Source)>, Error> {
        match self.take(key, cost)? {
            Taken::Missing => Ok(None),
            taken => self.conclude(taken, (key, cost), client).map(Some),
        }
    }

    #[inline]
    fn take(&mut self, key: KeyHash, cost: u64) -> Result<Taken, Error> {
        match &self.lease {
            Some((lease, _)) if !lease.is_outdated() => {
                Ok(lease.take(key, cost, clock::elapsing(), &mut self.rests))
            }
            _ => self.take_anew(key, cost),
        }
    }

    /// By the options that are in force now.
    #[cold]
    fn take_anew(&mut self, key: KeyHash, cost: u64) -> Result<Taken, Error> {
        self.fleet.check_open()?;
        // The counter first, with the epoch: it then notices options that come later than those of the plan.
        let counter = CallCounter::new(Arc::clone(self.fleet.local()));
        let plan = self.fleet.plan_for(None)?;
        let Some(leases) = &plan.leases else { return Ok(Taken::Missing) };
        let lease = LocalLease::new(counter, Arc::clone(leases));
        let taken = lease.take(key, cost, clock::elapsing(), &mut self.rests);
        self.lease = Some((lease, plan));
        Ok(taken)
    }

    #[inline(never)]
    fn conclude(
        &self,
        taken: Taken,
        (key, cost): (KeyHash, u64),
        client: impl FnOnce() -> ClientName,
    ) -> Result<(Decision, Source), Error> {
        let Some((lease, plan)) = &self.lease else { return Err(self.fleet.no_leases()) };
        let wait = match taken {
            Taken::Admitted { rest, is_low } => {
                if is_low {
                    self.fleet.ask_ahead(plan, client(), key);
                }
                let rests = if plan.has_several_limits() { &self.rests[..] } else { &[rest] };
                return Ok((admitted(plan, rests, cost), Source::Lease));
            }
            Taken::Refused { wait } => Some(wait),
            Taken::Missing => None,
        };
        let client = client();
        let remembered = plan.remembered.get(&client, cost, Instant::now());
        if wait.is_none()
            && remembered.is_none()
            && let Some(decided) = self.fleet.missed(plan, (client, key, cost))
        {
            return Ok(decided);
        }
        lease.count_refused();
        Ok((remembered.unwrap_or_else(|| self.fleet.refusal(plan, wait)), Source::Lease))
    }
}

/// Describes an admission that has left so much of each limit. What other processes have used since the last answer is not
/// known.
fn admitted(plan: &Plan, rests: &[Held], cost: u64) -> Decision {
    let now = clock::elapsing();
    let mut words = [RemoteWord::Debt(0); MAX_LIMITS];
    for ((word, limit), rest) in words.iter_mut().zip(&plan.limits).zip(rests) {
        *word = word_of(limit, rest);
    }
    let state = RemoteState { now, block: 0, words: &words[..plan.limits.len()] };
    let verdict = RemoteVerdict { allowed: true, cost, charged: 0 };
    let mut decision = plan.config.describe_remote(&state, verdict);
    decision.receipt.at = now;
    for ((settles, limit), rest) in decision.receipt.settles.iter_mut().zip(&plan.limits).zip(rests) {
        *settles = now + settles_in(limit, rest);
    }
    decision
}

/// What a limit is taken to be left at.
fn word_of(limit: &Limit, rest: &Held) -> RemoteWord {
    let used = |limit: u64| limit.saturating_sub(rest.units).max(1);
    match *limit {
        Limit::FixedWindow { limit, .. } => RemoteWord::Running { count: used(limit), left: rest.ahead },
        Limit::SlidingWindow { limit, .. } => RemoteWord::Counts { previous: 0, current: used(limit) },
        Limit::Gcra { .. } => RemoteWord::Debt(settles_in(limit, rest)),
    }
}

/// How long the units last that were used, in nanoseconds.
fn settles_in(limit: &Limit, rest: &Held) -> u64 {
    rest.ahead.saturating_sub(limit.interval().saturating_mul(rest.units))
}
