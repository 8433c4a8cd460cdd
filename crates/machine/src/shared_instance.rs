//! What named instances have in common that all processes share.

use sluice_core::{ConnectionTracker, Instance, RateLimiter, Reputation};

use crate::limiter::SharedLimiter;
use crate::reputation::SharedReputation;
use crate::tracker::SharedTracker;

/// A named instance that all processes share.
pub trait SharedInstance: Instance {
    /// The name it was opened under.
    fn name(&self) -> &str;

    /// Whether a process has ended it for all.
    fn is_closed_everywhere(&self) -> bool;

    /// Ends it in all processes, and removes its file.
    fn close_everywhere(&self);
}

macro_rules! shared_instances {
    ($($shared:ty => $part:ident: $instance:ty,)+) => {$(
        impl SharedInstance for $shared {
            fn name(&self) -> &str {
                <$instance>::name(self.$part())
            }

            fn is_closed_everywhere(&self) -> bool {
                <$instance>::is_closed_everywhere(self.$part())
            }

            fn close_everywhere(&self) {
                <$shared>::close_everywhere(self);
            }
        }
    )+};
}

shared_instances! {
    SharedLimiter => limiter: RateLimiter,
    SharedReputation => reputation: Reputation,
    SharedTracker => tracker: ConnectionTracker,
}
