//! What a limiter does where calls are decided by units that this process holds.

use std::sync::Arc;
use std::time::Duration;

use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{Decision, Error, Leases, MAX_LIMITS, Returned};

use super::{Call, FleetLimiter, of_ms};
use crate::answer::{Answer, Source};
use crate::client_name::ClientName;
use crate::lease;
use crate::operation::Operation;
use crate::plan::Plan;
use crate::request::Request;

/// How long the server may take to take units back.
const GIVE_BACK: Duration = Duration::from_secs(1);

impl FleetLimiter {
    /// What the server is asked: of calls that leases decide, for units to hold beside.
    pub(super) fn leased(self: &Arc<Self>, plan: &Arc<Plan>, call: &Call) -> Operation {
        match (&plan.leases, call.operation) {
            (Some(leases), Operation::Take { cost }) => {
                let batch = self.batch(plan, leases, &call.client, call.key);
                ask_for(plan, call.key, (cost, 1), batch.saturating_sub(cost))
            }
            (_, operation) => operation,
        }
    }

    /// Notes that the server is asked for units of a client; how many, 0 where another call asks already.
    fn batch(
        self: &Arc<Self>,
        plan: &Arc<Plan>,
        leases: &Leases<ClientName>,
        client: &ClientName,
        key: KeyHash,
    ) -> u64 {
        if leases.must_be_checked() {
            lease::watch(self, plan);
        }
        let now = clock::elapsing();
        leases.ask(client, key, now, now + of_ms(self.options.timeout_ms))
    }

    /// Asks for more units before those that are held are used.
    pub(crate) fn ask_ahead(self: &Arc<Self>, plan: &Arc<Plan>, client: ClientName, key: KeyHash) {
        let Some(leases) = &plan.leases else { return };
        let batch = self.batch(plan, leases, &client, key);
        // A client that uses one at a time does not need it ahead.
        if batch < 2 {
            return leases.unanswered(&client);
        }
        let operation = ask_for(plan, key, (1, 0), batch);
        // Where the server is away, the call that finds nothing held is decided without it.
        if let Err((request, _)) = self.leave(self.request(plan, client, key, operation)) {
            request.note_unanswered();
        }
    }

    /// The decision on a synchronous call for which too little is held: a refusal, while the server is asked; without the
    /// server, that of `onError`. `None`: refused, to be counted by the caller.
    pub(crate) fn missed(
        self: &Arc<Self>,
        plan: &Arc<Plan>,
        (client, key, cost): (ClientName, KeyHash, u64),
    ) -> Option<(Decision, Source)> {
        let leases = plan.leases.as_ref()?;
        let batch = self.batch(plan, leases, &client, key);
        if batch == 0 && !self.link.is_away() {
            self.counters.missed();
            return None;
        }
        // One more: the first slot of a client that owes nothing begins at once.
        let operation = ask_for(plan, key, (cost, 1), batch.saturating_sub(cost).max(1));
        let refused = self.leave(self.request(plan, client, key, operation)).err();
        let Some((request, failure)) = refused else {
            self.counters.missed();
            return None;
        };
        match self.without_server(&request, key, failure) {
            Answer::Decided(decision, source) => Some((decision, source)),
            _ => None,
        }
    }

    /// The refusal of a synchronous call, which may come again once the server has answered.
    pub(crate) fn refusal(&self, plan: &Plan, wait: Option<u64>) -> Decision {
        let round_trip = || self.link.stats().round_trip.map_or(0, |time| time.as_nanos() as u64);
        plan.config.describe_unasked(false, wait.unwrap_or_else(|| round_trip().max(of_ms(1))))
    }

    /// Holds units again whose charge is taken back, if they have not lapsed by each limit. Where calls are decided by leases
    /// only.
    pub fn put_back(
        self: &Arc<Self>,
        client: &ClientName,
        key: KeyHash,
        units: (u64, u64, &[u64; MAX_LIMITS]),
    ) -> bool {
        let plan = self.plan.load_full();
        let Some(leases) = &plan.leases else { return false };
        if leases.must_be_checked() {
            lease::watch(self, &plan);
        }
        leases.put_back(client, key, units, clock::elapsing())
    }

    /// Units held now, and units given back so far.
    #[must_use]
    pub fn held(&self) -> (u64, u64) {
        let plan = self.plan.load();
        plan.leases
            .as_ref()
            .map_or((0, 0), |leases| (leases.all_held(clock::elapsing()), leases.given_back()))
    }

    /// Gives back what was not used since the last check; false when nothing is held any more.
    pub(crate) fn check_leases(&self, plan: &Arc<Plan>) -> bool {
        let Some(leases) = &plan.leases else { return false };
        let mut returned = Vec::new();
        let goes_on = leases.check(clock::elapsing(), |units| returned.push(units));
        self.give_back(plan, returned);
        goes_on
    }

    /// Gives back everything that is held.
    pub(super) fn give_all_back(&self, plan: &Arc<Plan>) {
        let Some(leases) = &plan.leases else { return };
        let mut returned = Vec::new();
        leases.give_all_back(clock::elapsing(), |units| returned.push(units));
        self.give_back(plan, returned);
    }

    fn give_back(&self, plan: &Arc<Plan>, returned: Vec<Returned<ClientName>>) {
        for Returned { client, units, at, states } in returned {
            let operation = Operation::GiveBack { units, at, states };
            let request = Request::new(Arc::clone(plan), client, operation);
            // Where the server is away, they lapse.
            let _ = self.leave(Request { deadline: request.asked + GIVE_BACK, ..request });
        }
    }

    /// The client's state was changed, or may have been: what was known of it is not true any more.
    pub(super) fn forget(&self, request: &Request, key: KeyHash) {
        let plan = self.plan.load();
        plan.remembered.forget(&request.client);
        if let Some(leases) = &plan.leases {
            match request.operation {
                Operation::Block { .. } | Operation::Reset => leases.forget(&request.client, key),
                _ => leases.forgive(key, clock::elapsing()),
            }
        }
    }

    /// The error of a synchronous call of a limiter that does not decide by leases any more.
    pub(crate) fn no_leases(&self) -> Error {
        Error::Closed { name: self.name.clone() }
    }

    fn request(&self, plan: &Arc<Plan>, client: ClientName, key: KeyHash, operation: Operation) -> Request {
        let request = Request::new(Arc::clone(plan), client, operation);
        let deadline = request.asked + Duration::from_millis(self.options.timeout_ms);
        Request { key, deadline, ..request }
    }
}

/// Asks for calls of a cost, and for units to hold beside. Of what is held of some of several limits alone, no more is asked
/// for.
fn ask_for(plan: &Plan, key: KeyHash, (cost, calls): (u64, u64), beside: u64) -> Operation {
    let spare = match &plan.leases {
        Some(leases) if beside > 0 && plan.has_several_limits() => leases.spare(key, clock::elapsing()),
        _ => [0; MAX_LIMITS],
    };
    Operation::Lease { cost, calls, beside, spare }
}
