//! One connection to the server: one call out at a time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use redis::{Cmd, ErrorKind, RedisError, ServerErrorKind, Value};

use super::Shared;
use super::book::Batch;
use super::script::{self, Reply, Terms};
use super::serving::Beats;
use crate::answer::Failure;
use crate::deadline::ServerClock;
use crate::differences::{self, Announcing, SAID_AFTER};
use crate::link::{Connected, LinkState, Redirect, explain, has_code};
use crate::server::Address;

/// A reply that is overdue by so many times the timeout ends the connection.
const STALLED: u32 = 10;
/// But not before this.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long nothing is said that nothing waits for, after the server has refused a call.
const PAUSE: Duration = Duration::from_secs(1);

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By an error that the next attempt may not meet.
    Failed,
    /// Another node of the cluster keeps the counts.
    Moved(Address),
    /// Nothing is counted together any more.
    Closing,
}

/// What a reply answers.
#[derive(Debug)]
enum Awaited {
    /// The server keeps the script, or may not: then each call sends it.
    Load,
    Call {
        batch: Batch,
        with_text: bool,
    },
    /// What options of another process differ.
    Options {
        own: String,
    },
}

pub(super) struct Session<'a> {
    shared: &'a Shared,
    connected: Connected,
    beats: &'a mut Beats,
    clock: ServerClock,
    awaited: VecDeque<(Awaited, Instant)>,
    paused_until: Option<Instant>,
    announcing: Announcing,
    has_settled: bool,
}

impl<'a> Session<'a> {
    pub(super) fn new(shared: &'a Shared, connected: Connected, beats: &'a mut Beats) -> Self {
        let now = Instant::now();
        let mut clock = ServerClock::new(now);
        if let Some((server_us, received)) = connected.clock {
            clock.saw(server_us, received);
        }
        let mut announcing = Announcing::default();
        announcing.begin(now + SAID_AFTER);
        let awaited = VecDeque::new();
        Self { shared, connected, beats, clock, awaited, paused_until: None, announcing, has_settled: false }
    }

    /// Whether the server has answered a call, and neither named another node nor ended the connection by it.
    pub(super) fn has_settled(&self) -> bool {
        self.has_settled
    }

    /// Until the connection ends, or nothing is counted together any more. What this process holds is said again first: the
    /// server may have lost it.
    pub(super) async fn run(&mut self) -> End {
        self.put(&script::load(), Awaited::Load, Instant::now());
        self.shared.book.lock().tell_all();
        self.shared.status.set_state(LinkState::Ready);
        loop {
            if self.shared.status.is_closing() {
                return End::Closing;
            }
            let now = Instant::now();
            self.beats.look(self.shared, now);
            self.shared.expire(now);
            if self.is_stalled(now) {
                self.shared.status.failed(format!("no answer from {} in time", self.connected.node));
                return End::Failed;
            }
            self.send(now);
            let look = self.next_look(now);
            tokio::select! {
                arrived = self.connected.wire.exchange() => {
                    let taken = match arrived {
                        Ok(()) => self.take_all(),
                        Err(error) => Err(self.ended_by(&error.into())),
                    };
                    if let Err(end) = taken {
                        return end;
                    }
                }
                () = self.shared.wake.notified() => {}
                () = tokio::time::sleep_until(look.into()) => {}
            }
        }
    }

    /// Says that this process holds nothing any more, as far as it was given back, and awaits the answers.
    pub(super) async fn finish(&mut self) {
        loop {
            self.send(Instant::now());
            if self.awaited.is_empty() {
                return;
            }
            if self.connected.wire.exchange().await.is_err() || self.take_all().is_err() {
                return;
            }
        }
    }

    /// When something is due again.
    fn next_look(&self, now: Instant) -> Instant {
        let look = self.shared.next_look(now, self.beats);
        look.min(self.stalls_at().or(self.announcing.next()).unwrap_or(look))
    }

    fn stalls_at(&self) -> Option<Instant> {
        let patience = (Duration::from_millis(self.shared.options.timeout_ms) * STALLED).max(PATIENCE);
        self.awaited.front().map(|(_, sent)| *sent + patience)
    }

    fn is_stalled(&self, now: Instant) -> bool {
        self.stalls_at().is_some_and(|stalls_at| now >= stalls_at)
    }

    /// Sends what there is to say, unless a call is out.
    fn send(&mut self, now: Instant) {
        self.say_options(now);
        let tells = self.paused_until.is_none_or(|until| now >= until);
        let batch = {
            let mut book = self.shared.book.lock();
            if self.shared.status.state() == LinkState::Away && tells && !book.is_out() {
                book.probe();
            }
            book.compose(tells)
        };
        if let Some(batch) = batch {
            self.call(batch, false, now);
        }
    }

    fn call(&mut self, batch: Batch, with_text: bool, now: Instant) {
        let deadline_us = batch.deadline.map_or(0, |deadline| self.clock.deadline_us(deadline));
        let lease_us = u64::try_from(self.shared.lease().as_micros()).unwrap_or(u64::MAX);
        let terms = Terms { lease_us, caps: self.shared.tracker.caps(), deadline_us };
        let call = self.shared.names.call(&batch, &terms, with_text);
        self.put(&call, Awaited::Call { batch, with_text }, now);
        self.shared.status.sent();
    }

    fn put(&mut self, call: &Cmd, awaited: Awaited, now: Instant) {
        self.connected.wire.put(call);
        self.awaited.push_back((awaited, now));
    }

    /// Says the options of this process where they are due.
    fn say_options(&mut self, now: Instant) {
        if !self.announcing.take_due(now) {
            return;
        }
        let own = self.shared.tracker.caps_in_words();
        let call = self.shared.names.say(&own);
        self.put(&call, Awaited::Options { own }, now);
    }

    fn take_all(&mut self) -> Result<(), End> {
        loop {
            let taken = self.connected.wire.take_any();
            match taken.map_err(|error| self.ended_by(&error))? {
                None => return Ok(()),
                Some(Value::Push { .. }) => {}
                Some(reply) => self.settle(reply)?,
            }
        }
    }

    fn settle(&mut self, reply: Value) -> Result<(), End> {
        let Some((awaited, sent)) = self.awaited.pop_front() else { return Ok(()) };
        match (awaited, reply) {
            // An account that may not say its options is counted all the same.
            (Awaited::Load, _) | (Awaited::Options { .. }, Value::ServerError(_)) => {}
            (Awaited::Options { own }, reply) => {
                self.has_settled = true;
                differences::compare("ConnectionTracker", &self.shared.names.name, own, &reply);
            }
            (Awaited::Call { batch, with_text }, Value::ServerError(error)) => {
                return self.settle_error(batch, with_text, &error.into());
            }
            (Awaited::Call { batch, .. }, reply) => self.settle_call(&batch, &reply, sent),
        }
        Ok(())
    }

    fn settle_call(&mut self, batch: &Batch, reply: &Value, sent: Instant) {
        let (shared, received) = (self.shared, Instant::now());
        self.has_settled = true;
        shared.status.answered(received.saturating_duration_since(sent));
        shared.status.set_state(LinkState::Ready);
        let reply = Reply::read(reply, batch.entries.len());
        if let Some(reply) = &reply {
            self.clock.saw(reply.now(), received);
        }
        match reply {
            Some(Reply::Done { all, grants, .. }) => {
                shared.counters.counted(all);
                let settled = shared.book.lock().settle(grants);
                shared.decide(settled);
            }
            Some(Reply::Late { .. }) => {
                let late = shared.book.lock().not_run();
                shared.fail(late, Failure::Late);
            }
            Some(Reply::Foreign { .. }) => self.refused(
                Failure::Foreign,
                "the key of all connections holds something that this library did not write".to_owned(),
            ),
            None => self.refused(Failure::Refused, "a reply that the script does not give".to_owned()),
        }
    }

    /// The server has not run a call.
    fn settle_error(&mut self, batch: Batch, with_text: bool, error: &RedisError) -> Result<(), End> {
        let now = Instant::now();
        if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) && !with_text {
            self.call(batch, true, now);
            return Ok(());
        }
        let end = self.ended_by(error);
        if matches!(end, End::Moved(_)) {
            let over = self.shared.book.lock().not_run();
            self.shared.fail(over, Failure::Refused);
            return Err(end);
        }
        self.shared.status.set_state(LinkState::Ready);
        self.refused(Failure::Refused, format!("{}: {}", self.connected.node, explain(error)));
        if has_code(error, "READONLY") || has_code(error, "MASTERDOWN") {
            return Err(end);
        }
        self.has_settled = true;
        Ok(())
    }

    /// The server refuses what it was told. What nothing waits for is said later.
    fn refused(&mut self, failure: Failure, why: String) {
        self.shared.status.failed(why);
        // A pause that runs is not made longer, or a process that asks all the time would never tell anything again.
        let now = Instant::now();
        if self.paused_until.is_none_or(|until| now >= until) {
            self.paused_until = Some(now + PAUSE);
        }
        let refused = self.shared.book.lock().lost();
        self.shared.fail(refused, failure);
    }

    fn ended_by(&self, error: &RedisError) -> End {
        self.shared.status.failed(format!("the connection to {}: {}", self.connected.node, explain(error)));
        match Redirect::of(error, &self.connected.node.address) {
            Some(Redirect::Moved { to, .. }) => End::Moved(to),
            // While a slot moves, this node answers again or names the other for good.
            _ => End::Failed,
        }
    }
}
