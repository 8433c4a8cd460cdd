//! The thread of a link: connects, sends, and answers what is overdue.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::{Cmd, RedisError, Value};

use super::connection::{Connected, connect, slots_question};
use super::settle::{Next, explain};
use super::{LinkState, Shared};
use crate::answer::Failure;
use crate::back_off::BackOff;
use crate::script;

/// A node is asked how its cluster is divided once in this time at most.
const SLOTS_ASKED_EVERY: Duration = Duration::from_millis(100);

/// How long a link that was dropped goes on to give units back.
const GIVE_BACK: Duration = Duration::from_millis(100);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By the server or the network.
    Cut,
    /// An answer was so long overdue that none is expected.
    Stalled,
    /// The server takes no writes any more.
    Left,
    /// The link was dropped.
    Closing,
}

/// Starts the thread. It ends with the link.
pub(super) fn start(shared: Arc<Shared>) -> io::Result<()> {
    let run = move || {
        // An internal error ends a connection, and never the process.
        while catch_unwind(AssertUnwindSafe(|| serve(&shared))).is_err() {
            shared.failed("an internal error of the link; please report it".to_owned());
            shared.set_state(LinkState::Away);
            shared.give_up(Failure::Away);
        }
        // Of a cluster that has no such node any more.
        shared.give_up(Failure::Away);
    };
    std::thread::Builder::new().name("sluice-fleet".to_owned()).spawn(run).map(drop)
}

fn serve(shared: &Arc<Shared>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(keep_connected(shared)),
        Err(error) => {
            shared.failed(format!("no event loop for the connection: {error}"));
            shared.set_state(LinkState::Away);
            shared.give_up(Failure::Away);
        }
    }
}

async fn keep_connected(shared: &Arc<Shared>) {
    let mut back_off = BackOff::default();
    while !shared.is_closing() {
        let wait = back_off.next(fastrand::f64());
        if !wait.is_zero() {
            while_waiting(shared, tokio::time::sleep(wait)).await;
        }
        let cluster = shared.cluster();
        let attempt = while_waiting(shared, connect(&shared.place, cluster.as_deref())).await;
        drop(cluster);
        let Some(attempt) = attempt else { return };
        match attempt {
            Ok(connected) => {
                let answers = Exchange::new(shared, connected).run(&mut back_off).await;
                shared.give_up_sent();
                let state = if answers == End::Left { LinkState::Away } else { LinkState::Connecting };
                shared.set_state(state);
                // Another node may have taken its place. Not ready any more, it is not asked itself.
                shared.look_elsewhere();
            }
            Err(why) => {
                shared.failed(why);
                shared.set_state(LinkState::Away);
                shared.give_up_queued();
                shared.look_elsewhere();
            }
        }
    }
}

/// Awaits `what` while nothing can be sent: calls are answered at their deadline. `None` when the link was dropped.
async fn while_waiting<F: Future>(shared: &Shared, what: F) -> Option<F::Output> {
    tokio::pin!(what);
    loop {
        if shared.is_closing() {
            return None;
        }
        let expired = shared.work.lock().expire(Instant::now());
        if !expired.is_empty() {
            // The server has not even been reached in the time of a call.
            shared.set_state(LinkState::Away);
            shared.fail(expired, Failure::Timeout);
        }
        let next = shared.work.lock().next_deadline();
        tokio::select! {
            output = &mut what => return Some(output),
            () = shared.wake.notified() => {}
            () = sleep_until(next) => {}
        }
    }
}

/// One connection.
struct Exchange<'a> {
    shared: &'a Arc<Shared>,
    connected: Connected,
    /// What the next replies answer.
    awaited: VecDeque<Awaited>,
    asked_slots_at: Option<Instant>,
}

/// What a reply answers.
#[derive(Clone, Copy, Debug)]
enum Awaited {
    /// The script call of this number.
    Script(u64),
    /// Which node of the cluster has which slots.
    Slots,
    /// What is of no interest.
    Nothing,
}

impl<'a> Exchange<'a> {
    fn new(shared: &'a Arc<Shared>, connected: Connected) -> Self {
        shared.connected(&connected);
        Self { shared, connected, awaited: VecDeque::new(), asked_slots_at: None }
    }

    async fn run(mut self, back_off: &mut BackOff) -> End {
        loop {
            if self.shared.is_closing() {
                // What cannot be given back in this time lapses.
                let _ = tokio::time::timeout(GIVE_BACK, self.give_rest_back(back_off)).await;
                return End::Closing;
            }
            if self.answer_overdue() {
                return End::Stalled;
            }
            self.send_pending();
            self.ask_slots();
            let next = self.shared.work.lock().next_time();
            tokio::select! {
                biased;
                arrived = self.connected.wire.exchange() => {
                    let ended = match arrived {
                        Ok(()) => self.take_replies(back_off),
                        Err(error) => Err(self.cut(&error.into())),
                    };
                    if let Err(end) = ended {
                        return end;
                    }
                }
                () = self.shared.wake.notified() => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// Sends what gives units back, and awaits the answers. Nothing waits for anything else any more.
    async fn give_rest_back(&mut self, back_off: &mut BackOff) {
        loop {
            self.shared.drop_asks();
            self.send_pending();
            if self.awaited.is_empty() {
                return;
            }
            if self.connected.wire.exchange().await.is_err() || self.take_replies(back_off).is_err() {
                return;
            }
        }
    }

    fn cut(&self, error: &RedisError) -> End {
        self.shared.failed(format!("the connection to {} was cut: {}", self.connected.node, explain(error)));
        End::Cut
    }

    /// Settles what has arrived.
    fn take_replies(&mut self, back_off: &mut BackOff) -> Result<(), End> {
        let received = Instant::now();
        loop {
            match self.connected.wire.take_reply() {
                Ok(None) => return Ok(()),
                Ok(Some(reply)) => {
                    back_off.reset();
                    self.settle(reply, received)?;
                }
                Err(error) => return Err(self.cut(&error)),
            }
        }
    }

    fn settle(&mut self, reply: Value, received: Instant) -> Result<(), End> {
        match self.awaited.pop_front() {
            Some(Awaited::Script(number)) => match self.shared.settle(number, reply, received) {
                Next::Continue => {}
                Next::Send(number) => self.send(number),
                Next::Leave => return Err(End::Left),
            },
            Some(Awaited::Slots) => {
                if let Some(cluster) = self.shared.cluster() {
                    cluster.learn(&self.connected.node.address, &reply);
                }
            }
            Some(Awaited::Nothing) | None => {}
        }
        Ok(())
    }

    /// Answers the calls whose time is over; true where the connection is dead.
    fn answer_overdue(&self) -> bool {
        let now = Instant::now();
        let (expired, is_overdue, is_stalled) = {
            let mut work = self.shared.work.lock();
            let expired = work.expire(now);
            (expired, work.is_overdue(), work.is_stalled(now))
        };
        self.shared.fail(expired, Failure::Timeout);
        if is_overdue && self.shared.state() == LinkState::Ready {
            self.shared.failed("no answer in time".to_owned());
            self.shared.set_state(LinkState::Away);
            // Those that were not sent yet.
            self.shared.give_up_queued();
        }
        is_stalled
    }

    fn send_pending(&mut self) {
        while self.shared.state() == LinkState::Ready {
            let number = self.shared.work.lock().compose(Instant::now());
            let Some(number) = number else { break };
            self.send(number);
        }
    }

    fn send(&mut self, number: u64) {
        let (command, asking) = {
            let work = self.shared.work.lock();
            let Some(sent) = work.sent(number) else { return };
            let deadline = work.clock.deadline_us(sent.batch.deadline());
            (script::call_of(&sent.batch, deadline, sent.with_text), sent.batch.routing().asking)
        };
        self.shared.commands.fetch_add(1, Ordering::Relaxed);
        if asking {
            // The slot is moving to the node, which would send the call back.
            self.put(&redis::cmd("ASKING"), Awaited::Nothing);
        }
        self.put(&command, Awaited::Script(number));
    }

    fn put(&mut self, command: &Cmd, awaited: Awaited) {
        self.connected.wire.put(command);
        self.awaited.push_back(awaited);
    }

    /// Asks how the cluster is divided, where that is wanted and not just known.
    fn ask_slots(&mut self) {
        let is_wanted = self.shared.wants_slots.swap(false, Ordering::Relaxed);
        if !is_wanted || self.asked_slots_at.is_some_and(|at| at.elapsed() < SLOTS_ASKED_EVERY) {
            return;
        }
        self.asked_slots_at = Some(Instant::now());
        self.put(&slots_question(), Awaited::Slots);
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => tokio::time::sleep(Duration::from_secs(3_600)).await,
    }
}
