//! A value that is kept, and how long it may be served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::back_off::BackOff;

/// A value, encoded by the thread that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubValue {
    /// Unique in a hub. Later values have higher versions.
    pub version: u64,
    /// The value.
    pub bytes: Arc<[u8]>,
}

/// How long a value is kept, in nanoseconds, and the weight of its key.
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// How long it is fresh. `None`: until it is invalidated or evicted.
    pub ttl: Option<u64>,
    /// How long after `ttl` it may be served while it is made anew.
    pub stale_for: u64,
    /// How long after `ttl` it may be served when a refresh fails.
    pub stale_if_error: u64,
    /// Bytes of its key.
    pub key_bytes: u64,
}

/// How a value may be served at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Age {
    Fresh,
    Stale,
    /// Served only when a refresh has failed.
    LastResort,
    Expired,
}

#[derive(Debug)]
pub(super) struct Kept {
    pub(super) value: HubValue,
    retention: Retention,
    since: u64,
    /// It was read since the eviction queue last checked it.
    is_used: AtomicBool,
    /// The pause after a failed refresh.
    back_off: Option<BackOff>,
}

impl Kept {
    pub(super) fn new(value: HubValue, retention: Retention, now: u64) -> Self {
        Self { value, retention, since: now, is_used: AtomicBool::new(false), back_off: None }
    }

    pub(super) fn age(&self, now: u64) -> Age {
        let Some(ttl) = self.retention.ttl else { return Age::Fresh };
        match now.saturating_sub(self.since) {
            age if age < ttl => Age::Fresh,
            age if age < ttl.saturating_add(self.retention.stale_for) => Age::Stale,
            age if age < ttl.saturating_add(self.retention.stale_if_error) => Age::LastResort,
            _ => Age::Expired,
        }
    }

    /// Whether a refresh failed and the next one may not begin yet.
    pub(super) fn backs_off(&self, now: u64) -> bool {
        self.back_off.is_some_and(|back_off| now < back_off.until())
    }

    /// Begins the pause after a failed refresh.
    pub(super) fn refresh_failed(&mut self, now: u64) {
        self.back_off = Some(BackOff::after(self.back_off, now));
    }

    /// Bytes of key and value.
    pub(super) fn weight(&self) -> u64 {
        self.value.bytes.len() as u64 + self.retention.key_bytes
    }

    /// Relaxed: a hint that publishes nothing. Not written again once it is set, so that readers share the cache line.
    pub(super) fn mark_used(&self) {
        if !self.is_used.load(Ordering::Relaxed) {
            self.is_used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was read since the last call.
    pub(super) fn take_used(&mut self) -> bool {
        std::mem::take(self.is_used.get_mut())
    }

    pub(super) fn clock_was_set_back(&mut self, now: u64) {
        self.since = self.since.min(now);
        if let Some(back_off) = &mut self.back_off {
            back_off.clock_was_set_back(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(ttl: Option<u64>, stale_for: u64) -> Kept {
        let value = HubValue { version: 1, bytes: Arc::from([1, 2, 3]) };
        Kept::new(value, Retention { ttl, stale_for, stale_if_error: 0, key_bytes: 4 }, 1_000)
    }

    #[test]
    fn a_value_is_fresh_then_stale_then_expired() {
        let ages = |kept: &Kept| [1_000, 1_009, 1_010, 1_014, 1_015].map(|now| kept.age(now));
        let [fresh, stale, expired] = [Age::Fresh, Age::Stale, Age::Expired];
        assert_eq!(ages(&kept(Some(10), 5)), [fresh, fresh, stale, stale, expired]);
        assert_eq!(ages(&kept(Some(10), 0)), [fresh, fresh, expired, expired, expired]);
        assert_eq!(ages(&kept(None, 0)), [fresh; 5]);
    }

    #[test]
    fn stale_if_error_counts_from_the_end_of_the_ttl() {
        let ages = |stale_for, stale_if_error| {
            let retention = Retention { ttl: Some(10), stale_for, stale_if_error, key_bytes: 4 };
            let kept = Kept { retention, ..kept(None, 0) };
            [1_009, 1_010, 1_015, 1_020].map(|now| kept.age(now))
        };
        assert_eq!(ages(0, 10), [Age::Fresh, Age::LastResort, Age::LastResort, Age::Expired]);
        assert_eq!(ages(5, 10), [Age::Fresh, Age::Stale, Age::LastResort, Age::Expired]);
        assert_eq!(ages(10, 5), [Age::Fresh, Age::Stale, Age::Stale, Age::Expired]);
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_lengthen_the_ttl() {
        let mut kept = kept(Some(10), 0);
        kept.clock_was_set_back(100);
        assert_eq!([kept.age(109), kept.age(110)], [Age::Fresh, Age::Expired]);
    }

    #[test]
    fn the_weight_includes_the_key() {
        assert_eq!(kept(None, 0).weight(), 7);
    }
}
