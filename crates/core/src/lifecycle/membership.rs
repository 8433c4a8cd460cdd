//! The threads that take part, and the shutdown that they go through.

use std::sync::Arc;

use super::member::Member;
use super::shutdown::Shutdown;

#[derive(Debug, Default)]
pub(super) struct Membership {
    pub(super) members: Vec<Arc<Member>>,
    pub(super) shutdown: Option<Shutdown>,
}

impl Membership {
    /// Notifies every member that something changed.
    pub(super) fn notify(&self) {
        for member in &self.members {
            member.notify();
        }
    }
}
