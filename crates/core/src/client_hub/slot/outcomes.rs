//! What changes of a slot come to.

use super::super::failure::HubFailure;
use super::super::initialisation::{Call, Ended};
use super::super::kept::HubValue;

/// What a call finds.
#[derive(Debug)]
pub(in crate::client_hub) enum Entered {
    Fresh(HubValue),
    /// With `refreshes`, the call leads a run that makes the value anew in the background.
    Stale {
        value: HubValue,
        refreshes: bool,
    },
    Leads,
    /// A remembered error.
    Failed(HubFailure),
    /// The call waits for a leader, whose time is over at `until`.
    Waits {
        until: u64,
    },
}

/// What an attempt to evict a value comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client_hub) enum Eviction {
    /// The slot has another value, or none.
    Gone,
    /// The value was read since the last attempt.
    InUse,
    /// The value had expired; its bytes are free.
    Expired(u64),
    /// Its bytes are free.
    Evicted(u64),
}

/// A run that did not finish, and the next.
#[derive(Debug, Default)]
pub(in crate::client_hub) struct Handover {
    /// The leader of before, where no call needs its result and it has to be notified.
    pub(in crate::client_hub) abandoned: Option<Call>,
    /// The new leader.
    pub(in crate::client_hub) leader: Option<Call>,
}

/// A run that failed.
#[derive(Debug)]
pub(in crate::client_hub) struct FailedRun {
    pub(in crate::client_hub) ended: Ended,
    /// The value that the pending calls receive instead of the error.
    pub(in crate::client_hub) stale: Option<HubValue>,
    /// Whether the error is remembered.
    pub(in crate::client_hub) is_remembered: bool,
    /// The weight of the error that this one replaces.
    pub(in crate::client_hub) replaced: Option<u64>,
}

/// A run that took too long.
#[derive(Debug)]
pub(in crate::client_hub) enum TimedOut {
    Failed(FailedRun),
    HandedOver(Handover),
}
