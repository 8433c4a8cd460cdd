//! What a thread holds of the brokers that it has joined.

use std::cell::RefCell;
use std::sync::Arc;

use napi::bindgen_prelude::{Error, Result, Status};
use sluice_core::deliveries::Mailbox;
use sluice_core::{Broker, Peer};

use super::inbox::Backlog;

/// A thread's membership in a broker.
pub(crate) struct Membership {
    pub(crate) broker: Arc<Broker>,
    pub(crate) peer: Arc<Peer>,
    pub(super) backlog: Backlog,
    /// Of the loaded copy that joined.
    mailbox: Arc<Mailbox>,
}

impl Membership {
    pub(super) fn new(broker: Arc<Broker>, peer: Arc<Peer>, mailbox: Arc<Mailbox>) -> Self {
        Self { broker, peer, backlog: Backlog::default(), mailbox }
    }
}

/// By handle. A membership ends with `leave`, not when an object is collected.
#[derive(Default)]
pub(crate) struct Memberships(RefCell<Vec<Option<Membership>>>);

impl Memberships {
    /// Adds a membership. Returns its handle.
    pub(crate) fn join(&self, membership: Membership) -> u32 {
        let mut memberships = self.0.borrow_mut();
        let free = memberships.iter().position(Option::is_none).unwrap_or_else(|| {
            memberships.push(None);
            memberships.len() - 1
        });
        memberships[free] = Some(membership);
        u32::try_from(free).unwrap_or(u32::MAX)
    }

    /// Removes a membership; `None` if it has ended before.
    pub(crate) fn leave(&self, handle: u32) -> Option<Membership> {
        self.0.borrow_mut().get_mut(handle as usize)?.take()
    }

    /// Leaves for one loaded copy. Its handles stay taken, since the copy may still use them.
    pub(crate) fn leave_copy(&self, mailbox: &Arc<Mailbox>) {
        for membership in self.0.borrow().iter().flatten() {
            if Arc::ptr_eq(&membership.mailbox, mailbox) {
                membership.broker.leave(&membership.peer);
            }
        }
    }

    /// Runs `body`, which must not run JavaScript, on a membership.
    pub(crate) fn with<R>(&self, handle: u32, body: impl FnOnce(&Membership) -> R) -> Result<R> {
        match self.0.borrow().get(handle as usize) {
            Some(Some(membership)) => Ok(body(membership)),
            _ => Err(Error::new(Status::InvalidArg, "sluice: this membership in a broker has ended")),
        }
    }
}
