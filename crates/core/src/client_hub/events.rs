//! Events for the threads whose calls lead a run or wait for one.

use std::sync::Arc;

use super::initialisation::{Call, CallId, Caller};
use super::kept::HubValue;

/// What became of calls of one thread. Never dropped while the thread lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubEvent {
    /// The call is to run its initialiser.
    Lead {
        /// The call.
        call: CallId,
    },
    /// Another call leads now: this one took too long.
    Replaced {
        /// The call.
        call: CallId,
    },
    /// No call needs the result of this one, which ran on for others.
    Abandoned {
        /// The call.
        call: CallId,
    },
    /// A run made a value.
    Made {
        /// The calls that waited for it.
        calls: Vec<CallId>,
        /// The value.
        value: HubValue,
    },
    /// A run failed.
    Failed {
        /// The calls that waited for it.
        calls: Vec<CallId>,
        /// The error, encoded by the leader.
        error: Arc<[u8]>,
    },
    /// The hub was destroyed or reset.
    Closed {
        /// The calls that waited or led.
        calls: Vec<CallId>,
    },
}

/// Events collected under a lock, to be sent once no lock is held.
#[derive(Debug, Default)]
pub(super) struct Notices(Vec<(Caller, HubEvent)>);

impl Notices {
    pub(super) fn lead(&mut self, leader: Call) {
        self.0.push((leader.caller, HubEvent::Lead { call: leader.id }));
    }

    pub(super) fn replaced(&mut self, leader: Call) {
        self.0.push((leader.caller, HubEvent::Replaced { call: leader.id }));
    }

    pub(super) fn abandoned(&mut self, leader: Call) {
        self.0.push((leader.caller, HubEvent::Abandoned { call: leader.id }));
    }

    /// One event for all calls of a caller.
    pub(super) fn settle(&mut self, calls: Vec<Call>, event: impl Fn(Vec<CallId>) -> HubEvent) {
        let mut groups: Vec<(Caller, Vec<CallId>)> = Vec::new();
        for Call { id, caller, .. } in calls {
            match groups.iter_mut().find(|(known, _)| known.is_same(&caller)) {
                Some((_, ids)) => ids.push(id),
                None => groups.push((caller, vec![id])),
            }
        }
        self.0.extend(groups.into_iter().map(|(caller, ids)| (caller, event(ids))));
    }

    /// A mailbox whose thread has ended drops its event. The end of the thread releases what its calls held.
    pub(super) fn send(self) {
        for (Caller { mailbox, subscription }, event) in self.0 {
            mailbox.push(subscription, event);
        }
    }
}
