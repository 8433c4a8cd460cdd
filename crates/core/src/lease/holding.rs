//! What is known of the units that are held of one limit.

use super::grant::{GrantId, GrantShare, TakenBack};

/// What becomes of the units of one limit, and which of them may go back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Holding {
    /// Units put into the lease and used by pending calls since the last ask, with those that were held then.
    available: u64,
    /// Units in the lease at the last check, with those put in since.
    seen: u64,
    last: Option<(GrantId, u64)>,
    /// Units that may go back once those are that are on their way.
    then: u64,
}

impl Holding {
    /// The server is asked while so many units are held; how many are gone since it was asked last.
    pub(super) fn asked(&mut self, held: u64) -> u64 {
        let spent = self.available.saturating_sub(held);
        self.available = held;
        spent
    }

    /// Units were granted.
    pub(super) fn granted(&mut self, share: &GrantShare, used: u64) {
        self.available += share.kept + used;
        self.seen += share.kept;
        self.last = match self.last {
            Some((id, units)) if share.joins(&id) => Some((share.id, units + share.kept)),
            _ if share.kept > 0 => Some((share.id, share.kept)),
            // The server has changed the key since the last grant, so nothing of that can go back.
            _ if used > 0 => None,
            last => last,
        };
    }

    /// A unit that was used is put back into the lease.
    pub(super) fn put_back(&mut self, units: u64) {
        self.seen += units;
    }

    /// Whether units may go back, now or once others are back.
    pub(super) fn can_return(&self) -> bool {
        self.then > 0 || self.last.is_some_and(|(_, units)| units > 0)
    }

    /// Units that are gone since the last check.
    pub(super) fn gone(&self, held: u64) -> u64 {
        self.seen.saturating_sub(held)
    }

    /// Units to give back where so many were used since the last check: those beyond as many.
    pub(super) fn excess(&self, held: u64, used: u64) -> (u64, Option<GrantId>) {
        let Some((id, units)) = self.last else { return (0, None) };
        (held.saturating_sub(used).min(units), Some(id))
    }

    /// The check is over: so many units are left, and so many went back.
    pub(super) fn checked(&mut self, left: u64, returned: u64) {
        self.seen = left;
        self.available = self.available.saturating_sub(returned);
        self.last = match self.last {
            Some((id, units)) if id.is_window && units > returned => Some((id, units - returned)),
            // The key is no longer as the grant has left it, until the server answers.
            Some((_, units)) if returned > 0 => {
                self.then = units - returned;
                None
            }
            last => last,
        };
    }

    /// The server has taken units back by some row of slots, and written the key.
    pub(super) fn returned(&mut self, back: &TakenBack) {
        self.last = match self.last {
            _ if back.id.is_window => self.last,
            None if back.units > 0 => Some((back.id, std::mem::take(&mut self.then))),
            // Nothing of this limit went back, and the row still ends with this process's units.
            Some((id, units)) if id.row_end == back.follows => Some((back.id, units)),
            last => last,
        };
    }
}
