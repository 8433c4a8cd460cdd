//! What threads are told of calls that wait.

use std::sync::Arc;

use super::initialisation::{Call, CallId, Caller};
use super::kept::HubValue;

/// What has become of calls of one thread. Never dropped while the thread lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HubNews {
    /// It is this call's turn to run its initialiser.
    Lead {
        /// The call.
        call: CallId,
    },
    /// This call's turn is over: others saw that its time was.
    Replaced {
        /// The call.
        call: CallId,
    },
    /// Nobody waits any more for what this call makes for others.
    Abandoned {
        /// The call.
        call: CallId,
    },
    /// An initialiser came to a value.
    Made {
        /// Those who waited for it.
        calls: Vec<CallId>,
        /// The value.
        value: HubValue,
    },
    /// An initialiser failed.
    Failed {
        /// Those who waited for it.
        calls: Vec<CallId>,
        /// The error, encoded by whoever ran it.
        error: Arc<[u8]>,
    },
    /// The hub was destroyed.
    Closed {
        /// Those who waited, or ran an initialiser.
        calls: Vec<CallId>,
    },
}

/// What is left for threads once no lock is held.
#[derive(Debug, Default)]
pub(super) struct Notices(Vec<(Caller, HubNews)>);

impl Notices {
    pub(super) fn lead(&mut self, leader: Call) {
        self.0.push((leader.caller, HubNews::Lead { call: leader.id }));
    }

    pub(super) fn replaced(&mut self, leader: Call) {
        self.0.push((leader.caller, HubNews::Replaced { call: leader.id }));
    }

    pub(super) fn abandoned(&mut self, leader: Call) {
        self.0.push((leader.caller, HubNews::Abandoned { call: leader.id }));
    }

    /// One piece of news for all calls of a thread.
    pub(super) fn settle(&mut self, calls: Vec<Call>, news: impl Fn(Vec<CallId>) -> HubNews) {
        let mut groups: Vec<(Caller, Vec<CallId>)> = Vec::new();
        for Call { id, caller, .. } in calls {
            match groups.iter_mut().find(|(known, _)| known.is_same(&caller)) {
                Some((_, ids)) => ids.push(id),
                None => groups.push((caller, vec![id])),
            }
        }
        self.0.extend(groups.into_iter().map(|(caller, ids)| (caller, news(ids))));
    }

    /// A thread that has ended takes nothing; what it held is given back by its end.
    pub(super) fn send(self) {
        for (Caller { mailbox, subscription }, news) in self.0 {
            mailbox.push(subscription, news);
        }
    }
}
