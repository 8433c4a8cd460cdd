//! Connections, bans, events and circuits, compared with the usual form of such code: a map behind an `RwLock`.

mod breaker;
mod connections;
mod monitor;
mod reputation;

use std::rc::Rc;
use std::time::Duration;

use crate::clients::{Addresses, at_random};
use crate::contenders::{Locks, Measured, Text};
use crate::harness::{Caller, for_a_while};
use crate::report::{Row, emit};
use crate::rounds::Plan;
use crate::waited::Waited;
use monitor::Record;
use reputation::{IsBanned, RecordFailure};

const CLIENTS: u32 = 10_000;
/// Number of calls in an order; a power of two.
const LENGTH: usize = 1 << 15;

/// One call of a thread.
#[derive(Clone, Copy)]
struct Call {
    /// The number of the client.
    client: u32,
    ip: Text,
    /// Number of calls that this thread has made before.
    before: usize,
}

/// A component that threads call concurrently for their clients.
trait Guard: Send + Sync {
    const LOCKS: Locks;

    /// Makes all clients known.
    fn fill(&self, _clients: &[Text]) {}

    /// True if the answer is the expected one, which does not depend on concurrent calls.
    fn call(&self, call: Call, waited: &mut Waited) -> bool;
}

/// A prepared guard, and the number of threads that call it.
struct Case<'a> {
    load: &'static str,
    contender: &'static str,
    locks: Locks,
    threads: usize,
    run: Box<dyn Fn() -> Measured + 'a>,
}

pub fn measure(plan: &Plan) {
    for clients in [CLIENTS, 1] {
        let load = Load::of(clients);
        let cases: Vec<_> = [
            both(
                "connection opened and closed",
                connections::Sluice::new(),
                connections::Plain::default(),
                plan,
                &load,
            ),
            both(
                "isBanned",
                IsBanned(reputation::Sluice::new()),
                IsBanned(reputation::Plain::default()),
                plan,
                &load,
            ),
            both(
                "recordFailure",
                RecordFailure(reputation::Sluice::new()),
                RecordFailure(reputation::Plain::default()),
                plan,
                &load,
            ),
            both(
                "event recorded",
                Record(monitor::Sluice::new()),
                Record(monitor::Plain::default()),
                plan,
                &load,
            ),
            both("permit and success", breaker::Sluice::new(), breaker::Plain::default(), plan, &load),
        ]
        .into_iter()
        .flatten()
        .collect();
        let samples = plan.interleaved(cases.len(), |case| (cases[case].run)());
        for (case, samples) in cases.iter().zip(&samples) {
            let row = Row::new("security", case.contender, case.threads, samples);
            emit(&row.on(case.load).of(clients).with(case.locks));
        }
    }
}

/// Clients, and the order in which they call.
struct Load {
    clients: Vec<Text>,
    order: Vec<u32>,
}

impl Load {
    fn of(clients: u32) -> Self {
        Self { clients: Addresses::of(clients).texts, order: at_random(0, clients, LENGTH) }
    }
}

fn both<'a>(
    load: &'static str,
    sluice: impl Guard + 'a,
    plain: impl Guard + 'a,
    plan: &'a Plan,
    clients: &'a Load,
) -> Vec<Case<'a>> {
    let mut cases = cases_of(load, "sluice", sluice, plan, clients);
    cases.extend(cases_of(load, "RwLock<HashMap>", plain, plan, clients));
    cases
}

fn cases_of<'a, G: Guard + 'a>(
    load: &'static str,
    contender: &'static str,
    guard: G,
    plan: &'a Plan,
    clients: &'a Load,
) -> Vec<Case<'a>> {
    guard.fill(&clients.clients);
    let guard = Rc::new(guard);
    let case = |&threads| {
        let guard = Rc::clone(&guard);
        let run = Box::new(move || go_round(&*guard, clients, threads, plan.slice));
        Case { load, contender, locks: G::LOCKS, threads, run }
    };
    plan.threads.iter().map(case).collect()
}

fn go_round(guard: &impl Guard, load: &Load, threads: usize, duration: Duration) -> Measured {
    let positions = (0..threads).map(|thread| thread * LENGTH / threads);
    let mut calls: Vec<_> = positions
        .map(|first| Calls { guard, load, first, made: 0, right: 0, waited: Waited::default() })
        .collect();
    let slice = for_a_while(&mut calls, duration);
    Measured {
        slice,
        waited: calls.iter().map(|calls| calls.waited.0).sum(),
        unlike: calls.iter().map(|calls| (calls.made - calls.right) as u64).sum(),
    }
}

/// The calls of one thread, from its position in the order on.
#[repr(align(128))]
struct Calls<'a, G> {
    guard: &'a G,
    load: &'a Load,
    first: usize,
    made: usize,
    right: usize,
    waited: Waited,
}

impl<G: Guard> Caller for Calls<'_, G> {
    #[inline]
    fn call(&mut self) {
        let client = self.load.order[(self.first + self.made) & (LENGTH - 1)];
        let call = Call { client, ip: self.load.clients[client as usize], before: self.made };
        self.right += usize::from(self.guard.call(call, &mut self.waited));
        self.made += 1;
    }
}
