//! How much to hold of a client: what a tenth of a second uses.

use super::grant::{Grant, GrantId};

const MS: u64 = 1_000_000;

/// A batch lasts for about this long, in nanoseconds.
const HORIZON: u64 = 100 * MS;

/// What is known of a client's demand, and of what may go back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Demand {
    /// Units that the last ask wanted.
    batch: u64,
    asked_at: u64,
    /// An ask is under way until then at the latest.
    pending_until: u64,
    /// Units put into the lease and used by pending calls since the last ask, with those that were held then.
    available: u64,
    /// Units in the lease at the last check, with those put in since.
    seen: u64,
    last: Option<(GrantId, u64)>,
    /// Units that may go back once those are that are on their way.
    then: u64,
}

impl Demand {
    /// Notes that the server is asked while `held` units are left; how many units to hold.
    pub(super) fn ask(&mut self, held: u64, now: u64, deadline: u64) -> u64 {
        if now < self.pending_until {
            return 0;
        }
        let spent = self.available.saturating_sub(held);
        let elapsed = now.saturating_sub(self.asked_at).max(1_000);
        let wanted = u64::try_from(u128::from(spent) * u128::from(HORIZON) / u128::from(elapsed));
        let wanted = wanted.unwrap_or(u64::MAX).saturating_add(1);
        let most = if elapsed > 2 * HORIZON { wanted } else { 2 * self.batch.max(1) };
        *self = Self {
            batch: wanted.min(most),
            asked_at: now,
            pending_until: deadline,
            available: held,
            ..*self
        };
        self.batch
    }

    /// Units were granted.
    pub(super) fn granted(&mut self, grant: &Grant) {
        self.pending_until = 0;
        self.available += grant.kept + grant.used;
        self.seen += grant.kept;
        self.last = match self.last {
            Some((id, units)) if grant.joins(&id) => Some((grant.id, units + grant.kept)),
            _ if grant.kept > 0 => Some((grant.id, grant.kept)),
            // The server has changed the key since the last grant, so nothing of that can go back.
            _ if grant.used > 0 => None,
            last => last,
        };
    }

    /// A unit that was used is put back into the lease.
    pub(super) fn put_back(&mut self, units: u64) {
        self.seen += units;
    }

    /// The answer to an ask has come, or will not.
    pub(super) fn answered(&mut self) {
        self.pending_until = 0;
    }

    /// Whether nothing is worth remembering: nothing is held or asked for, and the last ask tells nothing of the next.
    pub(super) fn is_over(&self, held: u64, now: u64) -> bool {
        held == 0 && now >= self.pending_until && now > self.asked_at + 2 * HORIZON
    }

    /// Units to give back: those that were not used since the last check, beyond as many as were.
    pub(super) fn excess(&mut self, held: u64) -> (u64, Option<GrantId>) {
        let used = self.seen.saturating_sub(held);
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

    /// The server has taken units back, and left the key at this.
    pub(super) fn returned(&mut self, id: GrantId) {
        if !id.is_window && self.last.is_none() {
            self.last = Some((id, std::mem::take(&mut self.then)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(kept: u64, used: u64) -> Grant {
        Grant { sent: 0, length: 0, kept, used, follows: 0, id: GrantId::default() }
    }

    #[test]
    fn a_batch_grows_twofold_to_what_a_tenth_of_a_second_uses() {
        let mut demand = Demand::default();
        let (mut now, mut batches) = (1_000_000 * MS, Vec::new());
        // 2000 a second, each unit used as soon as it is there.
        for _ in 0..12 {
            let batch = demand.ask(0, now, now + 50 * MS);
            batches.push(batch);
            demand.granted(&grant(batch - 1, 1));
            now += batch * MS / 2;
        }
        assert_eq!(batches[..6], [1, 2, 4, 8, 16, 32]);
        assert!((190..=210).contains(&batches[11]), "{batches:?}");
    }

    #[test]
    fn a_rare_client_holds_nothing() {
        let mut demand = Demand::default();
        for second in 1..5 {
            assert_eq!(demand.ask(0, second * 1_000 * MS, 0), 1);
            demand.granted(&grant(0, 1));
        }
    }

    #[test]
    fn one_ask_at_a_time_wants_a_batch() {
        let mut demand = Demand::default();
        let now = 1_000 * MS;
        assert_eq!(demand.ask(0, now, now + 50 * MS), 1);
        assert_eq!(demand.ask(0, now + MS, now + 51 * MS), 0, "one is under way");
        assert!(demand.ask(0, now + 50 * MS, now + 100 * MS) > 0, "it was lost");
    }

    #[test]
    fn units_of_one_row_go_back_together() {
        let mut demand = Demand::default();
        let of = |follows, row_end| Grant {
            follows,
            id: GrantId { row_end, ..GrantId::default() },
            ..grant(10, 0)
        };
        demand.granted(&of(0, 100));
        demand.granted(&of(100, 200));
        assert_eq!(demand.excess(20).0, 20);
        demand.granted(&of(250, 350));
        assert_eq!(demand.excess(30).0, 10, "another process owns what lies between");
    }

    #[test]
    fn what_was_not_used_goes_back() {
        let mut demand = Demand::default();
        demand.granted(&grant(10, 0));
        assert_eq!(demand.excess(10).0, 10);
        assert_eq!(demand.excess(7).0, 4, "three were used, so three may be used again");
        demand.checked(3, 4);
        assert_eq!(demand.excess(3).0, 0, "the key is no longer as the grant has left it");
        demand.returned(GrantId::default());
        assert_eq!(demand.excess(3).0, 3, "the server has said what it has left");
    }
}
