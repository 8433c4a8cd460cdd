//! The config epoch: a word that each call reads before it decides and after it has written.
//!
//! The word is `reconfigurations : 63 | closed : 1`. It is raised after the config was replaced, and before the words of
//! keys are adapted to the new one.

use crate::runtime::sync::{AtomicU64, Ordering};

const CLOSED: u64 = 1;
const RECONFIGURED: u64 = 2;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ConfigEpoch(u64);

impl ConfigEpoch {
    #[inline]
    pub(super) fn is_closed(self) -> bool {
        self.0 & CLOSED != 0
    }
}

#[derive(Debug)]
pub(super) struct AtomicConfigEpoch(AtomicU64);

impl Default for AtomicConfigEpoch {
    fn default() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl AtomicConfigEpoch {
    /// `SeqCst`, like the exchange of a key's state: of a call that writes by the old config and a reconfiguration,
    /// one sees the other.
    #[inline]
    pub(super) fn get(&self) -> ConfigEpoch {
        ConfigEpoch(self.0.load(Ordering::SeqCst))
    }

    pub(super) fn advance(&self) {
        self.0.fetch_add(RECONFIGURED, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.0.fetch_or(CLOSED, Ordering::SeqCst);
    }
}
