//! Which threads hear of bans.

use std::sync::Arc;

use super::Reputation;
use crate::Result;
use crate::reputation::ban_events::BanEvent;
use crate::reputation::ban_watch::Target;
use crate::runtime::ThreadId;
use crate::runtime::mailbox::{Sink, SubscriptionId};

impl Reputation {
    /// Sends every later change of a ban to a thread. The first subscription costs one pass over all clients.
    ///
    /// # Errors
    ///
    /// `CLOSED`.
    pub fn subscribe(&self, sink: Sink<Arc<BanEvent>>, subscription: SubscriptionId, now: u64) -> Result<()> {
        self.check_open()?;
        let thread = sink.thread();
        self.clients.watch().subscribe(sink, subscription, || self.note_bans(now));
        // Checked again: a subscription added after the end would never be notified of it.
        self.check_open().inspect_err(|_| self.unsubscribe(thread, subscription))
    }

    /// Ends one subscription of a thread.
    pub fn unsubscribe(&self, thread: ThreadId, subscription: SubscriptionId) {
        self.clients.watch().unsubscribe(thread, subscription);
    }

    /// Reports the bans that have ended by now, each once, whichever threads call. Returns when the next of the bans in
    /// force ends: the call is due then. `None` where none ends, and where nothing listens.
    pub fn expire_bans(&self, now: u64) -> Option<u64> {
        self.clients.watch().expire(now)
    }

    fn note_bans(&self, now: u64) {
        self.clients.note_bans(now);
        self.ranges.hold(|ranges| {
            for (range, term) in ranges.bans.in_force(now) {
                self.clients.watch().note(Target::Range(range), term);
            }
        });
    }
}
