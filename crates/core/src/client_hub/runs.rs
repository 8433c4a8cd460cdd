//! How the runs of initialisers begin and end, and pass from one call to another.

use std::sync::Arc;

use super::failure::Failed;
use super::hub::{ClientHub, FAILURES, HANDOVERS, INITIALISATIONS, TIMEOUTS};
use super::initialisation::{Call, CallId, Ended};
use super::kept::{HubValue, Kept, Retention};
use super::news::{HubNews, Notices};
use super::slot::{FailedRun, TimedOut, Turnover};
use crate::runtime::key_hash::KeyHash;
use crate::{Result, ThreadId};

/// A run that its leader ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Of the value; 0 of an error.
    pub version: u64,
    /// After a failure, the stale value that the waiting calls receive instead of the error.
    pub stale: Option<HubValue>,
    /// The version of the remembered error; 0 when it is not remembered.
    pub failure: u64,
    /// Those of the leader's own thread who waited: it tells them itself.
    pub calls: Vec<CallId>,
}

impl ClientHub {
    /// A leader that was told so begins; false when its turn is over.
    pub fn begin(&self, key: KeyHash, call: CallId, now: u64) -> Result<bool> {
        self.check_open()?;
        let leads = self.change(key, |slot| slot.begin(call, now)).unwrap_or(false);
        if leads {
            self.counters.add(INITIALISATIONS, 1);
        }
        Ok(leads)
    }

    /// A leader has a value: it is kept, and those who wait are told. `None` when it leads no more.
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
            let calls = self.settle(ended, |calls| HubNews::Made { calls, value: value.clone() });
            Finished { version: value.version, calls, ..Finished::default() }
        }))
    }

    /// Ends a run with an error. The waiting calls reject with it, or receive a stale value where there is one. `None`
    /// when the call leads no more.
    pub fn fail(&self, key: KeyHash, call: CallId, failed: &Failed, now: u64) -> Result<Option<Finished>> {
        self.check_open()?;
        let ended = self.end_failed(key, failed, now, |slot, remembered| slot.fail(call, remembered, now));
        Ok(ended.map(|(run, failure)| {
            self.counters.add(FAILURES, 1);
            self.settle_failed(run, failed, failure)
        }))
    }

    /// A call waits no more; if it was to lead, another does. A leader that went on for it alone is told.
    pub fn leave(&self, key: KeyHash, call: CallId, now: u64) {
        if let Some(turnover) = self.change(key, |slot| slot.leave(call, now)) {
            self.tell(turnover);
        }
    }

    /// Ends a run that took too long. Without a stale value a waiting call becomes the leader. `None` when another call
    /// leads now.
    pub fn time_out(&self, key: KeyHash, call: CallId, failed: &Failed, now: u64) -> Option<Finished> {
        let ended =
            self.end_failed(key, failed, now, |slot, remembered| slot.time_out(call, remembered, now));
        let (timed_out, failure) = ended?;
        self.counters.add(TIMEOUTS, 1);
        match timed_out {
            TimedOut::Failed(run) => Some(self.settle_failed(run, failed, failure)),
            TimedOut::HandedOver(turnover) => {
                self.tell(turnover);
                None
            }
        }
    }

    /// Nobody in the leader's thread wants its result any more. True when others do, and it goes on.
    pub fn detach(&self, key: KeyHash, call: CallId, now: u64) -> bool {
        let Some((goes_on, leader)) = self.change(key, |slot| slot.detach(call, now)) else { return false };
        self.hand_over_to(leader);
        goes_on
    }

    /// A call that waits makes sure that the leader's time is not over: its thread may stand still. When to look
    /// again; `None` when the call does not wait any more.
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

    /// A thread has ended: its calls wait no more, and what it led is led by another.
    pub fn thread_ended(&self, thread: ThreadId, now: u64) {
        let mut turnovers = Vec::new();
        self.slots.retain(|_, slot| {
            turnovers.extend(slot.thread_ended(thread, now));
            !slot.is_empty()
        });
        for turnover in turnovers {
            self.tell(turnover);
        }
    }

    fn settle_failed(&self, run: FailedRun, failed: &Failed, failure: u64) -> Finished {
        let FailedRun { ended, stale, .. } = run;
        let calls = self.settle(ended, |calls| match &stale {
            Some(value) => HubNews::Made { calls, value: value.clone() },
            None => HubNews::Failed { calls, error: Arc::clone(&failed.error) },
        });
        Finished { version: 0, stale, failure, calls }
    }

    /// Tells those who waited for a run, except those of the leader's own thread; and the leader of the next run.
    fn settle(&self, ended: Ended, news: impl Fn(Vec<CallId>) -> HubNews) -> Vec<CallId> {
        let Ended { leader, waiters, next } = ended;
        let is_own = |call: &Call| call.caller.is_same(&leader.caller);
        let (own, others): (Vec<_>, Vec<_>) = waiters.into_iter().partition(is_own);
        let mut notices = Notices::default();
        notices.settle(others, news);
        if let Some(next) = next {
            notices.lead(next);
        }
        notices.send();
        own.into_iter().map(|call| call.id).collect()
    }

    fn tell(&self, Turnover { abandoned, leader }: Turnover) {
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
