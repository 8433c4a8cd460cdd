//! What the process's own reputation tells of its changes.

use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;

use sluice_core::runtime::mailbox::{EventSink, SubscriptionId};
use sluice_core::{BanChange, BanEvent, FailureSink, ThreadId};

use super::Shared;
use crate::link::LinkState;

/// No thread of JavaScript has this number.
pub(super) const THREAD: ThreadId = ThreadId(u64::MAX);
pub(super) const SUBSCRIPTION: SubscriptionId = 0;

thread_local! {
    /// This thread follows a change that the server has already.
    static FOLLOWS: Cell<bool> = const { Cell::new(false) };
}

/// Runs `change`, whose changes of bans are not sent.
pub(super) fn following<R>(change: impl FnOnce() -> R) -> R {
    FOLLOWS.set(true);
    let changed = change();
    FOLLOWS.set(false);
    changed
}

impl EventSink<Arc<BanEvent>> for Shared {
    fn thread(&self) -> ThreadId {
        THREAD
    }

    /// Runs in the thread that makes the change, within its lock: notes it only.
    fn push(&self, _: SubscriptionId, event: Arc<BanEvent>) -> bool {
        if FOLLOWS.get() {
            return true;
        }
        let target = event.ban.target();
        match event.change {
            BanChange::Banned { .. } => self.changes.lock().banned(target),
            BanChange::Unbanned => self.changes.lock().lifted(target, event.ban.until),
            // On the server it ends by itself.
            BanChange::Expired => return true,
        }
        self.wake.notify_one();
        true
    }

    fn destroyed(&self, _: SubscriptionId) {}
}

impl FailureSink for Shared {
    /// Without the server they count in this process only.
    fn failed(&self, client: IpAddr, failures: u64, reason: Option<&str>) {
        if self.status.state() == LinkState::Ready {
            self.changes.lock().failed(client.to_string(), failures, reason);
            self.wake.notify_one();
        }
    }

    fn forgiven(&self, client: IpAddr) {
        if self.status.state() == LinkState::Ready {
            self.changes.lock().forgiven(client.to_string());
            self.wake.notify_one();
        }
    }
}
