//! Units that go back to the server.

use super::demand::Excess;
use crate::rate_limiter::MAX_LIMITS;

/// Units to give back to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned<N> {
    /// Whose.
    pub client: N,
    /// How many, of each limit.
    pub units: [u64; MAX_LIMITS],
    /// When they were granted, in microseconds of the server's clock.
    pub at: u64,
    /// What the key was left at, of each limit. The server takes units only where that still holds.
    pub states: [u64; MAX_LIMITS],
}

impl<N: Clone> Returned<N> {
    /// What of an excess was taken away; `None` where nothing was.
    pub(super) fn of(client: &N, excess: &Excess, units: [u64; MAX_LIMITS]) -> Option<Self> {
        let Excess { at, states, .. } = *excess;
        units.iter().any(|units| *units > 0).then(|| Self { client: client.clone(), units, at, states })
    }
}

/// What is left of each.
pub(super) fn without(held: &[u64; MAX_LIMITS], returned: &[u64; MAX_LIMITS]) -> [u64; MAX_LIMITS] {
    let mut left = *held;
    for (left, returned) in left.iter_mut().zip(returned) {
        *left = left.saturating_sub(*returned);
    }
    left
}
