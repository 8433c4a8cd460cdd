//! What limits have granted to a process, in the numbers of the scripts.

use sluice_core::{GrantId, GrantShare, TakenBack};

use super::{Limit, Plan, US, of_us};

impl Plan {
    /// The limits, each with its own doubles of the script's reply.
    pub(crate) fn by_limit<'a>(&'a self, doubles: &'a [i64]) -> impl Iterator<Item = (&'a Limit, &'a [i64])> {
        let mut rest = doubles;
        self.limits.iter().map(move |limit| {
            let (own, others) = rest.split_at(limit.words().min(rest.len()));
            rest = others;
            (limit, own)
        })
    }
}

impl Limit {
    /// What a lease is told of `charged` units, of which calls have used some. `doubles` are the state before.
    pub(crate) fn share(&self, doubles: &[i64], now: u64, (charged, used): (u64, u64)) -> GrantShare {
        let (length, id) = self.grant_of(doubles, now, charged);
        let follows = self.row_end(now, natural(doubles, 0));
        GrantShare { length, kept: charged.saturating_sub(used), follows, id }
    }

    /// How long units last that were granted, in nanoseconds, and how the server knows them again.
    pub(crate) fn grant_of(&self, doubles: &[i64], now: u64, units: u64) -> (u64, GrantId) {
        let window = |state| GrantId { at: now, state, row_end: 0, is_window: true };
        match self {
            Self::Gcra { interval, ticks_per_us, .. } => {
                let debt = natural(doubles, 0) + units.saturating_mul(*interval);
                (debt.saturating_mul(US) / ticks_per_us, self.row_of(now, debt))
            }
            Self::FixedWindow { window: length, .. } => {
                let left = if natural(doubles, 0) == 0 { *length } else { natural(doubles, 1) };
                (of_us(left), window(now + left))
            }
            Self::SlidingWindow { window: length, .. } => {
                (of_us(length - now % length), window(now / length))
            }
        }
    }

    /// What it is told of units that have gone back.
    pub(crate) fn taken_back(&self, doubles: &[i64], now: u64, units: u64) -> TakenBack {
        let before = natural(doubles, 0);
        let id = match self {
            Self::Gcra { interval, .. } => self.row_of(now, before.saturating_sub(units * interval)),
            _ => GrantId { is_window: true, ..GrantId::default() },
        };
        TakenBack { units, follows: self.row_end(now, before), id }
    }

    /// What a GCRA limit is left at, by its debt in ticks.
    fn row_of(&self, now: u64, debt: u64) -> GrantId {
        GrantId { at: now, state: debt, row_end: self.row_end(now, debt), is_window: false }
    }

    /// Where the row of slots ends, in ticks; 0 where there is none.
    fn row_end(&self, now: u64, debt: u64) -> u64 {
        match self {
            Self::Gcra { ticks_per_us, .. } if debt > 0 => now.saturating_mul(*ticks_per_us) + debt,
            _ => 0,
        }
    }
}

/// What was lost of a reply that is too short counts as nothing.
pub(super) fn natural(doubles: &[i64], index: usize) -> u64 {
    doubles.get(index).map_or(0, |double| double.max(&0).unsigned_abs())
}
