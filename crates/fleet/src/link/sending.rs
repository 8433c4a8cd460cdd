//! Asking, and sending what was asked, from any thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::outlet::{Awaited, Outlet};
use super::work::{Manner, Step, Turn};
use super::{LinkState, Shared};
use crate::answer::Failure;
use crate::request::Request;
use crate::script;

/// Calls of the process that one link holds.
const MOST_PENDING: usize = 10_000;

impl Shared {
    /// Leaves a call for the server; gives it back where it cannot be asked. Whether the caller must [`flush`](Self::flush).
    #[expect(clippy::result_large_err, reason = "what is given back is what was given")]
    pub(super) fn ask(
        self: &Arc<Self>,
        request: Request,
        manner: Manner,
    ) -> Result<bool, (Request, Failure)> {
        if self.state() == LinkState::Away {
            return Err((request, Failure::Away));
        }
        // Relaxed: a bound, which publishes nothing.
        if self.pending.fetch_add(1, Ordering::Relaxed) >= MOST_PENDING {
            self.pending.fetch_sub(1, Ordering::Relaxed);
            return Err((request, Failure::Full));
        }
        let (step, must_wake) = self.work.lock().add(request, manner);
        if step == Step::Send {
            self.send_from_here(Turn::Due);
        }
        if must_wake {
            self.wake.notify_one();
        }
        self.start();
        Ok(step == Step::Flush)
    }

    /// Sends what callers have left.
    pub(super) fn flush(&self) {
        self.send_from_here(Turn::Flush);
    }

    /// Sends calls from the thread of a caller, which never waits: where another thread is about it, or the connection takes
    /// no more, the thread of the link goes on.
    pub(super) fn send_from_here(&self, turn: Turn) {
        let is_done = match self.outlet.try_lock() {
            Some(mut outlet) if outlet.is_open() => {
                self.put_calls(&mut outlet, turn);
                !outlet.write()
            }
            // While there is no connection nothing is sent.
            Some(_) => true,
            None => false,
        };
        if !is_done {
            self.wake.notify_one();
        }
    }

    /// Puts the calls whose turn it is into the outlet.
    pub(super) fn put_calls(&self, outlet: &mut Outlet, turn: Turn) {
        while self.state() == LinkState::Ready {
            let number = self.work.lock().compose(Instant::now(), turn);
            let Some(number) = number else { break };
            self.put_call(outlet, number);
        }
    }

    /// Puts a script call into the outlet.
    pub(super) fn put_call(&self, outlet: &mut Outlet, number: u64) {
        let (command, asking) = {
            let work = self.work.lock();
            let Some(sent) = work.sent(number) else { return };
            let deadline = work.clock.deadline_us(sent.batch.deadline());
            (script::call_of(&sent.batch, deadline, sent.with_text), sent.batch.routing().asking)
        };
        self.status.sent();
        if asking {
            // The slot is moving to the node, which would send the call back.
            outlet.put(&redis::cmd("ASKING"), Awaited::Nothing);
        }
        outlet.put(&command, Awaited::Script(number));
    }
}
