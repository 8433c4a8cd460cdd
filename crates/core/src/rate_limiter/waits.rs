//! The calls of one thread that wait, over all limiters: their moments, and the outcomes that the thread has not taken yet.
//!
//! A thread keeps one timer, and looks once for calls whose moments are close: each of them accepts to be a little late.
//! What is due stands in the lines of the keys; other threads may move it. Where the thread has to look earlier than it was
//! told, or a call ends otherwise, the thread is woken, once until it has looked.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use super::decision::Decision;
use super::limiter::RateLimiter;
use crate::runtime::ThreadId;
use crate::runtime::clock::MS;
use crate::runtime::key_hash::KeyHash;

/// A call is looked at late by this share of the time that it waits, at most.
const LATE_SHARE: u64 = 8;

/// A call is looked at so many nanoseconds late, at most.
const MOST_LATE: u64 = 4 * MS;

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
    /// Nanoseconds from when it joined its line until its thread took the outcome.
    pub waited: u64,
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
    done: Vec<Done>,
    /// Lines that a call of this thread has left, and that are to be served and laid anew.
    left: Vec<Place>,
    /// When the thread looks next, as it was told.
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

/// A call whose outcome its thread has not taken yet.
#[derive(Debug)]
struct Done {
    id: WaitId,
    since: u64,
    outcome: WaitOutcome,
}

/// A line: that of a key of a limiter.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) limiter: Arc<RateLimiter>,
    pub(super) key: KeyHash,
}

impl Call {
    /// When its thread has to look at it. A thread that waits for many calls would else be woken for each of them, which
    /// costs more than serving it.
    fn look_by(&self) -> u64 {
        let waits = self.moment.saturating_sub(self.since);
        self.moment.saturating_add((waits / LATE_SHARE).min(MOST_LATE))
    }
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

    /// Moves what is due to `outcomes`, at most so many; returns when the thread has to look again: at once where more is
    /// pending, `None` where no call waits.
    pub fn take(&self, clock: impl Fn() -> u64, most: usize, outcomes: &mut Vec<Waited>) -> Option<u64> {
        let now = clock();
        self.state.lock().is_woken = false;
        for Place { limiter, key } in self.lines_due(now) {
            limiter.serve_line(key, now);
        }
        let mut state = self.state.lock();
        let taken = state.done.len().min(most);
        if taken > 0 {
            // Other threads may have served these calls by a later clock than `now`.
            let taken_at = clock();
            outcomes.extend(state.done.drain(..taken).map(|Done { id, since, outcome }| Waited {
                id,
                waited: taken_at.saturating_sub(since),
                outcome,
            }));
        }
        state.told = if state.done.is_empty() { state.look_by() } else { Some(now) };
        state.told
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

    /// The earliest moment of a call that waits.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.state.lock().order.first().map(|(moment, _)| *moment)
    }

    /// When the thread has to look, if a call waits. It is told so by this.
    #[must_use]
    pub fn look_by(&self) -> Option<u64> {
        let mut state = self.state.lock();
        state.told = state.look_by();
        state.told
    }

    /// When the thread has to look, as it was told last. A call that has just joined a line may have brought it forward.
    #[must_use]
    pub fn told(&self) -> Option<u64> {
        self.state.lock().told
    }

    /// A call waits from now on. Its thread reads by [`told`](Self::told) when to look.
    pub(super) fn add(&self, id: WaitId, place: Place, moment: u64, since: u64) {
        let call = Call { place, moment, since };
        let look_by = call.look_by();
        let mut state = self.state.lock();
        if state.calls.is_empty() {
            // No wake for earlier calls needs to come, and the timer for them was cancelled.
            (state.told, state.is_woken) = (None, false);
        }
        state.order.insert((moment, id));
        state.calls.insert(id, call);
        state.told = Some(state.told.map_or(look_by, |told| told.min(look_by)));
    }

    /// The call has another moment.
    pub(super) fn moved(&self, id: WaitId, moment: u64) {
        self.move_call(id, |call| call.moment = moment);
    }

    /// A test set the clock back: the call has that moment now, and has waited as long as before.
    pub(super) fn set_back(&self, id: WaitId, moment: u64) {
        self.move_call(id, |call| {
            call.since = call.since.saturating_sub(call.moment.saturating_sub(moment));
            call.moment = moment;
        });
    }

    fn move_call(&self, id: WaitId, change: impl FnOnce(&mut Call)) {
        let mut state = self.state.lock();
        let Some(call) = state.calls.get_mut(&id) else { return };
        let before = call.moment;
        change(call);
        let moment = call.moment;
        let look_by = call.look_by();
        state.order.remove(&(before, id));
        state.order.insert((moment, id));
        if state.told.is_none_or(|told| look_by < told) {
            self.wake(&mut state);
        }
    }

    /// The waiting of a call is over. A thread whose call was served looks at its moment anyway.
    pub(super) fn end(&self, id: WaitId, outcome: WaitOutcome) {
        let mut state = self.state.lock();
        let Some(Call { since, .. }) = state.remove(id) else { return };
        state.done.push(Done { id, since, outcome });
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
    fn look_by(&self) -> Option<u64> {
        let mut earliest = None;
        for (moment, id) in &self.order {
            // Those behind come later still.
            if earliest.is_some_and(|earliest| *moment >= earliest) {
                break;
            }
            let look_by = self.calls[id].look_by();
            earliest = Some(earliest.map_or(look_by, |earliest: u64| earliest.min(look_by)));
        }
        earliest
    }

    fn remove(&mut self, id: WaitId) -> Option<Call> {
        let call = self.calls.remove(&id)?;
        self.order.remove(&(call.moment, id));
        Some(call)
    }
}
