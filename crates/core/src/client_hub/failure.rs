//! A remembered error: for some time, calls reject with it instead of running an initialiser.

use std::sync::Arc;

/// The outcome of an initialiser that failed.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The error, encoded by the calling thread.
    pub error: Arc<[u8]>,
    /// Nanoseconds for which later calls reject with it. With 0 the next call runs its initialiser.
    pub retry_after: u64,
    /// Bytes of the key.
    pub key_bytes: u64,
}

/// A remembered error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFailure {
    /// Unique among the errors and values of a hub.
    pub version: u64,
    /// The error.
    pub error: Arc<[u8]>,
}

#[derive(Debug)]
pub(super) struct Remembered {
    pub(super) failure: HubFailure,
    since: u64,
    retry_after: u64,
    key_bytes: u64,
}

impl Remembered {
    pub(super) fn new(version: u64, failed: &Failed, now: u64) -> Self {
        let failure = HubFailure { version, error: Arc::clone(&failed.error) };
        Self { failure, since: now, retry_after: failed.retry_after, key_bytes: failed.key_bytes }
    }

    pub(super) fn is_expired(&self, now: u64) -> bool {
        now.saturating_sub(self.since) >= self.retry_after
    }

    /// Bytes of key and error.
    pub(super) fn weight(&self) -> u64 {
        self.failure.error.len() as u64 + self.key_bytes
    }

    pub(super) fn clock_was_set_back(&mut self, now: u64) {
        self.since = self.since.min(now);
    }
}
