//! The calls of one thread that wait, over all limiters: their moments, and the outcomes that the thread has not taken yet.
//!
//! A thread keeps one timer, for the earliest of its moments. What is due stands in the lines of the keys; other threads
//! may move it. Where a moment comes earlier than the thread was told, or a call ends otherwise, the thread is woken, once
//! until it has looked.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::decision::Decision;
use super::limiter::RateLimiter;
use crate::runtime::ThreadId;
use crate::runtime::key_hash::KeyHash;

/// The number of a waiting call: none other of the process has it.
pub type WaitId = u64;

/// What became of a call that waited. Times are nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOutcome {
    /// It was charged, at its moment.
    Served(Decision),
    /// Its moment moved beyond its timeout: so far from now. `None`: it can never be charged.
    TooLate(Option<u64>),
    /// The limiter was destroyed, or a test has emptied it.
    Closed,
}

/// A call whose waiting is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waited {
    /// Which call.
    pub id: WaitId,
    /// When it joined its line.
    pub since: u64,
    /// What became of it.
    pub outcome: WaitOutcome,
}

/// The thread whose calls wait.
pub trait WaitingThread: fmt::Debug + Send + Sync {
    /// Its id.
    fn id(&self) -> ThreadId;
    /// Has it look at its calls. Must not block or call back.
    fn wake(&self);
}

/// The calls of one thread that wait.
#[derive(Debug)]
pub struct Waits {
    thread: Box<dyn WaitingThread>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: HashMap<WaitId, Call>,
    /// The moments of the calls, the earliest first.
    order: BTreeSet<(u64, WaitId)>,
    done: Vec<Waited>,
    /// Lines that a call of this thread has left, and that are to be served and laid anew.
    left: Vec<Place>,
    /// The moment that the thread's timer is set for.
    told: Option<u64>,
    /// The thread was woken, and has not looked since.
    is_woken: bool,
}

#[derive(Debug)]
struct Call {
    place: Place,
    moment: u64,
    since: u64,
}

/// A line: that of a key of a limiter.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) limiter: Arc<RateLimiter>,
    pub(super) key: KeyHash,
}

impl Place {
    fn is(&self, other: &Self) -> bool {
        self.key == other.key && Arc::ptr_eq(&self.limiter, &other.limiter)
    }
}

impl Waits {
    /// No calls yet.
    #[must_use]
    pub fn new(thread: Box<dyn WaitingThread>) -> Self {
        Self { thread, state: Mutex::default() }
    }

    /// The thread whose calls these are.
    #[must_use]
    pub fn thread(&self) -> ThreadId {
        self.thread.id()
    }

    /// Moves what is due to `outcomes`, at most so many; returns when the thread has to look again: `now` where more is
    /// pending, `None` where no call waits.
    pub fn take(&self, now: u64, most: usize, outcomes: &mut Vec<Waited>) -> Option<u64> {
        self.state.lock().is_woken = false;
        for Place { limiter, key } in self.lines_due(now) {
            limiter.serve_line(key, now);
        }
        let mut state = self.state.lock();
        let taken = state.done.len().min(most);
        outcomes.extend(state.done.drain(..taken));
        let next = state.next();
        state.told = next;
        if state.done.is_empty() { next } else { Some(now) }
    }

    /// A call stops waiting. The next [`settle`](Self::settle) gives its units back, or charges it where its moment has come.
    pub fn leave(&self, id: WaitId, now: u64) {
        let Some(call) = self.state.lock().remove(id) else { return };
        let Place { limiter, key } = &call.place;
        limiter.leave_line(*key, id, now);
        self.state.lock().left.push(call.place);
    }

    /// Serves the lines that calls have left, and moves those ahead that stood behind them.
    pub fn settle(&self, now: u64) {
        let left = std::mem::take(&mut self.state.lock().left);
        for (index, place) in left.iter().enumerate() {
            if index == 0 || !place.is(&left[index - 1]) {
                place.limiter.serve_line(place.key, now);
            }
        }
    }

    /// When the thread has to look next, if a call waits.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        let mut state = self.state.lock();
        // The thread looks now: what it was woken for and did not look at is over.
        state.is_woken = false;
        state.told = state.next();
        state.told
    }

    pub(super) fn add(&self, id: WaitId, place: Place, moment: u64, since: u64) {
        let mut state = self.state.lock();
        state.order.insert((moment, id));
        state.calls.insert(id, Call { place, moment, since });
    }

    /// The call has another moment.
    pub(super) fn moved(&self, id: WaitId, moment: u64) {
        let mut state = self.state.lock();
        let Some(call) = state.calls.get_mut(&id) else { return };
        let before = std::mem::replace(&mut call.moment, moment);
        state.order.remove(&(before, id));
        state.order.insert((moment, id));
        if state.told.is_none_or(|told| moment < told) {
            self.wake(&mut state);
        }
    }

    /// The waiting of a call is over. A thread whose call was served looks at its moment anyway.
    pub(super) fn end(&self, id: WaitId, outcome: WaitOutcome) {
        let mut state = self.state.lock();
        let Some(Call { since, .. }) = state.remove(id) else { return };
        state.done.push(Waited { id, since, outcome });
        if !matches!(outcome, WaitOutcome::Served(_)) {
            self.wake(&mut state);
        }
    }

    fn wake(&self, state: &mut State) {
        if !std::mem::replace(&mut state.is_woken, true) {
            self.thread.wake();
        }
    }

    /// The lines in which calls of this thread are due, each once.
    fn lines_due(&self, now: u64) -> Vec<Place> {
        let state = self.state.lock();
        let mut lines: Vec<Place> = Vec::new();
        for (_, id) in state.order.iter().take_while(|(moment, _)| *moment <= now) {
            let place = &state.calls[id].place;
            // Those of one key are due one after the other.
            if lines.last().is_none_or(|last| !last.is(place)) {
                lines.push(place.clone());
            }
        }
        lines
    }
}

impl State {
    fn next(&self) -> Option<u64> {
        self.order.first().map(|(moment, _)| *moment)
    }

    fn remove(&mut self, id: WaitId) -> Option<Call> {
        let call = self.calls.remove(&id)?;
        self.order.remove(&(call.moment, id));
        Some(call)
    }
}
