//! A limiter whose counts a server keeps.

mod instance;
mod leasing;
mod options;
mod planning;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use sluice_core::runtime::clock;
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{Decision, Error, MAX_LIMITS, OptionList, RateLimiter, RemoteState};

use self::planning::OwnPlan;
use crate::answer::{Answer, Failure, Source, Ticket};
use crate::client_name::ClientName;
use crate::counts::{Counters, FleetCounts};
use crate::differences::SAID_AFTER;
use crate::link::{Link, LinkStats, Manner};
use crate::operation::Operation;
use crate::plan::{Plan, of_ms};
use crate::request::{Caller, Request, Routing};

pub use self::instance::FleetConfig;
pub use self::options::{FleetOptions, Mode, OnError};

/// What a refusal without the server says about when to come again, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// A call of a limiter.
#[derive(Clone, Debug)]
pub struct Call {
    /// The client, by its name on the server.
    pub client: ClientName,
    /// The client in this process's own table.
    pub key: KeyHash,
    /// What to do.
    pub operation: Operation,
    /// The limit in place of the configured one.
    pub limit: Option<u64>,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Its answer comes.
    Sent,
    /// This is its answer.
    Answered(Answer),
    /// Its answer comes. Its thread flushes once it has no more calls.
    Left,
}

/// A limiter whose counts a server keeps, for all threads of the process.
#[derive(Debug)]
pub struct FleetLimiter {
    name: String,
    options: FleetOptions,
    /// The options in force, and the counts of `'local'`.
    local: Arc<RateLimiter>,
    link: Link,
    plan: ArcSwap<Plan>,
    /// Held while the plan is replaced.
    replacing: Mutex<()>,
    own_plans: Mutex<HashMap<u64, OwnPlan>>,
    counters: Counters,
    closed: AtomicBool,
    /// When the options are to be said again, in milliseconds since the first moment.
    says_at: AtomicU64,
    created: Instant,
    /// When a test has emptied all limiters of the process last.
    reset_at: Mutex<Option<Instant>>,
    created_with: OptionList,
}

impl FleetLimiter {
    /// A limiter with the options of `local`. Nothing is connected before the first call.
    ///
    /// # Errors
    ///
    /// `INVALID_OPTION` for a quota that the server cannot keep exactly.
    pub fn new(name: &str, options: FleetOptions, local: Arc<RateLimiter>) -> Result<Self, Error> {
        let plan = options.main_plan(name, local.config())?;
        let scope = vec![("scope", options.to_string())];
        Ok(Self {
            name: name.to_owned(),
            link: Link::to(&options.server),
            options,
            local,
            plan: ArcSwap::from_pointee(plan),
            replacing: Mutex::default(),
            own_plans: Mutex::default(),
            counters: Counters::default(),
            closed: AtomicBool::new(false),
            says_at: AtomicU64::new(planning::ms(SAID_AFTER)),
            created: Instant::now(),
            reset_at: Mutex::new(None),
            created_with: scope,
        })
    }

    /// The name it was created under.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether calls are decided by units that this process holds.
    #[must_use]
    pub fn is_leased(&self) -> bool {
        self.options.mode == Mode::Lease
    }

    /// Asks the server, or answers at once where it need not or cannot be asked. With `gathers`, more calls follow at once:
    /// they go together.
    ///
    /// # Errors
    ///
    /// The limiter is destroyed; an invalid limit for the call.
    pub fn ask(self: &Arc<Self>, call: Call, ticket: Ticket, gathers: bool) -> Result<Asked, Error> {
        self.check_open()?;
        let plan = self.plan_for(call.limit)?;
        let asked = Instant::now();
        if let Operation::Take { cost } = call.operation
            && call.limit.is_none()
            && let Some(decision) = plan.remembered.get(&call.client, cost, asked)
        {
            self.counters.remembered();
            self.counters.outcome(&decision);
            return Ok(Asked::Answered(Answer::Decided(decision, Source::Redis)));
        }
        let caller = Caller { limiter: Arc::clone(self), ticket, key: call.key };
        let deadline = asked + Duration::from_millis(self.options.timeout_ms);
        let operation = self.leased(&plan, &call);
        let Call { client, key, .. } = call;
        let request = Request {
            plan,
            client,
            key,
            operation,
            asked,
            deadline,
            caller: Some(caller),
            tries: 0,
            routing: Routing::default(),
        };
        match self.link.ask(request, if gathers { Manner::Gathers } else { Manner::Now }) {
            Ok(is_left) => {
                self.say_options(asked);
                Ok(if is_left { Asked::Left } else { Asked::Sent })
            }
            Err(refused) => Ok(Asked::Answered(self.without_server(&refused.0, call.key, refused.1))),
        }
    }

    /// Sends the calls that were left.
    pub fn flush(&self) {
        self.link.flush();
    }

    /// Leaves a call that no thread waits for, or that its thread does not await.
    #[expect(clippy::result_large_err, reason = "what is given back is what was given")]
    fn leave(&self, request: Request) -> Result<(), (Request, Failure)> {
        self.link.ask(request, Manner::Background).map(drop)
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        let is_closed = self.closed.load(Ordering::Acquire);
        if is_closed { Err(Error::Closed { name: self.name.clone() }) } else { Ok(()) }
    }

    /// Answers once the server does.
    pub fn ready(&self, ticket: Ticket) -> Option<Answer> {
        self.link.ready(ticket)
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> FleetCounts {
        self.counters.sums()
    }

    /// Refusals that are remembered now.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.plan.load().remembered.len()
    }

    /// What the link to the server has done, for all limiters that use it.
    #[must_use]
    pub fn link_stats(&self) -> LinkStats {
        self.link.stats()
    }

    /// The decision of the server on a call; refusals are remembered.
    pub(crate) fn decided(&self, request: &Request, decision: Decision, received: Instant) -> Answer {
        self.counters.decided();
        if let Some(cost) = request.operation.charges() {
            self.counters.outcome(&decision);
            let is_refused = !decision.allowed || decision.would_refuse == Some(true);
            if is_refused && Arc::ptr_eq(&request.plan, &self.plan.load()) {
                request.plan.remembered.put(&request.client, cost, decision, received);
            }
        }
        Answer::Decided(decision, Source::Redis)
    }

    /// What the server knows of the client of a call, with the units that it has just charged to each limit: `'local'` goes on
    /// from there, unless a test has emptied the limiter since the call.
    pub(crate) fn learn(
        &self,
        request: &Request,
        key: KeyHash,
        state: &RemoteState<'_>,
        charged: &[u64; MAX_LIMITS],
    ) {
        if self.options.on_error != OnError::Local || !Arc::ptr_eq(&request.plan, &self.plan.load()) {
            return;
        }
        if self.reset_at.lock().is_none_or(|reset_at| request.asked > reset_at) {
            // Fails where the limiter was destroyed meanwhile.
            let _ = self.local().learn(key, state, charged, clock::now());
        }
    }

    /// The server has done an operation that is no decision.
    pub(crate) fn done(&self, request: &Request, key: KeyHash, done: bool) -> Answer {
        self.forget(request, key);
        self.follow_locally(&request.operation, key);
        Answer::Done(done)
    }

    /// The answer to a call that the server did not decide.
    pub(crate) fn without_server(&self, request: &Request, key: KeyHash, failure: Failure) -> Answer {
        self.counters.failed(failure);
        request.note_unanswered();
        if !request.operation.decides() {
            self.forget(request, key);
            return Answer::Failed(failure);
        }
        self.counters.without_server();
        let config = &request.plan.config;
        let (decision, source) = match self.options.on_error {
            OnError::Allow => (config.describe_unasked(true, 0), Source::Allow),
            OnError::Deny => (config.describe_unasked(false, of_ms(RETRY_MS)), Source::Deny),
            OnError::Local => match self.decide_locally(request, key) {
                Ok(decision) => return Answer::Decided(decision, Source::Local),
                // Destroyed meanwhile.
                Err(_) => return Answer::Failed(failure),
            },
        };
        if request.operation.charges().is_some() {
            self.counters.outcome(&decision);
        }
        Answer::Decided(decision, source)
    }

    /// By the table of this process, which counts the call itself.
    fn decide_locally(&self, request: &Request, key: KeyHash) -> Result<Decision, Error> {
        let (local, now) = (self.local(), clock::now());
        match request.operation.charges() {
            Some(cost) if Arc::ptr_eq(&request.plan, &self.plan.load()) => local.consume(key, cost, now),
            Some(cost) => local.consume_with_limit(key, cost, request.plan.config.first_limit(), now),
            None => local.peek(key, now),
        }
    }

    /// Blocks and resets hold for the process's own count too.
    fn follow_locally(&self, operation: &Operation, key: KeyHash) {
        if self.options.on_error != OnError::Local {
            return;
        }
        // Fails where the limiter was destroyed meanwhile.
        let _ = match *operation {
            Operation::Block { duration } => {
                self.local().block(key, crate::plan::of_us(duration), clock::now())
            }
            Operation::Reset => self.local().reset(key, clock::now()),
            _ => return,
        };
    }

    /// The limiter of this process; after a reset of tests another one may have replaced it.
    pub(crate) fn local(&self) -> &Arc<RateLimiter> {
        let mut local = &self.local;
        while let Some(successor) = local.successor() {
            local = successor;
        }
        local
    }
}

#[cfg(test)]
mod tests;
