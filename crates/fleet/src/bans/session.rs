//! One connection: changes out, those of others in.
//!
//! The server runs commands one after the other and its messages come between the replies, in that order. So whatever it
//! says of a target is newer than everything it said before, and a change of this process that it has not answered is
//! newer than all of it.

mod sending;
mod settling;

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::{PushKind, RedisError, Value};
use sluice_core::runtime::clock;

use super::Shared;
use super::changes::{Failures, Lifted};
use super::replica::Replica;
use super::script::{self, Order};
use super::sync::Sync;
use crate::differences::Announcing;
use crate::link::{Connected, Redirect, explain};
use crate::server::Address;

/// Calls that wait for their reply at once.
const MOST_AWAITED: usize = 256;
/// How often it is looked for what is due.
const TICK: Duration = Duration::from_secs(1);
/// How often the version is compared.
const COMPARE: Duration = Duration::from_secs(5);
/// A reply that is overdue by this ends the connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long changes wait after the server has refused one.
const PAUSE: Duration = Duration::from_secs(1);

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// By an error that the next attempt may not meet.
    Failed,
    /// Another node of the cluster keeps the bans.
    Moved(Address),
    /// Nothing is shared any more.
    Closing,
}

/// What a reply answers.
#[derive(Debug)]
enum Awaited {
    /// Epoch and version; with `compares`, to see whether a message was missed.
    Hello {
        compares: bool,
    },
    Page,
    Change {
        target: String,
        lifted: Lifted,
    },
    Failures {
        client: String,
        failures: Failures,
    },
    /// What options of another process differ.
    Options {
        own: String,
    },
    Forgiven {
        client: String,
    },
}

pub(super) struct Session<'a> {
    shared: &'a Shared,
    connected: Connected,
    replica: &'a mut Replica,
    awaited: VecDeque<(Awaited, Instant)>,
    /// While all bans are being read.
    sync: Option<Sync>,
    /// Epoch and version were answered: messages count from then on.
    is_greeted: bool,
    /// The server does not know the script.
    sends_text: bool,
    /// By how much the server's clock is ahead of `started`, in ms.
    ahead: i64,
    started: Instant,
    tick_at: Instant,
    compared_at: Instant,
    /// Begun once all bans of the others are known.
    announcing: Announcing,
    paused_until: Option<Instant>,
}

impl<'a> Session<'a> {
    pub(super) fn new(shared: &'a Shared, connected: Connected, replica: &'a mut Replica) -> Self {
        let started = Instant::now();
        Self {
            shared,
            connected,
            replica,
            awaited: VecDeque::new(),
            sync: None,
            is_greeted: false,
            sends_text: false,
            ahead: 0,
            started,
            tick_at: started,
            compared_at: started,
            announcing: Announcing::default(),
            paused_until: None,
        }
    }

    /// Until the connection ends; what was sent and not answered is to be sent again. Or until nothing is shared any more.
    pub(super) async fn run(&mut self) -> End {
        let end = match tokio::time::timeout(PATIENCE, self.subscribe()).await {
            Ok(Ok(())) => self.exchange().await,
            Ok(Err(error)) => self.ended_by(&error),
            Err(_) => self.stalled(),
        };
        if end == End::Closing {
            return end;
        }
        let mut changes = self.shared.changes.lock();
        for (awaited, _) in self.awaited.drain(..) {
            if let Awaited::Change { target, lifted } = awaited {
                changes.put_back(target, lifted);
            }
        }
        changes.forget_failures();
        end
    }

    /// Subscribes first: what changes after the bans were read is then told.
    async fn subscribe(&mut self) -> Result<(), RedisError> {
        // Where the account may not load scripts, they travel with the calls.
        let loaded = self.connected.wire.ask(&script::load()).await;
        self.sends_text = loaded.is_err();
        self.connected.wire.put(redis::cmd("SUBSCRIBE").arg(&self.shared.names.channel));
        loop {
            match self.connected.wire.take_any()? {
                Some(Value::Push { kind: PushKind::Subscribe, .. }) => return Ok(()),
                Some(Value::ServerError(error)) => return Err(error.into()),
                Some(_) => {}
                None => self.connected.wire.exchange().await?,
            }
        }
    }

    async fn exchange(&mut self) -> End {
        self.greet(false);
        loop {
            if self.shared.status.is_closing() {
                return End::Closing;
            }
            if self.is_stalled() {
                return self.stalled();
            }
            if Instant::now() >= self.tick_at {
                self.tick();
            }
            self.send_pending();
            let tick = tokio::time::sleep_until(self.tick_at.into());
            tokio::select! {
                biased;
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
                () = tick => {}
            }
        }
    }

    /// Sends what is there, and awaits the answers.
    pub(super) async fn finish(&mut self) {
        while self.send_pending() || !self.awaited.is_empty() {
            if self.connected.wire.exchange().await.is_err() || self.take_all().is_err() {
                return;
            }
        }
    }

    /// What is due now and then, also while there is always something to do.
    fn tick(&mut self) {
        self.tick_at = Instant::now() + TICK;
        self.shared.reputation.expire_bans(clock::now());
        self.replica.forget_ended(self.server_now());
        self.count();
        self.say_options(Instant::now());
        if self.sync.is_none() && self.compared_at.elapsed() >= COMPARE {
            self.greet(true);
        }
    }

    /// Says the options of this process where they are due.
    fn say_options(&mut self, now: Instant) {
        if !self.announcing.take_due(now) {
            return;
        }
        let own = self.shared.reputation.rules_in_words();
        let call = self.shared.names.say(&own);
        self.connected.wire.put(&call);
        self.awaited.push_back((Awaited::Options { own }, now));
    }

    fn greet(&mut self, compares: bool) {
        self.compared_at = Instant::now();
        let epoch = format!("{:016x}", fastrand::u64(..));
        self.call(&Order::Hello { epoch: &epoch }, Awaited::Hello { compares });
    }

    fn call(&mut self, order: &Order<'_>, awaited: Awaited) {
        let call = self.shared.names.call(order, self.sends_text);
        self.connected.wire.put(&call);
        self.awaited.push_back((awaited, Instant::now()));
    }

    fn is_stalled(&self) -> bool {
        self.awaited.front().is_some_and(|(_, at)| at.elapsed() > PATIENCE)
    }

    fn stalled(&self) -> End {
        self.shared.status.failed("no answer in time".to_owned());
        End::Failed
    }

    fn ended_by(&self, error: &RedisError) -> End {
        self.shared.status.failed(format!("the connection to {}: {}", self.connected.node, explain(error)));
        match Redirect::of(error, &self.connected.node.address) {
            Some(Redirect::Moved { to, .. } | Redirect::Ask { to }) => End::Moved(to),
            _ => End::Failed,
        }
    }

    fn take_all(&mut self) -> Result<(), End> {
        loop {
            let taken = self.connected.wire.take_any();
            match taken.map_err(|error| self.ended_by(&error))? {
                None => return Ok(()),
                Some(Value::Push { kind: PushKind::Message, data }) => self.hear(&data),
                Some(Value::Push { .. }) => {}
                Some(reply) => self.settle(reply)?,
            }
        }
    }

    fn strange(&self) -> End {
        self.shared.status.failed("a reply that the script does not give".to_owned());
        End::Failed
    }

    fn count(&self) {
        self.shared.bans.store(self.replica.len() as u64, Ordering::Relaxed);
    }

    fn saw(&mut self, now: i64) {
        self.ahead = now - self.elapsed();
    }

    fn server_now(&self) -> i64 {
        self.ahead + self.elapsed()
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX / 2)
    }
}
