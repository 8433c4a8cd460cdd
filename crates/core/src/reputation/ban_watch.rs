//! Bans in force while some thread listens: which there are, when the next one ends, and what subscribers hear of them.
//!
//! Without a subscriber it costs one load for each ban. With one it knows every ban in force, so each ends by exactly one
//! event: it was lifted, or it expired. A ban that is replaced by a longer one ends by neither.
//!
//! Locks are taken in one order: `joining`, the client's or that of the ranges, `watched`, the subscribers'.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ipnet::IpNet;

use super::FOREVER;
use super::ban_events::{BanChange, BanEvent};
use super::client::Client;
use super::machine::MachineDate;
use super::verdict::{Ban, BanTerm};
use crate::runtime::ThreadId;
use crate::runtime::change_number::next_change;
use crate::runtime::clock::SetBack;
use crate::runtime::mailbox::{Sink, SubscriptionId};
use crate::runtime::planted::planted;
use crate::runtime::subscribers::Subscribers;
use crate::runtime::sync::{AtomicBool, Mutex, Ordering};

/// What a ban applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Target {
    Client(Client),
    Range(IpNet),
}

#[derive(Default)]
pub(super) struct BanWatch {
    is_on: AtomicBool,
    /// Serializes the first subscription, which reads all bans, with the last one's end.
    joining: Mutex<()>,
    watched: Mutex<Watched>,
    subscribers: Subscribers<Arc<BanEvent>>,
    /// Where times are not of the clock of this process.
    date: Option<Arc<MachineDate>>,
}

/// Bans that have neither been lifted nor reported as expired.
#[derive(Default)]
struct Watched {
    terms: HashMap<Target, BanTerm>,
    /// When they end, the first first; without permanent bans.
    ends: BTreeSet<(u64, Target)>,
}

impl Watched {
    fn insert(&mut self, target: Target, term: BanTerm) {
        if term.until != FOREVER {
            self.ends.insert((term.until, target));
        }
        self.terms.insert(target, term);
    }

    fn remove(&mut self, target: Target) -> Option<BanTerm> {
        let term = self.terms.remove(&target)?;
        self.ends.remove(&(term.until, target));
        Some(term)
    }

    /// A ban that has ended by now.
    fn take_ended(&mut self, now: u64) -> Option<(Target, BanTerm)> {
        let (_, target) = self.ends.first().copied().filter(|(until, _)| *until <= now)?;
        self.remove(target).map(|term| (target, term))
    }
}

impl BanWatch {
    /// Of bans of all processes of a machine.
    pub(super) fn of_machine(date: Arc<MachineDate>) -> Self {
        Self { date: Some(date), ..Self::default() }
    }

    /// Adds a subscriber. The first one has `note_all` note the bans in force.
    pub(super) fn subscribe(
        &self,
        sink: Sink<Arc<BanEvent>>,
        subscription: SubscriptionId,
        note_all: impl FnOnce(),
    ) {
        let _turn = self.joining.lock();
        self.subscribers.add(sink, subscription);
        if planted!(WatchedAfterRead) && !self.is_on.load(Ordering::Relaxed) {
            note_all();
            return self.is_on.store(true, Ordering::Relaxed);
        }
        // Where bans are noted under locks that `note_all` takes, what was not noted before is read by it. SeqCst for those
        // that are changed without a lock: see `follow_read`.
        if !self.is_on.swap(true, Ordering::SeqCst) {
            note_all();
        }
    }

    pub(super) fn unsubscribe(&self, thread: ThreadId, subscription: SubscriptionId) {
        let _turn = (!planted!(LastEndTakesNoTurn)).then(|| self.joining.lock());
        self.subscribers.remove(thread, subscription);
        self.stop_if_idle();
    }

    pub(super) fn thread_ended(&self, thread: ThreadId) {
        let _turn = self.joining.lock();
        self.subscribers.thread_ended(thread);
        self.stop_if_idle();
    }

    /// The reputation is destroyed.
    pub(super) fn end(&self) {
        let _turn = self.joining.lock();
        self.subscribers.end();
        self.stop_if_idle();
    }

    fn stop_if_idle(&self) {
        if self.subscribers.is_empty() {
            self.is_on.store(false, Ordering::Relaxed);
            self.forget();
        }
    }

    /// Forgets every ban, without an event.
    pub(super) fn forget(&self) {
        *self.watched.lock() = Watched::default();
    }

    /// Notes a ban that was in force before the subscription. The caller holds the lock under which it changes.
    pub(super) fn note(&self, target: Target, term: &BanTerm) {
        let mut watched = self.watched.lock();
        if !watched.terms.contains_key(&target) {
            watched.insert(target, term.clone());
        }
    }

    /// As [`note`](Self::note), without a lock of the caller: `read` says what the ban is now.
    pub(super) fn note_read(&self, target: Target, now: u64, read: impl FnOnce() -> Option<BanTerm>) {
        let mut watched = self.watched.lock();
        if !watched.terms.contains_key(&target)
            && let Some(term) = read().filter(|term| term.is_in_force(now))
        {
            watched.insert(target, term);
        }
    }

    /// The ban of `target` has changed to `term`. The caller holds the lock under which it changes, and the change can be
    /// seen by all threads.
    #[inline]
    pub(super) fn follow(&self, target: Target, term: Option<&BanTerm>, now: u64) {
        // Relaxed: see `subscribe`.
        if self.is_on.load(Ordering::Relaxed) {
            self.follow_change(target, term.filter(|term| term.is_in_force(now)), now);
        }
    }

    /// As [`follow`](Self::follow), without a lock of the caller: `read` says what the ban is now, so of two calls the last
    /// one finds what is in force.
    pub(super) fn follow_read(&self, target: Target, now: u64, read: impl FnOnce() -> Option<BanTerm>) {
        // SeqCst: a change that does not find the flag came before `note_all` reads all bans.
        if self.is_on.load(Ordering::SeqCst) {
            let mut watched = self.watched.lock();
            let term = read().filter(|term| term.is_in_force(now));
            self.follow_locked(&mut watched, target, term.as_ref(), now);
        }
    }

    /// Whether anything listens.
    pub(super) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::SeqCst)
    }

    /// The clients whose bans are watched.
    pub(super) fn clients(&self) -> Vec<Client> {
        let of = |target: &Target| match target {
            Target::Client(client) => Some(*client),
            Target::Range(_) => None,
        };
        self.watched.lock().terms.keys().filter_map(of).collect()
    }

    #[cold]
    fn follow_change(&self, target: Target, term: Option<&BanTerm>, now: u64) {
        self.follow_locked(&mut self.watched.lock(), target, term, now);
    }

    fn follow_locked(&self, watched: &mut Watched, target: Target, term: Option<&BanTerm>, now: u64) {
        let until = |term: &BanTerm| term.until;
        if watched.terms.get(&target).map(until) == term.map(until) {
            return;
        }
        let before = watched.remove(target);
        let is_extended = before.as_ref().is_some_and(|before| before.is_in_force(now)) && term.is_some();
        if let Some(before) = before.filter(|_| !is_extended) {
            let change = if before.is_in_force(now) { BanChange::Unbanned } else { BanChange::Expired };
            self.notify(change, target, before);
        }
        if let Some(term) = term {
            watched.insert(target, term.clone());
            self.notify(BanChange::Banned { is_extended }, target, term.clone());
        }
    }

    /// Reports the bans that have ended, each once, whichever threads call. Returns when the next one ends.
    pub(super) fn expire(&self, now: u64) -> Option<u64> {
        let mut watched = self.watched.lock();
        while let Some((target, term)) = watched.take_ended(now) {
            if planted!(EndReportedLate) {
                drop(watched);
                self.notify(BanChange::Expired, target, term);
                watched = self.watched.lock();
                continue;
            }
            self.notify(BanChange::Expired, target, term);
        }
        watched.ends.first().map(|(until, _)| *until)
    }

    /// The caller holds the lock of `watched`: subscribers hear of bans in the order in which they changed.
    fn notify(&self, change: BanChange, target: Target, term: BanTerm) {
        let cause = term.cause;
        let ban = match target {
            Target::Client(client) => Ban::of_client(client.address(), term),
            Target::Range(range) => Ban::of_range(range, term),
        };
        let date_ahead = self.date.as_ref().map(|date| date.ahead());
        self.subscribers.notify(&Arc::new(BanEvent {
            number: next_change(),
            change,
            ban,
            cause,
            date_ahead,
        }));
    }

    /// A test set the clock back: bans keep their remaining time.
    pub(super) fn clock_was_set_back(&self, set_back: SetBack) {
        let mut watched = self.watched.lock();
        for (target, mut term) in std::mem::take(&mut *watched).terms {
            term.clock_was_set_back(set_back);
            watched.insert(target, term);
        }
    }
}

#[cfg(all(test, sluice_loom))]
mod models;
