//! The date, by the clock of what processes share.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use crate::machine::Host;
use crate::runtime::clock;

/// By how much the system's date is ahead of a clock that processes share.
pub(in crate::reputation) struct MachineDate {
    host: Arc<dyn Host>,
    /// What was answered last.
    followed: AtomicI64,
}

impl MachineDate {
    pub(in crate::reputation) fn new(host: Arc<dyn Host>) -> Self {
        Self { host, followed: AtomicI64::new(0) }
    }

    /// In nanoseconds.
    pub(in crate::reputation) fn ahead(&self) -> i64 {
        clock::date_ahead_of(|| self.host.now(), &self.followed)
    }
}
