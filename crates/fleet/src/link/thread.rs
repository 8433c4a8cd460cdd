//! The thread of a link: connects, sends, and answers what is overdue.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use redis::{RedisError, Value};

use super::connection::{Connected, connect, slots_question};
use super::outlet::Awaited;
use super::settle::{Next, explain};
use super::work::Turn;
use super::{LinkState, Shared};
use crate::answer::Failure;
use crate::back_off::BackOff;

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
                let end = Exchange::new(shared, connected).run(&mut back_off).await;
                shared.give_up_sent();
                let state = if end == End::Left { LinkState::Away } else { LinkState::Connecting };
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
        let next = shared.work.lock().rest_unconnected();
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
    asked_slots_at: Option<Instant>,
}

impl Drop for Exchange<'_> {
    /// No thread writes to the connection any more, however it has ended.
    fn drop(&mut self) {
        self.shared.outlet.lock().close();
    }
}

impl<'a> Exchange<'a> {
    fn new(shared: &'a Arc<Shared>, connected: Connected) -> Self {
        shared.outlet.lock().open(connected.wire.socket());
        shared.connected(&connected);
        Self { shared, connected, asked_slots_at: None }
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
            self.ask_slots();
            self.send_pending(Turn::Due);
            let next = self.shared.work.lock().rest(Instant::now());
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
            self.send_pending(Turn::Flush);
            if self.shared.outlet.lock().awaits_nothing() {
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
        let awaited = self.shared.outlet.lock().next_awaited();
        match awaited {
            Some(Awaited::Script(number)) => match self.shared.settle(number, reply, received) {
                Next::Continue => {}
                Next::Send(number) => self.shared.put_call(&mut self.shared.outlet.lock(), number),
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

    /// Sends the calls whose turn it is, and what others have put into the outlet.
    fn send_pending(&mut self, turn: Turn) {
        let mut outlet = self.shared.outlet.lock();
        self.shared.put_calls(&mut outlet, turn);
        outlet.write();
        outlet.hand_over(&mut self.connected.wire);
    }

    /// Asks how the cluster is divided, where that is wanted and not just known.
    fn ask_slots(&mut self) {
        let is_wanted = self.shared.wants_slots.swap(false, Ordering::Relaxed);
        if !is_wanted || self.asked_slots_at.is_some_and(|at| at.elapsed() < SLOTS_ASKED_EVERY) {
            return;
        }
        self.asked_slots_at = Some(Instant::now());
        self.shared.outlet.lock().put(&slots_question(), Awaited::Slots);
    }
}

async fn sleep_until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => tokio::time::sleep(Duration::from_secs(3_600)).await,
    }
}
