//! An error that calls are rejected with for a while, instead of an initialiser being run.

use std::sync::Arc;

/// What an initialiser came to, where that is no value.
#[derive(Clone, Debug)]
pub struct Failed {
    /// The error, encoded by whoever ran it.
    pub error: Arc<[u8]>,
    /// For how many nanoseconds later calls are rejected with it; 0: the next call runs its initialiser.
    pub retry_after: u64,
    /// Bytes of the key.
    pub key_bytes: u64,
}

/// An error that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFailure {
    /// No two of a hub have the same, nor has a value of it.
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

    pub(super) fn is_over(&self, now: u64) -> bool {
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
