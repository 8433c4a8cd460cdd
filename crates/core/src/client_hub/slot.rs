//! What there is of one key, and the rules by which it changes. Whoever calls holds the lock of the key's shard.

use super::initialisation::{Call, CallId, Ended, Initialisation};
use super::kept::{Age, HubValue, Kept};
use crate::connection_tracker::Owner;

/// A value, a run of an initialiser, or both: a stale value is read while it is made anew.
#[derive(Debug, Default)]
pub(super) struct Slot {
    kept: Option<Kept>,
    /// Apart: most keys have none, and reads shall find theirs in few lines of memory.
    run: Option<Box<Initialisation>>,
}

impl Slot {
    /// Least bytes of an entry.
    pub(super) const BYTES: u64 = size_of::<Self>() as u64;
}

/// What a call finds.
#[derive(Debug)]
pub(super) enum Entered {
    Fresh(HubValue),
    /// The call may refresh it in the background, if nobody does.
    Stale {
        value: HubValue,
        refreshes: bool,
    },
    Leads,
    /// For the leader, whose time is over then.
    Waits {
        until: u64,
    },
}

/// What the search for a place finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GaveWay {
    /// Another value is there, or none.
    Gone,
    /// It was read meanwhile.
    InUse,
    /// Nobody reads it any more: so many bytes are free.
    Expired(u64),
    Evicted(u64),
}

/// A run that came to no end, and the next.
#[derive(Debug, Default)]
pub(super) struct Turnover {
    /// Its leader, where that does not know: nobody wants what it makes any more.
    pub(super) abandoned: Option<Call>,
    /// Who leads in its place.
    pub(super) leader: Option<Call>,
}

impl Slot {
    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_none() && self.run.is_none()
    }

    /// The value, while it may be answered with.
    pub(super) fn kept(&self, at_most: Age, now: u64) -> Option<&Kept> {
        self.kept.as_ref().filter(|kept| match kept.age(now) {
            Age::Fresh => true,
            Age::Stale => at_most == Age::Stale,
            Age::Expired => false,
        })
    }

    pub(super) fn run(&self) -> Option<&Initialisation> {
        self.run.as_deref()
    }

    pub(super) fn enter(&mut self, call: Call, now: u64) -> Entered {
        if let Some(kept) = self.kept(Age::Stale, now) {
            kept.mark_used();
            let value = kept.value.clone();
            if kept.age(now) == Age::Fresh {
                return Entered::Fresh(value);
            }
            let refreshes = self.run.is_none();
            self.run.get_or_insert_with(|| Box::new(Initialisation::new(call, now)));
            return Entered::Stale { value, refreshes };
        }
        match &mut self.run {
            Some(run) => {
                run.join(call);
                Entered::Waits { until: run.until() }
            }
            None => {
                self.run = Some(Box::new(Initialisation::new(call, now)));
                Entered::Leads
            }
        }
    }

    /// A leader begins what it was told to; false when its turn is over.
    pub(super) fn begin(&mut self, call: CallId, now: u64) -> bool {
        match self.run_of(call) {
            Some(run) => {
                run.begin(now);
                true
            }
            None => false,
        }
    }

    /// A leader has a value: the one there was goes, and this is its weight. True when the new one may be kept.
    pub(super) fn prepare(&mut self, call: CallId) -> Option<(Option<u64>, bool)> {
        let may_be_kept = !self.run_of(call)?.is_invalidated();
        Some((self.take_kept(), may_be_kept))
    }

    /// A leader came to an end; `None` when it is no leader any more. True when `kept` was kept.
    pub(super) fn end(&mut self, call: CallId, kept: Option<Kept>, now: u64) -> Option<(Ended, bool)> {
        let run = self.run.take_if(|run| run.is_led_by(call))?;
        let is_kept = kept.is_some() && !run.is_invalidated();
        if is_kept {
            self.kept = kept;
        }
        let (ended, next) = run.end(now);
        self.run = next.map(Box::new);
        Some((ended, is_kept))
    }

    /// A call waits no more, or gives up its turn.
    pub(super) fn leave(&mut self, call: CallId, now: u64) -> Turnover {
        if self.run_of(call).is_some() {
            return Turnover { abandoned: None, leader: self.hand_over(now) };
        }
        if let Some(run) = &mut self.run {
            run.leave(call);
        }
        self.end_abandoned(now)
    }

    /// As [`leave`](Self::leave), of a leader whose result others may wait for: true when it goes on for them.
    pub(super) fn detach(&mut self, call: CallId, now: u64) -> (bool, Option<Call>) {
        let Some(run) = self.run_of(call) else { return (false, None) };
        run.detach();
        if run.is_abandoned() { (false, self.hand_over(now)) } else { (true, None) }
    }

    /// A leader whose time is over, and whoever leads in its place.
    pub(super) fn replace_overdue(&mut self, now: u64) -> Option<(Call, Call)> {
        let overdue = self.run.as_ref().filter(|run| run.until() <= now)?.leader().clone();
        Some((overdue, self.hand_over(now)?))
    }

    /// Nothing of before is kept from now on: the weight of the value there was, and whether there was anything.
    pub(super) fn invalidate(&mut self) -> (Option<u64>, bool) {
        let weight = self.take_kept();
        if let Some(run) = &mut self.run {
            run.invalidate();
        }
        (weight, weight.is_some() || self.run.is_some())
    }

    /// The weight of a value whose time is over.
    pub(super) fn drop_expired(&mut self, now: u64) -> Option<u64> {
        let is_expired = self.kept.as_ref()?.age(now) == Age::Expired;
        if is_expired { self.take_kept() } else { None }
    }

    /// Gives up the value of this version, unless it is in use; `must` asks no more.
    pub(super) fn give_way(&mut self, version: u64, must: bool, now: u64) -> GaveWay {
        let Some(kept) = self.kept.as_mut().filter(|kept| kept.value.version == version) else {
            return GaveWay::Gone;
        };
        let weight = kept.weight();
        let is_expired = kept.age(now) == Age::Expired;
        if !is_expired && kept.take_used() && !must {
            return GaveWay::InUse;
        }
        self.kept = None;
        if is_expired { GaveWay::Expired(weight) } else { GaveWay::Evicted(weight) }
    }

    pub(super) fn keeps(&self, version: u64) -> bool {
        self.kept.as_ref().is_some_and(|kept| kept.value.version == version)
    }

    /// A thread has ended.
    pub(super) fn release_owner(&mut self, owner: Owner, now: u64) -> Option<Turnover> {
        let run = self.run.as_mut()?;
        run.leave_all_of(owner);
        if run.is_led_from(owner) {
            return Some(Turnover { abandoned: None, leader: self.hand_over(now) });
        }
        Some(self.end_abandoned(now))
    }

    /// Everybody who waits or leads.
    pub(super) fn close(&mut self) -> Vec<Call> {
        self.kept = None;
        self.run.take().map(|run| run.into_calls()).unwrap_or_default()
    }

    pub(super) fn clock_was_set_back(&mut self, now: u64) {
        if let Some(kept) = &mut self.kept {
            kept.clock_was_set_back(now);
        }
        if let Some(run) = &mut self.run {
            run.clock_was_set_back(now);
        }
    }

    fn run_of(&mut self, call: CallId) -> Option<&mut Initialisation> {
        self.run.as_deref_mut().filter(|run| run.is_led_by(call))
    }

    fn end_abandoned(&mut self, now: u64) -> Turnover {
        let Some(run) = self.run.as_ref().filter(|run| run.is_abandoned()) else {
            return Turnover::default();
        };
        Turnover { abandoned: Some(run.leader().clone()), leader: self.hand_over(now) }
    }

    fn hand_over(&mut self, now: u64) -> Option<Call> {
        self.run = self.run.take()?.hand_over(now).map(Box::new);
        self.run.as_ref().map(|run| run.leader().clone())
    }

    fn take_kept(&mut self) -> Option<u64> {
        self.kept.take().map(|kept| kept.weight())
    }
}
