//! What a process holds of all clients of a limiter, in a table of keys.

mod several;
mod single;

use std::io;

use self::several::SeveralLeases;
use self::single::SingleLeases;
use super::cell::{Held, Taken};
use crate::rate_limiter::MAX_LIMITS;
use crate::runtime::key_hash::KeyHash;

/// What is held of a client, of each limit in their order; nothing of limits that there are not.
pub type HeldEach = [Held; MAX_LIMITS];

/// Units that are held, by client. A client that is evicted loses what is held of it, and never gets more.
#[expect(
    clippy::large_enum_variant,
    reason = "one per limiter; a box would be one more look-up in every call"
)]
pub(super) enum LeaseTable {
    /// Of one limit.
    Single(SingleLeases),
    /// Of several limits: a call takes units of all of them, or of none.
    Several(Box<SeveralLeases>),
}

impl LeaseTable {
    /// `intervals` are between two units of each limit; 0 where all lapse at the end of a window.
    pub(super) fn new(max_keys: usize, intervals: &[u64]) -> io::Result<Self> {
        Ok(match *intervals {
            [interval] => Self::Single(SingleLeases::new(max_keys, interval)?),
            _ => Self::Several(Box::new(SeveralLeases::new(max_keys, intervals)?)),
        })
    }

    /// Spends units of a client, if they are held. Of several limits, leaves in `rests` what is held of each afterwards.
    #[inline]
    pub(super) fn take(&self, key: KeyHash, cost: u64, now: u64, rests: &mut HeldEach) -> Taken {
        match self {
            Self::Single(table) => table.take(key, cost, now),
            Self::Several(table) => {
                let taken;
                (taken, *rests) = table.take(key, cost, now);
                taken
            }
        }
    }

    /// As [`take`](Self::take), where the units are held, others stay, and no more are to be asked for yet. Else false, and
    /// nothing was done.
    #[inline]
    pub(super) fn take_at_once(&self, key: KeyHash, cost: u64, now: u64) -> bool {
        match self {
            Self::Single(table) => table.take_at_once(key, cost, now),
            Self::Several(table) => table.take_at_once(key, cost, now),
        }
    }

    /// Adds units of each limit: their end, and how many there are.
    pub(super) fn grant(&self, key: KeyHash, units: &[(u64, u64)], now: u64) {
        match self {
            Self::Single(table) => units.iter().for_each(|units| table.grant(key, *units, now)),
            Self::Several(table) => table.grant(key, units, now),
        }
    }

    /// Takes so many of the last units of each limit away; how many there were.
    pub(super) fn withdraw(&self, key: KeyHash, units: &[u64; MAX_LIMITS], now: u64) -> [u64; MAX_LIMITS] {
        match self {
            Self::Single(table) => only(table.withdraw(key, units[0], now)),
            Self::Several(table) => table.withdraw(key, units, now),
        }
    }

    /// Refuses a client for so many nanoseconds, where nothing is held of it. With several limits nothing is noted: a refusal
    /// is of one of them, and others may be held.
    pub(super) fn refuse(&self, key: KeyHash, wait: u64, now: u64) {
        if let Self::Single(table) = self {
            table.refuse(key, wait, now);
        }
    }

    /// Drops a refusal, and keeps what is held.
    pub(super) fn forgive(&self, key: KeyHash, now: u64) {
        if let Self::Single(table) = self
            && table.held(key, now).units == 0
        {
            table.forget(key);
        }
    }

    /// Drops what is held of a client, and its refusal.
    pub(super) fn forget(&self, key: KeyHash) {
        match self {
            Self::Single(table) => table.forget(key),
            Self::Several(table) => table.forget(key),
        }
    }

    /// What is held of a client, of each limit.
    pub(super) fn held(&self, key: KeyHash, now: u64) -> HeldEach {
        match self {
            Self::Single(table) => only(table.held(key, now)),
            Self::Several(table) => table.held(key, now),
        }
    }

    pub(super) fn intervals(&self) -> &[u64] {
        match self {
            Self::Single(table) => table.intervals(),
            Self::Several(table) => table.intervals(),
        }
    }
}

/// Of a single limit.
fn only<T: Copy + Default>(value: T) -> [T; MAX_LIMITS] {
    let mut all = [T::default(); MAX_LIMITS];
    all[0] = value;
    all
}
