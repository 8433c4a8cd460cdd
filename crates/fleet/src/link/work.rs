//! The calls of a link: those that wait to be sent, and those that wait for their answer. No I/O.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::composer::{self, Batch, compose};
use crate::deadline::ServerClock;
use crate::request::Request;

/// Script calls that are out at once. While so many are, pending calls gather for the next.
const MOST_OUT: usize = 4;
/// Pending calls that are sent while others are out are as many as those: the server works on one half, this process on the
/// other. Fewer than these cost the server more than the wait is worth; as many as these are a script call of their own.
const ENOUGH: (u64, u64) = (16, 64);
/// As [`MOST_OUT`], for a node of a cluster: a script call there serves one of 64 buckets of a limiter.
const MOST_OUT_BY_SLOT: usize = 32;
/// Script calls that are out at once where the first pending call has waited for [`PATIENCE`]: a round trip is long then.
pub(super) const MOST_OUT_OF_PATIENCE: usize = 64;
const PATIENCE: Duration = Duration::from_millis(1);

/// Script calls that pass their deadline unanswered before the server counts as away.
const OVERDUE: usize = 2;

/// An answer that is overdue by so many times its wait ends the connection.
const STALLED: u32 = 10;

/// How a call is left for the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Sent by the thread that asks, if nothing is out. That thread flushes what is left.
    Now,
    /// Left while there are not enough: more follow at once, and then the thread flushes.
    Gathers,
    /// Sent by the thread of the link.
    Background,
}

/// What the thread that has left a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Sends it, with what else is pending.
    Send,
    /// Flushes soon.
    Flush,
    /// Nothing: the thread of the link sends it.
    Nothing,
}

/// Which calls are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// What is pending while nothing is out, what is enough, and what has waited long enough.
    Due,
    /// What is pending and not little beside what is out.
    Flush,
}

/// A script call that was sent.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) batch: Batch,
    pub(crate) at: Instant,
    stalls_at: Instant,
    /// The script itself was sent with it.
    pub(crate) with_text: bool,
}

/// The calls of a link.
#[derive(Debug)]
pub(crate) struct Work {
    /// A script call may have keys of one slot only.
    by_slot: bool,
    queue: VecDeque<Request>,
    sent: BTreeMap<u64, Sent>,
    /// Calls of all that were sent.
    calls_out: u64,
    next: u64,
    /// No call has an earlier deadline.
    first_deadline: Option<Instant>,
    /// When the thread of the link looks here next, whatever happens.
    looks_at: Option<Instant>,
    /// Calls that were answered since it has looked.
    answered: u64,
    /// The last answer took longer than [`PATIENCE`], or there was none yet on this connection.
    is_far: bool,
    pub(crate) clock: ServerClock,
}

impl Work {
    /// `by_slot`: for a node of a cluster.
    pub(crate) fn new(by_slot: bool) -> Self {
        Self {
            by_slot,
            queue: VecDeque::new(),
            sent: BTreeMap::new(),
            calls_out: 0,
            next: 0,
            first_deadline: None,
            looks_at: None,
            answered: 0,
            is_far: true,
            clock: ServerClock::new(Instant::now()),
        }
    }

    /// Adds a call: what its thread does now, and whether the thread of the link must look at it.
    pub(crate) fn add(&mut self, request: Request, manner: Manner) -> (Step, bool) {
        let (asked, deadline) = (request.asked, request.deadline);
        self.note_deadline(deadline);
        self.queue.push_back(request);
        let looks_by = |time: Instant| self.looks_at.is_some_and(|at| at <= time);
        let (out, looks_soon) = (self.sent.len(), looks_by(asked + PATIENCE));
        let may_send = out == 0 || out < self.most_out() && self.has_enough();
        let step = match manner {
            Manner::Background => return (Step::Nothing, may_send || !looks_soon),
            _ if out >= self.most_out() => return (Step::Nothing, !looks_soon),
            Manner::Gathers if looks_soon && !self.has_enough() => Step::Flush,
            _ if may_send => Step::Send,
            _ => Step::Flush,
        };
        // The flush may come late, or leave it. It then goes with the next answer, which is soon unless the server is far.
        let is_soon = if step == Step::Flush && self.is_far { looks_soon } else { looks_by(deadline) };
        (step, !is_soon)
    }

    /// Few calls beside many wait for the answers to those, or for [`PATIENCE`]: what is asked then goes with them. Else calls
    /// that were split once would stay so, and each part costs the server and the wakes of three threads.
    fn is_worth_it(&self) -> bool {
        let is_little_out = self.sent.len() < 2 || self.calls_out < ENOUGH.0;
        is_little_out || 2 * self.queue.len() as u64 >= self.calls_out
    }

    fn has_enough(&self) -> bool {
        let (least, most) = ENOUGH;
        !self.by_slot && self.queue.len() as u64 >= self.calls_out.clamp(least, most)
    }

    /// Calls that were not run are asked again, before those that came after them.
    pub(crate) fn ask_again(&mut self, requests: Vec<Request>) {
        for request in requests.into_iter().rev() {
            self.note_deadline(request.deadline);
            self.queue.push_front(request);
        }
    }

    /// The next script call to be sent now, by its number.
    pub(crate) fn compose(&mut self, now: Instant, turn: Turn) -> Option<u64> {
        let out = self.sent.len();
        let first = self.queue.front()?;
        let is_impatient = out < MOST_OUT_OF_PATIENCE && now >= first.asked + PATIENCE;
        // One of a cluster is small, so that many go out together.
        let is_turn =
            out == 0 || self.by_slot || self.has_enough() || turn == Turn::Flush && self.is_worth_it();
        if !(is_turn && out < self.most_out() || is_impatient) {
            return None;
        }
        let batch = compose(&mut self.queue, self.by_slot)?;
        Some(self.note_sent(batch, now, false))
    }

    fn most_out(&self) -> usize {
        if self.by_slot { MOST_OUT_BY_SLOT } else { MOST_OUT }
    }

    pub(crate) fn note_sent(&mut self, batch: Batch, at: Instant, with_text: bool) -> u64 {
        self.next += 1;
        let stalls_at = at + batch.deadline().saturating_duration_since(at) * STALLED;
        self.calls_out += batch.calls();
        self.sent.insert(self.next, Sent { batch, at, stalls_at, with_text });
        self.next
    }

    pub(crate) fn sent(&self, number: u64) -> Option<&Sent> {
        self.sent.get(&number)
    }

    /// Takes what was answered at this time.
    pub(crate) fn take_sent(&mut self, number: u64, received: Instant) -> Option<Sent> {
        let sent = self.sent.remove(&number)?;
        self.is_far = received > sent.at + PATIENCE;
        self.calls_out -= sent.batch.calls();
        self.answered += sent.batch.calls();
        Some(sent)
    }

    /// Removes the calls whose time is over.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Request> {
        let mut expired = Vec::new();
        if self.first_deadline.is_none_or(|deadline| deadline > now) {
            return expired;
        }
        for sent in self.sent.values_mut() {
            sent.batch.expire(now, &mut expired);
        }
        composer::expire(&mut self.queue, now, &mut expired);
        let queued = self.queue.iter().map(|request| request.deadline);
        let sent = self.sent.values().filter_map(|sent| sent.batch.next_deadline());
        self.first_deadline = queued.chain(sent).min();
        expired
    }

    /// Whether so many script calls are overdue that the server counts as away.
    pub(crate) fn is_overdue(&self) -> bool {
        self.sent.values().filter(|sent| sent.batch.is_answered()).count() >= OVERDUE
    }

    /// Whether an answer is so late that the connection counts as dead.
    pub(crate) fn is_stalled(&self, now: Instant) -> bool {
        self.sent.values().any(|sent| now >= sent.stalls_at)
    }

    /// When the thread of the link looks here again at the latest.
    pub(crate) fn rest(&mut self, now: Instant) -> Option<Instant> {
        // Threads whose calls were answered together leave the next ones for a flush, which may be late.
        let follow = (std::mem::take(&mut self.answered) > 1).then(|| now + PATIENCE);
        self.looks_at = [self.next_time(), follow].into_iter().flatten().min();
        self.looks_at
    }

    /// When there is something to do at the latest.
    fn next_time(&self) -> Option<Instant> {
        let impatient = self.queue.front().filter(|_| self.sent.len() < MOST_OUT_OF_PATIENCE);
        let impatient = impatient.map(|request| request.asked + PATIENCE);
        let stalled = self.sent.values().map(|sent| sent.stalls_at).min();
        [self.first_deadline, impatient, stalled].into_iter().flatten().min()
    }

    /// As [`rest`](Self::rest), while nothing can be sent.
    pub(crate) fn rest_unconnected(&mut self) -> Option<Instant> {
        self.looks_at = self.first_deadline;
        self.looks_at
    }

    /// A connection was made; its server showed this clock.
    pub(crate) fn connected(&mut self, clock: Option<(u64, Instant)>) {
        self.is_far = true;
        self.clock = ServerClock::new(Instant::now());
        if let Some((server_us, received)) = clock {
            self.clock.saw(server_us, received);
        }
    }

    /// Takes every call, sent or not.
    pub(crate) fn take_all(&mut self) -> Vec<Request> {
        let mut all = self.take_all_sent();
        all.extend(self.take_all_queued());
        self.first_deadline = None;
        all
    }

    /// Takes every call that was not sent.
    pub(crate) fn take_all_queued(&mut self) -> Vec<Request> {
        std::mem::take(&mut self.queue).into()
    }

    /// Takes every call that was not sent, except those that give units back.
    pub(crate) fn take_asks(&mut self) -> Vec<Request> {
        let queue = std::mem::take(&mut self.queue);
        let (returns, asks): (VecDeque<_>, VecDeque<_>) =
            queue.into_iter().partition(|request| request.operation.returns());
        self.queue = returns;
        asks.into()
    }

    /// Takes every call that was sent: whether the server has run it is not known.
    pub(crate) fn take_all_sent(&mut self) -> Vec<Request> {
        self.calls_out = 0;
        let sent = std::mem::take(&mut self.sent).into_values();
        sent.flat_map(|sent| sent.batch.into_entries()).flat_map(|entry| entry.waiting).collect()
    }

    fn note_deadline(&mut self, deadline: Instant) {
        self.first_deadline = Some(self.first_deadline.map_or(deadline, |first| first.min(deadline)));
    }
}

#[cfg(test)]
mod tests;
