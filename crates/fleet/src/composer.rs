//! Which pending calls go to the server together.
//!
//! A script call serves one limiter and one operation; in it each client has one entry, and calls of one client at one cost
//! share it. Calls for a client keep their order: none overtakes another that had to stay behind.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use redis::Cmd;
use sluice_core::runtime::key_hash::KeyHash;

use crate::client_name::ClientName;
use crate::operation::Operation;
use crate::plan::Plan;
use crate::request::{Request, Routing};
use crate::script::ScriptKind;

/// Clients of one script call. Beyond that, a call would hold up the server's other users.
const MOST_CLIENTS: usize = 64;
/// Callers of one script call.
const MOST_CALLERS: usize = 256;
/// Calls that are passed over in search of some that fit.
const MOST_PASSED: usize = 256;

/// One client in a script call.
#[derive(Debug)]
pub(crate) struct Entry {
    client: ClientName,
    key: KeyHash,
    operation: Operation,
    /// Calls that were asked for.
    calls: u64,
    /// Those of them that still wait, in order.
    pub(crate) waiting: VecDeque<Request>,
}

/// One script call.
#[derive(Debug)]
pub(crate) struct Batch {
    plan: Arc<Plan>,
    entries: Vec<Entry>,
    /// Its keys are of one slot.
    by_slot: bool,
    routing: Routing,
    /// The first deadline of its calls.
    deadline: Instant,
}

/// Takes the calls that go together with the first of the queue. `by_slot`: their keys are to be in one slot of a cluster.
pub(crate) fn compose(queue: &mut VecDeque<Request>, by_slot: bool) -> Option<Batch> {
    let mut batch = Batch { by_slot, ..Batch::new(queue.pop_front()?) };
    let mut places = HashMap::from([(batch.entries[0].client.clone(), 0)]);
    let (mut callers, mut passed, mut held) = (1, Vec::new(), HashSet::new());
    while callers < MOST_CALLERS && passed.len() < MOST_PASSED {
        let Some(request) = queue.pop_front() else { break };
        if held.contains(&request.client) || !batch.takes(&request, &places) {
            held.insert(request.client.clone());
            passed.push(request);
        } else {
            batch.add(request, &mut places);
            callers += 1;
        }
    }
    for request in passed.into_iter().rev() {
        queue.push_front(request);
    }
    Some(batch)
}

impl Batch {
    fn new(first: Request) -> Self {
        let (plan, deadline, routing) = (Arc::clone(&first.plan), first.deadline, first.routing);
        Self { plan, entries: vec![Entry::new(first)], by_slot: false, routing, deadline }
    }

    fn takes(&self, request: &Request, places: &HashMap<ClientName, usize>) -> bool {
        let operation = self.operation();
        let fits = Arc::ptr_eq(&self.plan, &request.plan)
            && self.routing.goes_with(&request.routing)
            && operation.name() == request.operation.name()
            && !operation.goes_alone();
        fits && match places.get(&request.client) {
            Some(place) => self.entries[*place].operation.merges_with(&request.operation),
            None => {
                self.entries.len() < MOST_CLIENTS && !self.routing.alone && self.shares_slot(&request.client)
            }
        }
    }

    fn shares_slot(&self, client: &ClientName) -> bool {
        !self.by_slot || client.bucket() == self.entries[0].client.bucket()
    }

    fn add(&mut self, request: Request, places: &mut HashMap<ClientName, usize>) {
        self.deadline = self.deadline.min(request.deadline);
        if let Some(place) = places.get(&request.client) {
            let entry = &mut self.entries[*place];
            entry.calls += request.operation.calls();
            entry.operation.absorb(&request.operation);
            entry.waiting.push_back(request);
        } else {
            places.insert(request.client.clone(), self.entries.len());
            self.entries.push(Entry::new(request));
        }
    }

    pub(crate) fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    pub(crate) fn operation(&self) -> &Operation {
        &self.entries[0].operation
    }

    pub(crate) fn routing(&self) -> Routing {
        self.routing
    }

    pub(crate) fn script(&self) -> ScriptKind {
        if *self.operation() == Operation::Announce {
            return ScriptKind::Options;
        }
        let takes = matches!(self.operation(), Operation::Take { .. });
        if takes && self.plan.is_single_gcra() { ScriptKind::Take } else { ScriptKind::State }
    }

    /// Calls that were asked for.
    pub(crate) fn calls(&self) -> u64 {
        self.entries.iter().map(Entry::calls).sum()
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(crate) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// After this, the server must not run it.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether nothing waits for it any more.
    pub(crate) fn is_answered(&self) -> bool {
        self.entries.iter().all(|entry| entry.waiting.is_empty())
    }

    /// Removes the calls whose time is over.
    pub(crate) fn expire(&mut self, now: Instant, expired: &mut Vec<Request>) {
        if self.deadline > now {
            return;
        }
        for entry in &mut self.entries {
            expire(&mut entry.waiting, now, expired);
        }
    }

    /// The first deadline of the calls that still wait.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.entries.iter().flat_map(|entry| &entry.waiting).map(|request| request.deadline).min()
    }
}

impl Entry {
    fn new(request: Request) -> Self {
        let (client, key, operation) = (request.client.clone(), request.key, request.operation);
        Self { client, key, operation, calls: operation.calls(), waiting: VecDeque::from([request]) }
    }

    pub(crate) fn client(&self) -> &ClientName {
        &self.client
    }

    /// The client in the table of what is held.
    pub(crate) fn key(&self) -> KeyHash {
        self.key
    }

    pub(crate) fn operation(&self) -> &Operation {
        &self.operation
    }

    /// Calls that were asked for, those among them whose time is over.
    pub(crate) fn calls(&self) -> u64 {
        self.calls
    }

    /// Writes what a script is told of it by so many limits.
    pub(crate) fn write(&self, command: &mut Cmd, limits: usize) {
        match self.operation {
            Operation::Take { cost } => command.arg(self.calls).arg(cost),
            Operation::Lease { cost, beside, spare, .. } => {
                let spare = if limits > 1 { &spare[..limits] } else { &[] };
                command.arg(self.calls).arg(cost).arg(beside).arg(spare)
            }
            Operation::GiveBack { units, at, states } => {
                let each = units.into_iter().zip(states).take(limits);
                command.arg(at).arg(each.flat_map(|(units, state)| [units, state]).collect::<Vec<_>>())
            }
            Operation::Penalize { cost } | Operation::Refund { cost } => command.arg(0).arg(cost),
            Operation::Block { duration } => command.arg(0).arg(duration),
            Operation::Peek | Operation::Reset => command.arg(0).arg(0),
            Operation::Announce => command,
            Operation::Undo { cost, charged_at, settles } => {
                command.arg(charged_at).arg(cost).arg(&settles[..limits])
            }
        };
    }
}

/// Removes the calls of a queue whose time is over.
pub(crate) fn expire(queue: &mut VecDeque<Request>, now: Instant, expired: &mut Vec<Request>) {
    if queue.iter().all(|request| request.deadline > now) {
        return;
    }
    for request in std::mem::take(queue) {
        if request.deadline > now {
            queue.push_back(request);
        } else {
            expired.push(request);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
