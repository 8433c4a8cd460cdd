//! What a thread has of the brokers that it takes part in.

use std::cell::RefCell;
use std::sync::Arc;

use napi::bindgen_prelude::{Error, Result, Status};
use sluice_core::deliveries::Mailbox;
use sluice_core::{Broker, Peer};

use super::drain::Backlog;

/// A thread's part in a broker.
pub(crate) struct Membership {
    pub(crate) broker: Arc<Broker>,
    pub(crate) peer: Arc<Peer>,
    pub(crate) backlog: Backlog,
    /// Of the copy that takes part.
    pub(crate) mailbox: Arc<Mailbox>,
}

/// By handle. A part ends when it is left, not when an object is collected.
#[derive(Default)]
pub(crate) struct Memberships(RefCell<Vec<Option<Membership>>>);

impl Memberships {
    /// Takes part in a broker; the handle of that part.
    pub(crate) fn join(&self, membership: Membership) -> u32 {
        let mut memberships = self.0.borrow_mut();
        let free = memberships.iter().position(Option::is_none).unwrap_or_else(|| {
            memberships.push(None);
            memberships.len() - 1
        });
        memberships[free] = Some(membership);
        free as u32
    }

    /// The part that ends; none when it has ended.
    pub(crate) fn leave(&self, handle: u32) -> Option<Membership> {
        self.0.borrow_mut().get_mut(handle as usize)?.take()
    }

    /// Ends the parts of one loaded copy. Their handles stay taken: that copy may still use them.
    pub(crate) fn leave_copy(&self, mailbox: &Arc<Mailbox>) {
        for membership in self.0.borrow().iter().flatten() {
            if Arc::ptr_eq(&membership.mailbox, mailbox) {
                membership.broker.leave(&membership.peer);
            }
        }
    }

    /// Runs `body` on a part, without running JavaScript.
    pub(crate) fn with<R>(&self, handle: u32, body: impl FnOnce(&Membership) -> R) -> Result<R> {
        match self.0.borrow().get(handle as usize) {
            Some(Some(membership)) => Ok(body(membership)),
            _ => Err(Error::new(Status::InvalidArg, "sluice: this part in a broker has ended")),
        }
    }
}
