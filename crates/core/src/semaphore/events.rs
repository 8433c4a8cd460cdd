//! Events for threads whose calls wait.

use crate::runtime::mailbox::{Sink, SubscriptionId, is_same};

/// The number of a call that waits. A later call has a larger one.
pub type PermitWaitId = u64;

/// What became of calls of one thread that waited. Never dropped while the thread lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SemaphoreEvent {
    /// Permits were handed to the call. It has them once it has [taken](super::Semaphore::take) them.
    Granted {
        /// The call.
        wait: PermitWaitId,
    },
    /// The semaphore was reconfigured: it has fewer permits than these calls ask for.
    Unmet {
        /// The calls.
        waits: Vec<PermitWaitId>,
        /// The permits in force.
        permits: u64,
    },
    /// The semaphore was destroyed or reset.
    Closed {
        /// The calls.
        waits: Vec<PermitWaitId>,
        /// It was reset.
        is_reset: bool,
    },
}

/// Where the events of a call go.
#[derive(Clone, Debug)]
pub struct SemaphoreCaller {
    /// The thread's mailbox.
    pub mailbox: Sink<SemaphoreEvent>,
    /// The subscription in the mailbox.
    pub subscription: SubscriptionId,
}

impl SemaphoreCaller {
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.subscription == other.subscription && is_same(&self.mailbox, &other.mailbox)
    }
}

/// Events collected under a lock, to be sent once no lock is held.
#[derive(Debug, Default)]
pub(super) struct Notices(Vec<(SemaphoreCaller, SemaphoreEvent)>);

impl Notices {
    pub(super) fn granted(&mut self, caller: &SemaphoreCaller, wait: PermitWaitId) {
        self.0.push((caller.clone(), SemaphoreEvent::Granted { wait }));
    }

    /// One event for all waits of a caller.
    pub(super) fn settle(
        &mut self,
        waits: Vec<(SemaphoreCaller, PermitWaitId)>,
        event: impl Fn(Vec<PermitWaitId>) -> SemaphoreEvent,
    ) {
        let mut groups: Vec<(SemaphoreCaller, Vec<PermitWaitId>)> = Vec::new();
        for (caller, wait) in waits {
            match groups.iter_mut().find(|(known, _)| known.is_same(&caller)) {
                Some((_, waits)) => waits.push(wait),
                None => groups.push((caller, vec![wait])),
            }
        }
        self.0.extend(groups.into_iter().map(|(caller, waits)| (caller, event(waits))));
    }

    /// A mailbox whose thread has ended drops its event. The end of the thread returns what was handed to its calls.
    pub(super) fn send(self) {
        for (SemaphoreCaller { mailbox, subscription }, event) in self.0 {
            mailbox.push(subscription, event);
        }
    }
}
