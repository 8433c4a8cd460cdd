//! The keyed limiter of governor: its decision in a DashMap, with its own clock.

use std::hash::{BuildHasher, Hash};
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock, FakeRelativeClock};
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};

use crate::contenders::{Borrowed, Limiter, Locks};
use crate::gcra::Limit;
use crate::waited::Waited;

/// The limiter with keys `K`, hasher `S` and clock `C`.
pub struct Governor<K: Hash + Eq + Clone, S: BuildHasher + Clone, C: Clock> {
    limiter: RateLimiter<K, DashMapStateStore<K, S>, C, NoOpMiddleware<C::Instant>>,
    burst: NonZeroU32,
}

/// A stopped clock: reading it is one load.
pub type Standing = FakeRelativeClock;
/// The default clock of governor.
pub type Running = DefaultClock;

impl<K, S, C> Governor<K, S, C>
where
    K: Hash + Eq + Clone,
    S: BuildHasher + Clone + Default,
    C: Clock + Default,
{
    pub fn new(limit: Limit, capacity: usize) -> Self {
        let burst = NonZeroU32::new(limit.burst).expect("a burst above 0");
        let interval = Duration::from_nanos(limit.interval);
        let quota = Quota::with_period(interval).expect("an interval above 0").allow_burst(burst);
        let store = DashMapStateStore::with_capacity_and_hasher(capacity, S::default());
        Self { limiter: RateLimiter::new(quota, store, C::default()), burst }
    }
}

impl<K, S, C> Limiter for Governor<K, S, C>
where
    K: Borrowed,
    S: BuildHasher + Clone + Send + Sync,
    C: Clock + Send + Sync,
    C::Instant: Send + Sync,
{
    type Key = K::By;
    const LOCKS: Locks = Locks::Hidden;

    fn admit(&self, key: K::By, _: u64, _: &mut Waited) -> bool {
        self.limiter.check_key(K::from_load(&key)).is_ok()
    }

    fn use_up(&self, key: K::By, _: u64) {
        let all = self.limiter.check_key_n(K::from_load(&key), self.burst);
        all.expect("no more than the burst").expect("nothing has been used yet");
    }
}
