//! Refusals that need not be asked for again: a flood of one client is about one call a second to the server.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sluice_core::Decision;

use crate::client_name::ClientName;

/// A refusal is trusted for this long at most: another machine may have reset the client.
const LONGEST: Duration = Duration::from_secs(1);

/// Clients of one limiter.
const MOST: usize = 10_000;

#[derive(Debug)]
struct Refusal {
    cost: u64,
    at: Instant,
    until: Instant,
    decision: Decision,
}

/// Clients that were refused, until their time.
#[derive(Debug, Default)]
pub(crate) struct Remembered {
    refusals: Mutex<HashMap<ClientName, Refusal>>,
}

impl Remembered {
    /// The refusal of a call of this cost, as it is by now.
    pub(crate) fn get(&self, client: &ClientName, cost: u64, now: Instant) -> Option<Decision> {
        let refusals = self.refusals.lock();
        let refusal = refusals.get(client)?;
        if now >= refusal.until || cost != refusal.cost {
            return None;
        }
        let passed = u64::try_from(now.saturating_duration_since(refusal.at).as_nanos()).unwrap_or(u64::MAX);
        let mut decision = refusal.decision;
        for time in [&mut decision.reset_after, &mut decision.more_after] {
            *time = time.saturating_sub(passed);
        }
        decision.retry_after = decision.retry_after.map(|wait| wait.saturating_sub(passed).max(1));
        Some(decision)
    }

    /// Remembers a refusal that the server sent at `at`, or before.
    pub(crate) fn put(&self, client: &ClientName, cost: u64, decision: Decision, at: Instant) {
        let wait = decision.retry_after.map_or(LONGEST, Duration::from_nanos).min(LONGEST);
        let refusal = Refusal { cost, at, until: at + wait, decision };
        let mut refusals = self.refusals.lock();
        if refusals.len() >= MOST {
            refusals.retain(|_, refusal| refusal.until > at);
        }
        if refusals.len() < MOST || refusals.contains_key(client) {
            refusals.insert(client.clone(), refusal);
        }
    }

    /// The client's state has changed otherwise than by time.
    pub(crate) fn forget(&self, client: &ClientName) {
        self.refusals.lock().remove(client);
    }

    pub(crate) fn clear(&self) {
        self.refusals.lock().clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.refusals.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use sluice_core::{RateLimiterConfig, RateLimiterOptions};

    use super::*;

    fn name(text: &str) -> ClientName {
        ClientName::of_units(&text.encode_utf16().collect::<Vec<_>>())
    }

    fn refusal(wait_ms: u64) -> Decision {
        let config = RateLimiterConfig::try_from(RateLimiterOptions::single(1, 1_000)).expect("valid");
        config.describe_unasked(false, wait_ms * 1_000_000)
    }

    #[test]
    fn refuses_until_the_time_and_no_longer() {
        let (remembered, at, ms) = (Remembered::default(), Instant::now(), Duration::from_millis(1));
        remembered.put(&name("a"), 2, refusal(300), at);
        let later = remembered.get(&name("a"), 2, at + 299 * ms).expect("remembered");
        assert_eq!((later.allowed, later.retry_after), (false, Some(1_000_000)));
        assert!(remembered.get(&name("a"), 3, at).is_none(), "more waits longer");
        assert!(remembered.get(&name("a"), 1, at).is_none(), "less may be admitted");
        assert!(remembered.get(&name("a"), 2, at + 300 * ms).is_none());
        assert!(remembered.get(&name("b"), 2, at).is_none());
    }

    #[test]
    fn a_long_wait_is_asked_for_again_after_a_second() {
        let (remembered, at, ms) = (Remembered::default(), Instant::now(), Duration::from_millis(1));
        remembered.put(&name("a"), 1, refusal(60_000), at);
        let later = remembered.get(&name("a"), 1, at + 999 * ms).expect("remembered");
        assert_eq!(later.retry_after, Some(59_001 * 1_000_000));
        assert!(remembered.get(&name("a"), 1, at + 1_000 * ms).is_none());
        remembered.forget(&name("a"));
        assert!(remembered.get(&name("a"), 1, at).is_none());
    }

    #[test]
    fn holds_a_bounded_number() {
        let (remembered, at) = (Remembered::default(), Instant::now());
        for n in 0..MOST + 5 {
            remembered.put(&name(&n.to_string()), 1, refusal(500), at);
        }
        assert_eq!(remembered.len(), MOST);
        remembered.put(&name("late"), 1, refusal(500), at + Duration::from_secs(2));
        assert_eq!(remembered.len(), 1, "what is over makes room");
    }
}
