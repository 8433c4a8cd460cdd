//! How much to hold of a client: what a tenth of a second uses.

use smallvec::{SmallVec, smallvec};

use super::grant::{Grant, TakenBack};
use super::holding::Holding;
use crate::rate_limiter::MAX_LIMITS;

const MS: u64 = 1_000_000;

/// A batch lasts for about this long, in nanoseconds.
const HORIZON: u64 = 100 * MS;

/// What is known of a client's demand, and of what may go back.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// Units that the last ask wanted.
    batch: u64,
    asked_at: u64,
    /// An ask is under way until then at the latest.
    pending_until: u64,
    /// Of each limit.
    holdings: SmallVec<[Holding; 1]>,
}

/// Units to give back, of each limit, and by what the server knows them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Excess {
    pub(super) units: [u64; MAX_LIMITS],
    /// When the rows among them were left as `states` says, in microseconds of the server's clock.
    pub(super) at: u64,
    pub(super) states: [u64; MAX_LIMITS],
}

impl Demand {
    /// Of a client by so many limits.
    pub(super) fn new(limits: usize) -> Self {
        Self { batch: 0, asked_at: 0, pending_until: 0, holdings: smallvec![Holding::default(); limits] }
    }

    /// Notes that the server is asked while so many units of each limit are left; how many units to hold.
    pub(super) fn ask(&mut self, held: &[u64], now: u64, deadline: u64) -> u64 {
        if now < self.pending_until {
            return 0;
        }
        // What is gone by one limit alone has lapsed.
        let gone = self.holdings.iter_mut().zip(held).map(|(holding, held)| holding.asked(*held));
        let spent = gone.min().unwrap_or_default();
        let elapsed = now.saturating_sub(self.asked_at).max(1_000);
        let wanted = u64::try_from(u128::from(spent) * u128::from(HORIZON) / u128::from(elapsed));
        let wanted = wanted.unwrap_or(u64::MAX).saturating_add(1);
        let most = if elapsed > 2 * HORIZON { wanted } else { 2 * self.batch.max(1) };
        (self.batch, self.asked_at, self.pending_until) = (wanted.min(most), now, deadline);
        self.batch
    }

    /// Units were granted.
    pub(super) fn granted(&mut self, grant: &Grant<'_>) {
        self.pending_until = 0;
        for (holding, share) in self.holdings.iter_mut().zip(grant.shares) {
            holding.granted(share, grant.used);
        }
    }

    /// Units of each limit that were used are put back into the lease.
    pub(super) fn put_back(&mut self, units: impl IntoIterator<Item = u64>) {
        for (holding, units) in self.holdings.iter_mut().zip(units) {
            holding.put_back(units);
        }
    }

    /// The answer to an ask has come, or will not.
    pub(super) fn answered(&mut self) {
        self.pending_until = 0;
    }

    /// Whether nothing is worth remembering: nothing is held or asked for, and the last ask tells nothing of the next.
    pub(super) fn is_over(&self, held: &[u64], now: u64) -> bool {
        let holds = held.iter().any(|units| *units > 0);
        !holds && now >= self.pending_until && now > self.asked_at + 2 * HORIZON
    }

    /// Whether no units can go back, and no answer is awaited.
    pub(super) fn is_stuck(&self, now: u64) -> bool {
        now >= self.pending_until && !self.holdings.iter().any(Holding::can_return)
    }

    /// Units to give back: those that were not used since the last check, beyond as many as were.
    pub(super) fn excess(&self, held: &[u64]) -> Excess {
        let holdings = || self.holdings.iter().zip(held);
        let used = holdings().map(|(holding, held)| holding.gone(*held)).min().unwrap_or_default();
        let all: SmallVec<[_; 1]> = holdings().map(|(holding, held)| holding.excess(*held, used)).collect();
        let ids = || all.iter().filter_map(|(_, id)| id.as_ref());
        let rows = ids().filter(|id| !id.is_window).map(|id| id.at);
        let at = rows.max().or_else(|| ids().map(|id| id.at).max()).unwrap_or_default();
        let mut excess = Excess { at, ..Excess::default() };
        let places = excess.units.iter_mut().zip(&mut excess.states);
        for ((units, state), (of_limit, id)) in places.zip(all) {
            // A row that was written before the newest one has changed since.
            if let Some(id) = id.filter(|id| id.is_window || id.at == at) {
                (*units, *state) = (of_limit, id.state);
            }
        }
        excess
    }

    /// The check is over: of each limit so many units are left, and so many went back.
    pub(super) fn checked(&mut self, left: &[u64], returned: &[u64]) {
        for (holding, (left, returned)) in self.holdings.iter_mut().zip(left.iter().zip(returned)) {
            holding.checked(*left, *returned);
        }
    }

    /// The server has taken units back of each limit, if any, and left the key at this.
    pub(super) fn returned(&mut self, backs: &[TakenBack]) {
        // Where windows alone have taken some, the key says of rows what it said before.
        if backs.iter().any(|back| back.units > 0 && !back.id.is_window) {
            for (holding, back) in self.holdings.iter_mut().zip(backs) {
                holding.returned(back);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::grant::{GrantId, GrantShare};

    fn share(kept: u64) -> GrantShare {
        GrantShare { length: 0, kept, follows: 0, id: GrantId::default() }
    }

    fn grant(demand: &mut Demand, kept: u64, used: u64) {
        demand.granted(&Grant { sent: 0, used, shares: &[share(kept)] });
    }

    fn excess(demand: &Demand, held: u64) -> u64 {
        demand.excess(&[held]).units[0]
    }

    #[test]
    fn a_batch_grows_twofold_to_what_a_tenth_of_a_second_uses() {
        let mut demand = Demand::new(1);
        let (mut now, mut batches) = (1_000_000 * MS, Vec::new());
        // 2000 a second, each unit used as soon as it is there.
        for _ in 0..12 {
            let batch = demand.ask(&[0], now, now + 50 * MS);
            batches.push(batch);
            grant(&mut demand, batch - 1, 1);
            now += batch * MS / 2;
        }
        assert_eq!(batches[..6], [1, 2, 4, 8, 16, 32]);
        assert!((190..=210).contains(&batches[11]), "{batches:?}");
    }

    #[test]
    fn a_rare_client_holds_nothing() {
        let mut demand = Demand::new(1);
        for second in 1..5 {
            assert_eq!(demand.ask(&[0], second * 1_000 * MS, 0), 1);
            grant(&mut demand, 0, 1);
        }
    }

    #[test]
    fn one_ask_at_a_time_wants_a_batch() {
        let mut demand = Demand::new(1);
        let now = 1_000 * MS;
        assert_eq!(demand.ask(&[0], now, now + 50 * MS), 1);
        assert_eq!(demand.ask(&[0], now + MS, now + 51 * MS), 0, "one is under way");
        assert!(demand.ask(&[0], now + 50 * MS, now + 100 * MS) > 0, "it was lost");
    }

    #[test]
    fn units_of_one_row_go_back_together() {
        let mut demand = Demand::new(1);
        let mut granted = |follows, row_end| {
            let share = GrantShare { follows, id: GrantId { row_end, ..GrantId::default() }, ..share(10) };
            demand.granted(&Grant { sent: 0, used: 0, shares: &[share] });
            demand.clone()
        };
        granted(0, 100);
        assert_eq!(excess(&granted(100, 200), 20), 20);
        assert_eq!(excess(&granted(250, 350), 30), 10, "another process owns what lies between");
    }

    #[test]
    fn what_was_not_used_goes_back() {
        let mut demand = Demand::new(1);
        grant(&mut demand, 10, 0);
        assert_eq!(excess(&demand, 10), 10);
        assert_eq!(excess(&demand, 7), 4, "three were used, so three may be used again");
        demand.checked(&[3], &[4]);
        assert_eq!(excess(&demand, 3), 0, "the key is no longer as the grant has left it");
        demand.returned(&[TakenBack { units: 4, follows: 0, id: GrantId::default() }]);
        assert_eq!(excess(&demand, 3), 3, "the server has said what it has left");
    }

    /// By a fast and a slow limit: what has lapsed by the fast one alone was not used.
    #[test]
    fn what_has_lapsed_by_one_limit_goes_back_to_the_other() {
        let mut demand = Demand::new(2);
        let row = |row_end| GrantShare { id: GrantId { at: 5, row_end, ..GrantId::default() }, ..share(10) };
        demand.granted(&Grant { sent: 0, used: 1, shares: &[row(100), row(1_000)] });
        assert_eq!(demand.excess(&[0, 8]).units[..2], [0, 6], "two were used, so two may be used again");
        let mut next = demand.clone();
        assert_eq!(next.ask(&[0, 8], 1_000 * MS, 0), 1, "three in a second");
    }

    #[test]
    fn a_row_that_was_written_again_is_known_by_what_it_was_left_at() {
        let mut demand = Demand::new(2);
        let id = |at, row_end| GrantId { at, row_end, state: row_end - at, is_window: false };
        let row = |id| GrantShare { id, ..share(10) };
        demand.granted(&Grant { sent: 0, used: 0, shares: &[row(id(5, 100)), row(id(5, 1_000))] });
        demand.checked(&[10, 8], &[0, 2]);
        let back = |units, follows, id| TakenBack { units, follows, id };
        demand.returned(&[back(0, 100, id(7, 100)), back(2, 1_000, id(7, 998))]);
        let excess = demand.excess(&[10, 8]);
        assert_eq!((excess.at, &excess.units[..2], &excess.states[..2]), (7, &[10, 8][..], &[93, 991][..]));
    }

    #[test]
    fn a_row_that_has_changed_since_keeps_its_units() {
        let mut demand = Demand::new(2);
        let row = |at, kept| GrantShare { id: GrantId { at, ..GrantId::default() }, ..share(kept) };
        let window = GrantId { at: 5, is_window: true, ..GrantId::default() };
        demand.granted(&Grant {
            sent: 0,
            used: 0,
            shares: &[row(5, 4), GrantShare { id: window, ..share(4) }],
        });
        let before = demand.excess(&[4, 4]);
        assert_eq!((before.at, &before.units[..2]), (5, &[4, 4][..]));
        let mut of_rows = Demand::new(2);
        of_rows.granted(&Grant { sent: 0, used: 0, shares: &[row(5, 4), row(5, 4)] });
        of_rows.granted(&Grant { sent: 0, used: 0, shares: &[row(9, 0), row(9, 2)] });
        let after = of_rows.excess(&[4, 6]);
        assert_eq!((after.at, &after.units[..2]), (9, &[0, 2][..]));
    }
}
