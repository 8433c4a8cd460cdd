//! The calls that may try a half-open circuit: so many and no more, each until its lease ends.

use super::rates::{Counts, Outcome};
use crate::runtime::ThreadId;

/// Trial calls under way, and what those that reported came to.
#[derive(Debug, Default)]
pub(super) struct Trials {
    leases: Vec<Lease>,
    counts: Counts,
}

#[derive(Debug)]
pub(super) struct Lease {
    pub(super) number: u64,
    /// The thread with which it ends.
    pub(super) thread: ThreadId,
    /// When its place is free for another.
    pub(super) until: u64,
    /// Its end is the end of the time that the call had: when it comes, the call has failed.
    pub(super) ends_call: bool,
}

impl Trials {
    /// What was reported.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Places taken: by calls under way, and by those that reported.
    pub(super) fn taken(&self) -> u64 {
        self.leases.len() as u64 + self.counts.calls
    }

    /// The earliest time at which a place may come free.
    pub(super) fn earliest_end(&self) -> Option<u64> {
        self.leases.iter().map(|lease| lease.until).min()
    }

    pub(super) fn lease(&mut self, lease: Lease) {
        self.leases.push(lease);
    }

    /// Ends the leases whose time is over. A call with a deadline has failed by then; of the others nothing
    /// is known, and their places are free.
    pub(super) fn expire(&mut self, now: u64) {
        let counts = &mut self.counts;
        self.leases.retain(|lease| {
            let is_over = lease.until <= now;
            if is_over && lease.ends_call {
                counts.add(Outcome::FAILURE);
            }
            !is_over
        });
    }

    /// Ends one lease with its outcome; false when it has none any more. A report that comes after its time
    /// counts while nobody has taken its place.
    pub(super) fn report(&mut self, is_it: impl Fn(u64) -> bool, outcome: Outcome) -> bool {
        let reported = self.release(is_it);
        if reported {
            self.counts.add(outcome);
        }
        reported
    }

    /// Frees the place of one lease.
    pub(super) fn release(&mut self, is_it: impl Fn(u64) -> bool) -> bool {
        let index = self.leases.iter().position(|lease| is_it(lease.number));
        index.is_some_and(|index| {
            self.leases.swap_remove(index);
            true
        })
    }

    /// Frees the places of a thread that ended.
    pub(super) fn thread_ended(&mut self, thread: ThreadId) {
        self.leases.retain(|lease| lease.thread != thread);
    }

    /// The clock was set back: no lease ends later than one that begins now.
    pub(super) fn shorten(&mut self, until: u64) {
        for lease in &mut self.leases {
            lease.until = lease.until.min(until);
        }
    }
}
