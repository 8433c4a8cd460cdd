//! Calls through closed circuits: a permit for each, and a report of its outcome.

use std::collections::HashMap;
use std::sync::RwLock;

use rapidhash::fast::RandomState;
use sluice_core::runtime::clock::MS;
use sluice_core::runtime::key_hash::hash_str;
use sluice_core::{CircuitBreaker, CircuitBreakerOptions, Request, ThreadId};

use super::{Call, Guard};
use crate::contenders::{Locks, NOW};
use crate::waited::Waited;

const OPEN_FOR_MS: u64 = 10_000;
/// The size of the window, and the minimum of calls in it.
const CALLS: usize = 100;
const MINIMUM: usize = 10;
const MAX_PEERS: u64 = 20_000;

pub struct Sluice(CircuitBreaker);

impl Sluice {
    pub fn new() -> Self {
        let options =
            CircuitBreakerOptions { max_peers: MAX_PEERS, ..CircuitBreakerOptions::new(OPEN_FOR_MS) };
        Self(CircuitBreaker::new("benchmark", options.try_into().expect("valid options")))
    }
}

impl Guard for Sluice {
    const LOCKS: Locks = Locks::Hidden;

    fn call(&self, call: Call, _: &mut Waited) -> bool {
        let request = Request { thread: ThreadId(1), has_deadline: false };
        let answer = self.0.try_acquire(hash_str(call.ip), call.ip, request, *NOW).expect("open");
        answer.is_ok_and(|ticket| self.0.report(ticket, false, None, *NOW))
    }
}

/// Circuits by target, behind one lock. An open circuit closes when its time is over, without a trial.
#[derive(Default)]
pub struct Plain(RwLock<HashMap<String, Circuit, RandomState>>);

#[derive(Default)]
struct Circuit {
    open_until: u64,
    /// A ring buffer: whether each of the newest calls failed.
    failed: Vec<bool>,
    oldest: usize,
    failures: usize,
}

impl Guard for Plain {
    const LOCKS: Locks = Locks::Measured;

    fn call(&self, call: Call, waited: &mut Waited) -> bool {
        let may_pass = waited.read(&self.0).get(call.ip).is_none_or(|circuit| circuit.open_until <= *NOW);
        if may_pass {
            self.report(call.ip, false, waited);
        }
        may_pass
    }
}

impl Plain {
    fn report(&self, target: &str, failed: bool, waited: &mut Waited) {
        let mut circuits = waited.write(&self.0);
        match circuits.get_mut(target) {
            Some(circuit) => circuit.report(failed, *NOW),
            None => circuits.entry(target.to_owned()).or_default().report(failed, *NOW),
        }
    }
}

impl Circuit {
    fn report(&mut self, failed: bool, now: u64) {
        if self.failed.len() < CALLS {
            self.failed.push(failed);
        } else {
            self.failures -= usize::from(self.failed[self.oldest]);
            self.failed[self.oldest] = failed;
            self.oldest = (self.oldest + 1) % CALLS;
        }
        self.failures += usize::from(failed);
        if self.failed.len() >= MINIMUM && self.failures * 2 >= self.failed.len() {
            *self = Self { open_until: now + OPEN_FOR_MS * MS, ..Self::default() };
        }
    }
}
