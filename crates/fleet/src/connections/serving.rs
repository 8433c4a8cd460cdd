//! The thread: connects, and connects again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Shared;
use super::session::{End, Session};
use crate::answer::Failure;
use crate::back_off::BackOff;
use crate::link::{LinkState, connect};
use crate::places::Places;

/// How long what was given back before the end is still said.
const FINISH: Duration = Duration::from_millis(100);

/// How often it is looked at least for what is due.
const TICK: Duration = Duration::from_secs(1);

/// Until nothing is counted together any more.
pub(super) fn run(shared: &Arc<Shared>, back_off: &mut BackOff) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(keep_connected(shared, back_off)),
        Err(error) => {
            shared.status.failed(format!("no event loop for the connection: {error}"));
            shared.is_away();
        }
    }
}

async fn keep_connected(shared: &Shared, back_off: &mut BackOff) {
    let (mut places, mut beats) = (Places::default(), Beats::new(shared.lease()));
    while !shared.status.is_closing() {
        let wait = back_off.next(fastrand::f64());
        if while_waiting(shared, &mut beats, tokio::time::sleep(wait)).await.is_none() {
            return;
        }
        let place = places.next(&shared.options.server.0);
        let Some(attempt) = while_waiting(shared, &mut beats, connect(&place, None)).await else { return };
        match attempt {
            Err(why) => {
                places.failed();
                shared.status.failed(why);
                shared.is_away();
            }
            Ok(connected) => {
                shared.status.connected(&connected);
                let mut session = Session::new(shared, connected, &mut beats);
                let end = session.run().await;
                if session.has_settled() {
                    back_off.reset();
                }
                if end == End::Closing {
                    let _ = tokio::time::timeout(FINISH, session.finish()).await;
                    return;
                }
                let lost = shared.book.lock().lost();
                shared.fail(lost, Failure::Away);
                match end {
                    End::Moved(to) => places.moved(to),
                    _ => places.failed(),
                }
                shared.status.set_state(LinkState::Connecting);
            }
        }
    }
}

/// Awaits `what`, while questions become overdue. `None` when nothing is counted together any more.
async fn while_waiting<F: Future>(shared: &Shared, beats: &mut Beats, what: F) -> Option<F::Output> {
    tokio::pin!(what);
    loop {
        if shared.status.is_closing() {
            return None;
        }
        let now = Instant::now();
        beats.look(shared, now);
        shared.expire(now);
        tokio::select! {
            output = &mut what => return Some(output),
            () = shared.wake.notified() => {}
            () = tokio::time::sleep_until(shared.next_look(now, beats).into()) => {}
        }
    }
}

/// When this process says again what it holds.
pub(super) struct Beats {
    every: Duration,
    next: Instant,
}

impl Beats {
    fn new(lease: Duration) -> Self {
        let every = lease / 3;
        Self { every, next: Instant::now() + every }
    }

    /// Says everything again where it is time to.
    pub(super) fn look(&mut self, shared: &Shared, now: Instant) {
        if now >= self.next {
            self.next = now + self.every;
            shared.book.lock().beat();
        }
    }
}

impl Shared {
    /// Answers questions that are overdue. A server that lets one become overdue is away until it answers.
    pub(super) fn expire(&self, now: Instant) {
        let overdue = self.book.lock().expire(now);
        if !overdue.is_empty() {
            self.is_away();
            self.fail(overdue, Failure::Timeout);
        }
    }

    /// When something is due again.
    pub(super) fn next_look(&self, now: Instant, beats: &Beats) -> Instant {
        let deadline = self.book.lock().next_deadline();
        (now + TICK).min(beats.next).min(deadline.unwrap_or(beats.next))
    }
}
