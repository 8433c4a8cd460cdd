//! What becomes of calls whose script call was answered.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use sluice_core::{MAX_LIMITS, RemoteState, RemoteVerdict};

use super::work::{Manner, Sent};
use super::{LinkState, Shared};
use crate::answer::{Answer, Deliveries, Failure};
use crate::client_name::ClientName;
use crate::composer::{Batch, Entry};
use crate::differences;
use crate::lease::{self, Round};
use crate::operation::Operation;
use crate::plan::{Plan, of_us};
use crate::reply::{EntryReply, Reply};
use crate::request::{Caller, Request};

/// A call that the server says it did not run is asked once more.
const MOST_TRIES: u8 = 2;

/// Characters of an error of the server that are shown.
const SHOWN: usize = 200;

/// What the thread does after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Goes on.
    Continue,
    /// Sends this script call, whose script the server did not know.
    Send(u64),
    /// Leaves the server, which takes no writes any more.
    Leave,
}

impl Shared {
    /// Settles the calls of a script call.
    pub(super) fn settle(self: &Arc<Self>, number: u64, reply: Value, received: Instant) -> Next {
        let Some(sent) = self.work.lock().take_sent(number, received) else { return Next::Continue };
        if let Value::ServerError(error) = reply {
            return self.settle_error(sent, &error.into(), received);
        }
        self.note_answer(&sent, received);
        if *sent.batch.operation() == Operation::Announce {
            return self.settle_options(sent.batch, &reply);
        }
        match Reply::read(&reply, &sent.batch) {
            Some(reply) => self.settle_reply(sent.batch, reply, (sent.at, received)),
            None => {
                self.failed("a reply that none of the scripts gives".to_owned());
                self.fail(waiting(sent.batch), Failure::Refused);
            }
        }
        Next::Continue
    }

    /// Another process may have other options.
    fn settle_options(&self, batch: Batch, reply: &Value) -> Next {
        let plan = batch.plan();
        differences::compare("RateLimiter", &plan.name, plan.limits_in_words.clone(), reply);
        let mut deliveries = Deliveries::default();
        for request in waiting(batch) {
            self.answer(request, &mut deliveries, |_, _| Answer::Done(true));
        }
        Next::Continue
    }

    fn note_answer(&self, sent: &Sent, received: Instant) {
        self.status.answered(received.saturating_duration_since(sent.at));
        self.set_state(LinkState::Ready);
    }

    fn settle_reply(&self, batch: Batch, reply: Reply, (sent, received): (Instant, Instant)) {
        self.work.lock().clock.saw(reply.now(), received);
        match reply {
            Reply::Late { .. } => self.ask_again(waiting(batch)),
            Reply::Done { now, entries } => {
                let mut deliveries = Deliveries::default();
                let plan = Arc::clone(batch.plan());
                if let Some(leases) = plan.leases.as_ref().filter(|_| lease::concerns(batch.operation())) {
                    let round = Round { leases, plan: &plan, now, sent: lease::on_clock(sent), received };
                    for (entry, reply) in batch.into_entries().into_iter().zip(&entries) {
                        self.settle_lease(&round, entry, reply, &mut deliveries);
                    }
                    return;
                }
                for (entry, reply) in batch.into_entries().into_iter().zip(&entries) {
                    self.settle_entry(&plan, entry, reply, (now, received), &mut deliveries);
                }
            }
        }
    }

    /// The calls that still have time are asked again, at once.
    fn ask_again(&self, requests: Vec<Request>) {
        let (again, late): (Vec<_>, Vec<_>) =
            requests.into_iter().partition(|request| request.tries + 1 < MOST_TRIES);
        let again =
            again.into_iter().map(|request| Request { tries: request.tries + 1, ..request }).collect();
        self.work.lock().ask_again(again);
        self.fail(late, Failure::Late);
    }

    fn settle_entry(
        &self,
        plan: &Arc<Plan>,
        entry: Entry,
        reply: &EntryReply,
        (now, received): (u64, Instant),
        deliveries: &mut Deliveries,
    ) {
        let Some(outcome) = reply.outcome else {
            return self.fail(entry.waiting.into(), Failure::Foreign);
        };
        let words = plan.read(&reply.doubles);
        let state = RemoteState { now: of_us(now), block: of_us(reply.block), words: &words };
        let (client, operation) = (entry.client().clone(), *entry.operation());
        let (cost, mut granted) = (operation.cost(), 0);
        if operation.decides()
            && let Some((request, caller)) = first_called(&entry)
        {
            let charged = operation.charges().map_or(0, |cost| outcome * cost);
            caller.limiter.learn(request, caller.key, &state, &[charged; MAX_LIMITS]);
        }
        for request in entry.waiting {
            let allowed = granted < outcome;
            granted += u64::from(allowed);
            self.answer(request, deliveries, |caller, request| {
                let decision = match operation {
                    Operation::Take { .. } | Operation::Lease { .. } => {
                        let verdict = RemoteVerdict { allowed, cost, charged: granted * cost };
                        plan.config.describe_remote(&state, verdict)
                    }
                    Operation::Peek => plan.config.foresee_remote(&state),
                    _ => return caller.limiter.done(request, caller.key, outcome > 0),
                };
                caller.limiter.decided(request, decision, received)
            });
        }
        if matches!(operation, Operation::Take { .. }) && outcome > granted && plan.gives_back {
            let verdict = RemoteVerdict { allowed: true, cost, charged: outcome * cost };
            let receipt = plan.config.describe_remote(&state, verdict).receipt;
            let settles = receipt.settles.map(|settles| settles / of_us(1));
            let undo = Operation::Undo { cost: (outcome - granted) * cost, charged_at: now, settles };
            self.give_back(plan, client, undo, received);
        }
    }

    /// Holds what a script call has granted beside its callers.
    fn settle_lease(&self, round: &Round<'_>, entry: Entry, reply: &EntryReply, deliveries: &mut Deliveries) {
        if reply.outcome.is_none() {
            return self.fail(entry.waiting.into(), Failure::Foreign);
        }
        let mut lease = round.of(&entry, reply);
        if let Some((request, caller)) = first_called(&entry) {
            lease.tell(&caller.limiter, request);
        }
        for request in entry.waiting {
            let verdict = lease.next(&request);
            self.answer(request, deliveries, |caller, request| {
                caller.limiter.decided(request, verdict, round.received)
            });
        }
        if let Some((client, operation)) = lease.hold() {
            self.give_back(round.plan, client, operation, round.received);
        }
    }

    /// Takes back what was charged in time, but answered after its callers were refused.
    fn give_back(&self, plan: &Arc<Plan>, client: ClientName, operation: Operation, now: Instant) {
        let plan = Arc::clone(plan);
        let deadline = now + Duration::from_secs(1);
        let request = Request { asked: now, deadline, ..Request::new(plan, client, operation) };
        self.pending.fetch_add(1, Ordering::Relaxed);
        // This thread sends it.
        let _ = self.work.lock().add(request, Manner::Background);
    }

    fn settle_error(self: &Arc<Self>, sent: Sent, error: &RedisError, received: Instant) -> Next {
        if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) && !sent.with_text {
            // It was not run, so it is sent again, with the script.
            self.note_answer(&sent, received);
            return Next::Send(self.work.lock().note_sent(sent.batch, received, true));
        }
        if let Some((cluster, redirect)) = self.redirect_of(error) {
            self.note_answer(&sent, received);
            self.follow(&cluster, redirect, sent.batch);
            return Next::Continue;
        }
        let text = explain(error);
        let leaves = has_code(error, "READONLY") || has_code(error, "MASTERDOWN");
        // An account that may not say its options decides all the same.
        if leaves || *sent.batch.operation() != Operation::Announce {
            self.failed(text);
        }
        if leaves {
            // Before its callers know, so that none of them finds it ready.
            self.set_state(LinkState::Away);
        } else {
            self.note_answer(&sent, received);
        }
        self.fail(waiting(sent.batch), Failure::Refused);
        if leaves { Next::Leave } else { Next::Continue }
    }
}

pub(super) fn waiting(batch: Batch) -> Vec<Request> {
    batch.into_entries().into_iter().flat_map(|entry| entry.waiting).collect()
}

/// Whether the server has answered with this code. Redis 6.2 wraps errors of scripts, so the text is searched as well.
pub(crate) fn has_code(error: &RedisError, code: &str) -> bool {
    error.code() == Some(code) || error.detail().is_some_and(|detail| detail.contains(code))
}

/// The error in words. Servers repeat no credentials.
pub(crate) fn explain(error: &RedisError) -> String {
    let text = match error.kind() {
        ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::CrossSlot) => {
            "the server is a node of a cluster; accepted for one: `nodes` in place of `url`".to_owned()
        }
        _ => error.to_string(),
    };
    text.chars().take(SHOWN).collect()
}

/// The first request of an entry that a caller waits for.
fn first_called(entry: &Entry) -> Option<(&Request, &Caller)> {
    entry.waiting.iter().find_map(|request| Some((request, request.caller.as_ref()?)))
}
