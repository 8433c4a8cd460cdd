//! The state of one key, and its transitions. All of them run under the lock of the key's shard.

use smallvec::SmallVec;

use super::events::{Notices, PermitWaitId, SemaphoreCaller};
use super::line::{Line, Waiter};
use crate::runtime::ThreadId;
use crate::runtime::clock::MS;
use crate::runtime::planted::planted;

/// How long permits that were handed to a call stay with it while its thread does not take them.
pub(super) const GRACE: u64 = 10 * MS;

/// What is held, handed over and awaited of one key. It exists only while there is any of it.
#[derive(Debug)]
pub(super) struct KeyState {
    /// Tells this state from an earlier one of the same key, whose permits were reset.
    serial: u64,
    held: u64,
    /// Held permits by thread, with those that were handed to its calls.
    holders: SmallVec<[(ThreadId, u64); 2]>,
    line: Line,
    handed: Vec<Handed>,
    /// Threads that did not take what was handed to them. They are passed over until they look.
    away: SmallVec<[ThreadId; 2]>,
}

/// Permits that were handed to a call of another thread, which has not taken them yet.
#[derive(Debug)]
struct Handed {
    waiter: Waiter,
    since: u64,
}

/// The calls that a change has served.
#[derive(Debug, Default)]
pub struct Served {
    /// Calls of the caller itself. They have their permits, and no event follows.
    pub own: Vec<PermitWaitId>,
    /// Calls wait behind a hand-over to another thread: the caller is to [look](super::Semaphore::look) soon.
    pub watch: bool,
    pub(super) notices: Notices,
    /// How many calls are no longer in the line.
    pub(super) left: u64,
}

/// Where a call was that leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// In the line.
    Line,
    /// It had permits that it had not taken. They are free.
    Handed,
    /// Nowhere.
    Nowhere,
}

impl KeyState {
    pub(super) fn new(serial: u64) -> Self {
        Self {
            serial,
            held: 0,
            holders: SmallVec::new(),
            line: Line::default(),
            handed: Vec::new(),
            away: SmallVec::new(),
        }
    }

    pub(super) fn serial(&self) -> u64 {
        self.serial
    }

    pub(super) fn is_idle(&self) -> bool {
        self.held == 0 && self.line.is_empty()
    }

    pub(super) fn held(&self) -> u64 {
        self.held
    }

    pub(super) fn waiting(&self) -> usize {
        self.line.len()
    }

    pub(super) fn holders(&self) -> &[(ThreadId, u64)] {
        &self.holders
    }

    /// Takes permits at once, unless a call waits that comes before, or `most` would be exceeded.
    pub(super) fn try_take(&mut self, thread: ThreadId, permits: u64, most: u64) -> bool {
        if self.comes_after_others(thread) || !self.has_room(permits, most) {
            return false;
        }
        self.hold(thread, permits);
        true
    }

    pub(super) fn join(&mut self, waiter: Waiter) {
        self.line.push(waiter);
    }

    /// Whether calls wait behind permits that another thread than `thread` has not taken yet.
    pub(super) fn is_to_be_watched(&self, thread: ThreadId) -> bool {
        !self.line.is_empty() && self.handed.iter().any(|handed| handed.waiter.thread != thread)
    }

    /// Returns permits. False where they are not held: they were reset.
    pub(super) fn release(&mut self, serial: u64, thread: ThreadId, permits: u64) -> bool {
        if serial != self.serial && !planted!(ReleaseIgnoresReset) {
            return false;
        }
        self.unhold(thread, permits);
        true
    }

    /// A call takes what was handed to it. False where that was taken back.
    pub(super) fn take(&mut self, wait: PermitWaitId) -> bool {
        let Some(place) = self.place_of(wait) else { return false };
        if !planted!(TakenStaysHanded) {
            self.handed.swap_remove(place);
        }
        true
    }

    /// A call ends its waiting.
    pub(super) fn leave(&mut self, wait: PermitWaitId) -> Left {
        if let Some(place) = self.place_of(wait) {
            let Waiter { thread, permits, .. } = self.handed.swap_remove(place).waiter;
            self.unhold(thread, permits);
            return Left::Handed;
        }
        if self.line.remove(wait).is_some() { Left::Line } else { Left::Nowhere }
    }

    /// A thread looks: calls of it are no longer passed over.
    pub(super) fn came_back(&mut self, thread: ThreadId) {
        self.away.retain(|away| *away != thread);
    }

    /// Takes back what was handed to other threads and not taken in time. The calls keep their places. Returns how many.
    pub(super) fn take_back(&mut self, looking: ThreadId, now: u64) -> u64 {
        let is_overdue = |handed: &mut Handed| {
            handed.waiter.thread != looking && handed.since.saturating_add(GRACE) <= now
        };
        let overdue: Vec<_> = self.handed.extract_if(.., is_overdue).collect();
        for Handed { waiter, .. } in &overdue {
            self.unhold(waiter.thread, waiter.permits);
            if !self.away.contains(&waiter.thread) {
                self.away.push(waiter.thread);
            }
        }
        let count = overdue.len() as u64;
        overdue.into_iter().for_each(|handed| self.line.put_back(handed.waiter));
        count
    }

    /// When the next hand-over to a thread other than `looking` may be taken back; `None` where nothing waits for that.
    pub(super) fn next_look(&self, looking: ThreadId) -> Option<u64> {
        if self.line.is_empty() {
            return None;
        }
        let others = self.handed.iter().filter(|handed| handed.waiter.thread != looking);
        others.map(|handed| handed.since.saturating_add(GRACE)).min()
    }

    /// Hands permits to the calls in the line, in their order, as far as they go. Calls of `own` take them at once.
    pub(super) fn serve(&mut self, most: u64, own: Option<&SemaphoreCaller>, now: u64, served: &mut Served) {
        loop {
            let (held, away) = (self.held, &self.away);
            let next = self.line.next(
                |waiter| away.is_empty() || !away.contains(&waiter.thread),
                |waiter| waiter.permits <= most.saturating_sub(held),
            );
            let Some(waiter) = next else { return };
            self.hold(waiter.thread, waiter.permits);
            served.left += 1;
            if own.is_some_and(|own| own.is_same(&waiter.caller)) {
                served.own.push(waiter.id);
            } else {
                served.notices.granted(&waiter.caller, waiter.id);
                self.handed.push(Handed { waiter, since: now });
            }
        }
    }

    /// Removes everything of a thread that ended. Returns how many of its calls were in the line.
    pub(super) fn thread_ended(&mut self, thread: ThreadId) -> u64 {
        let in_line =
            if self.line.is_empty() { 0 } else { self.line.extract(|one| one.thread == thread).len() };
        let mut lost = 0;
        self.handed.retain(|handed| {
            let is_kept = handed.waiter.thread != thread;
            lost += if is_kept { 0 } else { handed.waiter.permits };
            is_kept
        });
        let held = self.holders.iter().find(|(holder, _)| *holder == thread).map_or(0, |(_, held)| *held);
        self.unhold(thread, if planted!(HandedLostAtEnd) { held - lost } else { held });
        self.came_back(thread);
        in_line as u64
    }

    /// Removes the calls that ask for more than `most`, and returns them.
    pub(super) fn remove_unmet(&mut self, most: u64) -> Vec<Waiter> {
        self.line.extract(|waiter| waiter.permits > most)
    }

    /// The calls that wait, or have not taken yet what was handed to them.
    pub(super) fn waiters(&self) -> impl Iterator<Item = &Waiter> {
        self.handed.iter().map(|handed| &handed.waiter).chain(self.line.iter())
    }

    fn has_room(&self, permits: u64, most: u64) -> bool {
        permits <= most.saturating_sub(self.held)
    }

    /// Whether a call waits that is served before a new one of `thread`. Calls of other threads that are away are not.
    fn comes_after_others(&self, thread: ThreadId) -> bool {
        if self.away.is_empty() {
            return !self.line.is_empty();
        }
        self.line.iter().any(|waiter| waiter.thread == thread || !self.away.contains(&waiter.thread))
    }

    fn place_of(&self, wait: PermitWaitId) -> Option<usize> {
        self.handed.iter().position(|handed| handed.waiter.id == wait)
    }

    fn hold(&mut self, thread: ThreadId, permits: u64) {
        self.held += permits;
        match self.holders.iter_mut().find(|(holder, _)| *holder == thread) {
            Some((_, held)) => *held += permits,
            None => self.holders.push((thread, permits)),
        }
    }

    fn unhold(&mut self, thread: ThreadId, permits: u64) {
        let Some(place) = self.holders.iter().position(|(holder, _)| *holder == thread) else { return };
        let held = &mut self.holders[place].1;
        let returned = permits.min(*held);
        *held -= returned;
        self.held -= returned;
        if self.holders[place].1 == 0 {
            self.holders.swap_remove(place);
        }
    }
}
