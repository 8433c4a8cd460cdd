//! How runs of initialisers begin, end and pass from one call to another.

use std::sync::Arc;

use super::events::{HubEvent, Notices};
use super::failure::Failed;
use super::hub::{ClientHub, FAILURES, HANDOVERS, INITIALISATIONS, TIMEOUTS};
use super::initialisation::{Call, CallId, Ended};
use super::kept::{HubValue, Kept, Retention};
use super::slot::{FailedRun, Handover, TimedOut};
use crate::runtime::key_hash::KeyHash;
use crate::{Result, ThreadId};

/// A run that its leader ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Of the value; 0 for an error.
    pub version: u64,
    /// After a failure, the stale value that the pending calls receive instead of the error.
    pub stale: Option<HubValue>,
    /// The version of the remembered error; 0 when it is not remembered.
    pub failure: u64,
    /// The calls of the leader's own thread that waited. The thread settles them itself.
    pub calls: Vec<CallId>,
}

impl ClientHub {
    /// A call that was notified to lead begins its run. False when another call leads now.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) after the hub was destroyed.
    pub fn begin(&self, key: KeyHash, call: CallId, now: u64) -> Result<bool> {
        self.check_open()?;
        let leads = self.change(key, |slot| slot.begin(call, now)).unwrap_or(false);
        if leads {
            self.counters.add(INITIALISATIONS, 1);
        }
        Ok(leads)
    }

    /// Ends a run with a value: keeps it and settles the calls that wait for it. `None` when another call leads now.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) after the hub was destroyed.
    pub fn finish(
        &self,
        key: KeyHash,
        call: CallId,
        bytes: Arc<[u8]>,
        retention: Retention,
        now: u64,
    ) -> Result<Option<Finished>> {
        self.check_open()?;
        let value = HubValue { version: self.next_number(), bytes };
        let ended = self.keep(key, call, Kept::new(value.clone(), retention, now), now);
        Ok(ended.map(|ended| {
            let calls = self.settle(ended, |calls| HubEvent::Made { calls, value: value.clone() });
            Finished { version: value.version, calls, ..Finished::default() }
        }))
    }

    /// Ends a run with an error. The pending calls reject with it, or receive a stale value where there is one. `None`
    /// when another call leads now.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) after the hub was destroyed.
    pub fn fail(&self, key: KeyHash, call: CallId, failed: &Failed, now: u64) -> Result<Option<Finished>> {
        self.check_open()?;
        let ended = self.end_failed(key, failed, now, |slot, remembered| slot.fail(call, remembered, now));
        Ok(ended.map(|(run, failure)| {
            self.counters.add(FAILURES, 1);
            self.settle_failed(run, failed, failure)
        }))
    }

    /// Removes a call. A run that it leads passes to a pending call; the leader of a run that continued for this call
    /// alone is notified.
    pub fn leave(&self, key: KeyHash, call: CallId, now: u64) {
        if let Some(handover) = self.change(key, |slot| slot.leave(call, now)) {
            self.notify(handover);
        }
    }

    /// Ends a run that took too long. Without a stale value a pending call becomes the leader. `None` when another call
    /// leads now.
    pub fn time_out(&self, key: KeyHash, call: CallId, failed: &Failed, now: u64) -> Option<Finished> {
        let ended =
            self.end_failed(key, failed, now, |slot, remembered| slot.time_out(call, remembered, now));
        let (timed_out, failure) = ended?;
        self.counters.add(TIMEOUTS, 1);
        match timed_out {
            TimedOut::Failed(run) => Some(self.settle_failed(run, failed, failure)),
            TimedOut::HandedOver(handover) => {
                self.notify(handover);
                None
            }
        }
    }

    /// The caller of a leader no longer needs the result. True when calls wait for the run, which continues for them.
    pub fn detach(&self, key: KeyHash, call: CallId, now: u64) -> bool {
        let Some((goes_on, leader)) = self.change(key, |slot| slot.detach(call, now)) else { return false };
        self.hand_over_to(leader);
        goes_on
    }

    /// A pending call replaces a leader whose time is over: the leader's thread may be suspended. Returns when to look
    /// again; `None` when the call is not pending.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`](crate::Error::Closed) after the hub was destroyed.
    pub fn look(&self, key: KeyHash, call: CallId, now: u64) -> Result<Option<u64>> {
        self.check_open()?;
        let looked = self.change(key, |slot| {
            slot.run().filter(|run| run.is_awaited_by(call))?;
            Some((slot.replace_overdue(now), slot.run()?.until()))
        });
        Ok(looked.flatten().map(|(replaced, until)| {
            if let Some((overdue, leader)) = replaced {
                self.counters.add(TIMEOUTS, 1);
                self.hand_over_to(Some(leader));
                let mut notices = Notices::default();
                notices.replaced(overdue);
                notices.send();
            }
            until
        }))
    }

    /// Removes the calls of a thread that ended. Runs that it led pass to pending calls.
    pub fn thread_ended(&self, thread: ThreadId, now: u64) {
        let mut handovers = Vec::new();
        self.slots.retain(|_, slot| {
            handovers.extend(slot.thread_ended(thread, now));
            !slot.is_empty()
        });
        for handover in handovers {
            self.notify(handover);
        }
    }

    fn settle_failed(&self, run: FailedRun, failed: &Failed, failure: u64) -> Finished {
        let FailedRun { ended, stale, .. } = run;
        let calls = self.settle(ended, |calls| match &stale {
            Some(value) => HubEvent::Made { calls, value: value.clone() },
            None => HubEvent::Failed { calls, error: Arc::clone(&failed.error) },
        });
        Finished { version: 0, stale, failure, calls }
    }

    /// Notifies the calls that waited for a run, except those of the leader's own thread, which it returns; and the
    /// leader of the next run.
    fn settle(&self, ended: Ended, event: impl Fn(Vec<CallId>) -> HubEvent) -> Vec<CallId> {
        let Ended { leader, waiters, next } = ended;
        let is_own = |call: &Call| call.caller.is_same(&leader.caller);
        let (own, others): (Vec<_>, Vec<_>) = waiters.into_iter().partition(is_own);
        let mut notices = Notices::default();
        notices.settle(others, event);
        if let Some(next) = next {
            notices.lead(next);
        }
        notices.send();
        own.into_iter().map(|call| call.id).collect()
    }

    fn notify(&self, Handover { abandoned, leader }: Handover) {
        let mut notices = Notices::default();
        if let Some(abandoned) = abandoned {
            notices.abandoned(abandoned);
        }
        notices.send();
        self.hand_over_to(leader);
    }

    fn hand_over_to(&self, leader: Option<Call>) {
        let Some(leader) = leader else { return };
        self.counters.add(HANDOVERS, 1);
        let mut notices = Notices::default();
        notices.lead(leader);
        notices.send();
    }
}
