//! The trial calls of a half-open circuit: a fixed number of places, each leased.

use super::rates::{Counts, Outcome};
use crate::runtime::ThreadId;

/// Trial calls in flight, and the outcomes of those that have reported.
#[derive(Debug, Default)]
pub(super) struct Trials {
    leases: Vec<Lease>,
    counts: Counts,
}

#[derive(Debug)]
pub(super) struct Lease {
    pub(super) number: u64,
    /// The thread that makes the call. The lease ends with it.
    pub(super) thread: ThreadId,
    /// When it expires and its place is free.
    pub(super) until: u64,
    /// The call has a deadline, which is the end of the lease: when the lease expires, the call has failed.
    pub(super) ends_call: bool,
}

impl Trials {
    /// The outcomes that were reported.
    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Places taken, by calls in flight and by those that have reported.
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

    /// Ends the leases that have expired. A call with a deadline has failed by then. The outcome of any other call is
    /// unknown, and its place is free.
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

    /// Ends one lease with its outcome; false when there is no such lease any more. A late report counts as long as no
    /// other call needed the place.
    pub(super) fn report(&mut self, is_it: impl Fn(u64) -> bool, outcome: Outcome) -> bool {
        let reported = self.release(is_it);
        if reported {
            self.counts.add(outcome);
        }
        reported
    }

    /// Ends one lease without an outcome.
    pub(super) fn release(&mut self, is_it: impl Fn(u64) -> bool) -> bool {
        let index = self.leases.iter().position(|lease| is_it(lease.number));
        index.is_some_and(|index| {
            self.leases.swap_remove(index);
            true
        })
    }

    /// Ends the leases of a thread that ended.
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
