//! The state of one key, and its transitions. All of them run under the lock of the key's shard.

mod outcomes;

use super::failure::Remembered;
use super::initialisation::{Call, CallId, Ended, Initialisation};
use super::kept::{Age, Kept};
use crate::runtime::ThreadId;

pub(super) use outcomes::{Entered, Eviction, FailedRun, Handover, TimedOut};

/// A value, a run of an initialiser, or both: a stale value is served while it is made anew.
#[derive(Debug, Default)]
pub(super) struct Slot {
    kept: Option<Kept>,
    /// Boxed: most keys have none, and a small slot is read from fewer cache lines.
    run: Option<Box<Initialisation>>,
    /// A remembered error: calls reject with it instead of running their initialiser.
    failure: Option<Box<Remembered>>,
}

impl Slot {
    /// Bytes of an entry, at least.
    pub(super) const BYTES: u64 = size_of::<Self>() as u64;

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_none() && self.run.is_none() && self.failure.is_none()
    }

    /// The value, unless it is older than `at_most`.
    pub(super) fn kept(&self, at_most: Age, now: u64) -> Option<&Kept> {
        self.kept.as_ref().filter(|kept| kept.age(now) <= at_most)
    }

    /// The value that a call receives without waiting.
    pub(super) fn at_hand(&self, now: u64) -> Option<&Kept> {
        let kept = self.kept(Age::LastResort, now)?;
        (kept.age(now) <= Age::Stale || kept.backs_off(now)).then_some(kept)
    }

    pub(super) fn run(&self) -> Option<&Initialisation> {
        self.run.as_deref()
    }

    pub(super) fn enter(&mut self, call: Call, now: u64) -> Entered {
        if let Some(kept) = self.at_hand(now) {
            kept.mark_used();
            let value = kept.value.clone();
            if kept.age(now) == Age::Fresh {
                return Entered::Fresh(value);
            }
            let refreshes = self.run.is_none() && !kept.backs_off(now);
            if refreshes {
                self.run = Some(Box::new(Initialisation::new(call, now)));
            }
            return Entered::Stale { value, refreshes };
        }
        if let Some(run) = &mut self.run {
            run.join(call);
            return Entered::Waits { until: run.until() };
        }
        let has_last_resort = self.kept(Age::LastResort, now).is_some();
        if let Some(remembered) = self.failure.as_ref().filter(|_| !has_last_resort) {
            return Entered::Failed(remembered.failure.clone());
        }
        self.run = Some(Box::new(Initialisation::new(call, now)));
        Entered::Leads
    }

    /// A new leader begins its run. False when another call leads now.
    pub(super) fn begin(&mut self, call: CallId, now: u64) -> bool {
        match self.run_of(call) {
            Some(run) => {
                run.begin(now);
                true
            }
            None => false,
        }
    }

    /// Removes the value that the leader is about to replace and returns its weight. True when the new one may be kept.
    /// `None` when another call leads now.
    pub(super) fn prepare(&mut self, call: CallId) -> Option<(Option<u64>, bool)> {
        let may_be_kept = !self.run_of(call)?.is_invalidated();
        Some((self.take_kept(), may_be_kept))
    }

    /// Ends a run with a value. True when `kept` was kept. `None` when another call leads now.
    pub(super) fn end(&mut self, call: CallId, kept: Option<Kept>, now: u64) -> Option<(Ended, bool)> {
        let run = self.run.take_if(|run| run.is_led_by(call))?;
        let is_kept = kept.is_some() && !run.is_invalidated();
        if is_kept {
            self.kept = kept;
        }
        Some((self.next_after(*run, now), is_kept))
    }

    /// Ends a run with an error. A stale value is served for some time before the next refresh. An error from before an
    /// invalidation is not remembered. `None` when another call leads now.
    pub(super) fn fail(&mut self, call: CallId, failure: Option<Remembered>, now: u64) -> Option<FailedRun> {
        let run = self.run.take_if(|run| run.is_led_by(call))?;
        let stale = self.kept.as_mut().filter(|kept| kept.age(now) <= Age::LastResort).map(|kept| {
            kept.refresh_failed(now);
            kept.value.clone()
        });
        let failure = failure.filter(|_| !run.is_invalidated());
        let is_remembered = failure.is_some();
        let replaced = if is_remembered { self.take_failure() } else { None };
        if is_remembered {
            self.failure = failure.map(Box::new);
        }
        Some(FailedRun { ended: self.next_after(*run, now), stale, is_remembered, replaced })
    }

    /// Ends a run that took too long. Without a stale value a pending call becomes the leader. `None` when another call
    /// leads now.
    pub(super) fn time_out(
        &mut self,
        call: CallId,
        failure: Option<Remembered>,
        now: u64,
    ) -> Option<TimedOut> {
        let is_awaited = self.run_of(call)?.waiting() > 0;
        if is_awaited && self.kept(Age::LastResort, now).is_none() {
            return Some(TimedOut::HandedOver(Handover { abandoned: None, leader: self.hand_over(now) }));
        }
        self.fail(call, failure, now).map(TimedOut::Failed)
    }

    /// Removes a call. A run that it leads passes to a pending call.
    pub(super) fn leave(&mut self, call: CallId, now: u64) -> Handover {
        if self.run_of(call).is_some() {
            return Handover { abandoned: None, leader: self.hand_over(now) };
        }
        if let Some(run) = &mut self.run {
            run.leave(call);
        }
        self.end_abandoned(now)
    }

    /// As [`leave`](Self::leave), for a leader. Where calls wait for its run, the run continues for them: true.
    pub(super) fn detach(&mut self, call: CallId, now: u64) -> (bool, Option<Call>) {
        let Some(run) = self.run_of(call) else { return (false, None) };
        run.detach();
        if run.is_abandoned() { (false, self.hand_over(now)) } else { (true, None) }
    }

    /// Replaces a leader whose time is over. Returns it and the new leader.
    pub(super) fn replace_overdue(&mut self, now: u64) -> Option<(Call, Call)> {
        let overdue = self.run.as_ref().filter(|run| run.until() <= now)?.leader().clone();
        Some((overdue, self.hand_over(now)?))
    }

    /// Removes the value and marks a run as outdated. Returns the weight of the value, and whether there was a value or
    /// a run.
    pub(super) fn invalidate(&mut self) -> (Option<u64>, bool) {
        let weight = self.take_kept();
        if let Some(run) = &mut self.run {
            run.invalidate();
        }
        (weight, weight.is_some() || self.run.is_some())
    }

    /// Forgets the remembered error and returns its weight.
    pub(super) fn take_failure(&mut self) -> Option<u64> {
        self.failure.take().map(|remembered| remembered.weight())
    }

    /// Forgets a remembered error that has expired and returns its weight.
    pub(super) fn drop_expired_failure(&mut self, now: u64) -> Option<u64> {
        self.failure.take_if(|remembered| remembered.is_expired(now)).map(|remembered| remembered.weight())
    }

    /// Forgets the remembered error of this version.
    pub(super) fn forget_failure(&mut self, version: u64) -> Eviction {
        let forgotten = self.failure.take_if(|remembered| remembered.failure.version == version);
        forgotten.map_or(Eviction::Gone, |remembered| Eviction::Evicted(remembered.weight()))
    }

    pub(super) fn remembers(&self, version: u64) -> bool {
        self.failure.as_ref().is_some_and(|remembered| remembered.failure.version == version)
    }

    /// Removes an expired value and returns its weight.
    pub(super) fn drop_expired(&mut self, now: u64) -> Option<u64> {
        let is_expired = self.kept.as_ref()?.age(now) == Age::Expired;
        if is_expired { self.take_kept() } else { None }
    }

    /// Removes the value of this version, unless it is in use. `is_forced` removes it even then.
    pub(super) fn evict(&mut self, version: u64, is_forced: bool, now: u64) -> Eviction {
        let Some(kept) = self.kept.as_mut().filter(|kept| kept.value.version == version) else {
            return Eviction::Gone;
        };
        let weight = kept.weight();
        let is_expired = kept.age(now) == Age::Expired;
        if !is_expired && kept.take_used() && !is_forced {
            return Eviction::InUse;
        }
        self.kept = None;
        if is_expired { Eviction::Expired(weight) } else { Eviction::Evicted(weight) }
    }

    pub(super) fn keeps(&self, version: u64) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.value.version == version)
    }

    /// Removes the calls of a thread that ended. A run that it led passes to a pending call.
    pub(super) fn thread_ended(&mut self, thread: ThreadId, now: u64) -> Option<Handover> {
        let run = self.run.as_mut()?;
        run.leave_all_of(thread);
        if run.is_led_from(thread) {
            return Some(Handover { abandoned: None, leader: self.hand_over(now) });
        }
        Some(self.end_abandoned(now))
    }

    /// Empties the slot and returns the calls that led or waited.
    pub(super) fn close(&mut self) -> Vec<Call> {
        self.kept = None;
        self.failure = None;
        self.run.take().map(|run| run.into_calls()).unwrap_or_default()
    }

    pub(super) fn clock_was_set_back(&mut self, now: u64) {
        if let Some(kept) = &mut self.kept {
            kept.clock_was_set_back(now);
        }
        if let Some(run) = &mut self.run {
            run.clock_was_set_back(now);
        }
        if let Some(remembered) = &mut self.failure {
            remembered.clock_was_set_back(now);
        }
    }

    /// Calls that came after an invalidation get the next run.
    fn next_after(&mut self, run: Initialisation, now: u64) -> Ended {
        let (ended, next) = run.end(now);
        self.run = next.map(Box::new);
        ended
    }

    fn run_of(&mut self, call: CallId) -> Option<&mut Initialisation> {
        self.run.as_deref_mut().filter(|run| run.is_led_by(call))
    }

    fn end_abandoned(&mut self, now: u64) -> Handover {
        let Some(run) = self.run.as_ref().filter(|run| run.is_abandoned()) else {
            return Handover::default();
        };
        Handover { abandoned: Some(run.leader().clone()), leader: self.hand_over(now) }
    }

    fn hand_over(&mut self, now: u64) -> Option<Call> {
        self.run = self.run.take()?.hand_over(now).map(Box::new);
        self.run.as_ref().map(|run| run.leader().clone())
    }

    fn take_kept(&mut self) -> Option<u64> {
        self.kept.take().map(|kept| kept.weight())
    }
}
