//! What a process holds of all clients of a limiter of several limits.
//!
//! Each limit has a word of its own, with its own units and their end, so what a single limit promises holds for each of
//! them whatever becomes of the others. A call takes its units of all limits in one step. Units that have lapsed by one limit
//! stay in the words of the others: more is asked for only of what is missing.

use std::io;

use super::HeldEach;
use crate::key_table::{Client, Overflow, Several, StackedRecords, Step, Table};
use crate::lease::cell::{Lease, Taken};
use crate::lease::planted::mistaken;
use crate::rate_limiter::MAX_LIMITS;
use crate::runtime::arena::Arena;
use crate::runtime::key_hash::KeyHash;

type Words = [u64; MAX_LIMITS];

/// Units of several limits.
pub(in crate::lease) struct SeveralLeases {
    table: Table<Several<StackedRecords>>,
    /// Between two units of each limit; 0 where all lapse at the end of a window.
    intervals: Vec<u64>,
}

/// What a call that is admitted leaves.
struct Spent {
    words: Words,
    rests: HeldEach,
    is_low: bool,
}

impl SeveralLeases {
    pub(super) fn new(max_keys: usize, intervals: &[u64]) -> io::Result<Self> {
        let records = |slots| Several::new(slots, intervals.len(), &Arena::default());
        let table = Table::new(max_keys, Overflow::Evict, &Arena::default(), records)?;
        Ok(Self { table, intervals: intervals.to_vec() })
    }

    /// Spends units of all limits, if they are held, or of none; what is held afterwards.
    pub(super) fn take(&self, key: KeyHash, cost: u64, now: u64) -> (Taken, HeldEach) {
        let spend = |words: &Words, now| match self.spend(words, cost, now) {
            Some(Spent { words, rests, is_low }) => {
                let least = rests[..self.intervals.len()].iter().min_by_key(|held| held.units);
                let taken = Taken::Admitted { rest: least.copied().unwrap_or_default(), is_low };
                (words, (taken, rests))
            }
            None => (*words, (Taken::Missing, HeldEach::default())),
        };
        self.change(key, now, spend).unwrap_or((Taken::Missing, HeldEach::default()))
    }

    /// As [`take`](Self::take), where no more is to be asked for yet. Else false, and nothing was done.
    pub(super) fn take_at_once(&self, key: KeyHash, cost: u64, now: u64) -> bool {
        let spend = |words: &Words, now| match self.spend(words, cost, now) {
            Some(Spent { words, is_low: false, .. }) => (words, true),
            _ => (*words, false),
        };
        self.change(key, now, spend).unwrap_or_default()
    }

    fn spend(&self, words: &Words, cost: u64, now: u64) -> Option<Spent> {
        let mut spent = Spent { words: *words, rests: HeldEach::default(), is_low: false };
        let limits = self.intervals.iter().zip(&mut spent.words).zip(&mut spent.rests).enumerate();
        for (limit, ((interval, word), rest_of_limit)) in limits {
            let (next, taken) = Lease::of(*word).take(*interval, cost, now);
            let Taken::Admitted { rest, is_low } = taken else {
                if limit > 0 && mistaken!(TakenOfTheFirst) {
                    continue;
                }
                return None;
            };
            (*word, *rest_of_limit) = (next.word(), rest);
            spent.is_low |= is_low;
        }
        Some(spent)
    }

    /// Adds units of each limit: their end, and how many there are.
    pub(super) fn grant(&self, key: KeyHash, units: &[(u64, u64)], now: u64) {
        self.change(key, now, |words, now| {
            let grant = |limit: usize, lease: Lease, interval| match units.get(limit) {
                Some(&(end, units)) if units > 0 => (lease.grant(interval, (end, units), now), ()),
                _ => (lease, ()),
            };
            let (words, _) = self.each(words, grant);
            (words, ())
        });
    }

    /// Takes so many of the last units of each limit away; how many there were.
    pub(super) fn withdraw(&self, key: KeyHash, units: &Words, now: u64) -> Words {
        let withdraw = |words: &Words, now| {
            self.each(words, |limit, lease, interval| match units[limit] {
                0 => (lease, 0),
                units => lease.without(interval, units, now),
            })
        };
        self.change(key, now, withdraw).unwrap_or_default()
    }

    /// Drops what is held of a client.
    pub(super) fn forget(&self, key: KeyHash) {
        self.table.update_existing(key, |_| Step::Write(Words::default(), ()));
    }

    /// What is held of a client, of each limit.
    pub(super) fn held(&self, key: KeyHash, now: u64) -> HeldEach {
        let words = self.table.get(key).map(|client| client.words).unwrap_or_default();
        self.each(&words, |_, lease, interval| (lease, lease.held(interval, now))).1
    }

    pub(super) fn intervals(&self) -> &[u64] {
        &self.intervals
    }

    /// The words after a change of each limit's, and what it said of each.
    fn each<R: Copy + Default>(
        &self,
        words: &Words,
        change: impl Fn(usize, Lease, u64) -> (Lease, R),
    ) -> (Words, [R; MAX_LIMITS]) {
        let (mut next, mut results) = (*words, [R::default(); MAX_LIMITS]);
        let limits = self.intervals.iter().zip(&mut next).zip(&mut results).enumerate();
        for (limit, ((interval, word), result)) in limits {
            let (lease, said) = change(limit, Lease::of(*word), *interval);
            (*word, *result) = (lease.word(), said);
        }
        (next, results)
    }

    /// `None` where the table has no room, and nothing is held.
    fn change<R>(&self, key: KeyHash, now: u64, change: impl Fn(&Words, u64) -> (Words, R)) -> Option<R> {
        let decide = |client: &Client<Words>, now| {
            let (next, result) = change(&client.words, now);
            if next == client.words { Step::Keep(result) } else { Step::Write(next, result) }
        };
        let lifetime = |words: &Words, now| {
            words.iter().map(|word| Lease::of(*word).lifetime(now)).max().unwrap_or_default()
        };
        self.table.update(key, now, lifetime, decide).ok()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;
    use crate::lease::cell::Held;
    use crate::runtime::key_hash::hash_str;

    const MS: u64 = 1_000_000;
    const NOW: u64 = 1_800_000_000_000 * MS;
    /// 100 a second, 1 a second, and a window.
    const INTERVALS: [u64; 3] = [10 * MS, 1_000 * MS, 0];

    fn table() -> (SeveralLeases, KeyHash) {
        (SeveralLeases::new(100, &INTERVALS).expect("memory"), hash_str("a"))
    }

    fn units(table: &SeveralLeases, key: KeyHash, later: u64) -> [u64; 3] {
        let held = table.held(key, NOW + later);
        [held[0].units, held[1].units, held[2].units]
    }

    #[test]
    fn a_call_takes_its_units_of_all_limits_or_of_none() {
        let (table, key) = table();
        table.grant(key, &[(NOW + 500 * MS, 5), (NOW + 60_000 * MS, 9), (NOW + 700 * MS, 3)], NOW);
        assert_eq!(table.take(key, 4, NOW).0, Taken::Missing, "of the window three are held");
        assert_eq!(units(&table, key, 0), [5, 9, 3]);
        let (taken, rests) = table.take(key, 2, NOW);
        assert!(matches!(taken, Taken::Admitted { rest: Held { units: 1, .. }, .. }), "{taken:?}");
        assert_eq!(rests.map(|held| held.units)[..3], [3, 7, 1]);
        assert_eq!(units(&table, key, 0), [3, 7, 1]);
    }

    #[test]
    fn units_lapse_by_each_limit_and_stay_by_the_others() {
        let (table, key) = table();
        table.grant(key, &[(NOW + 50 * MS, 5), (NOW + 60_000 * MS, 5), (NOW + 700 * MS, 5)], NOW);
        assert_eq!(units(&table, key, 31 * MS), [1, 5, 5]);
        assert_eq!(table.take(key, 2, NOW + 31 * MS).0, Taken::Missing);
        assert_eq!(units(&table, key, 701 * MS), [0, 5, 0]);
        // More of what is missing alone.
        table.grant(key, &[(NOW + 2_000 * MS, 2), (0, 0), (NOW + 2_000 * MS, 2)], NOW + 701 * MS);
        assert_eq!(units(&table, key, 701 * MS), [2, 5, 2]);
        assert!(matches!(table.take(key, 2, NOW + 701 * MS).0, Taken::Admitted { .. }));
    }

    #[test]
    fn what_is_spent_at_once_is_what_any_call_spends() {
        let ((one, key), (other, _)) = (table(), table());
        let (mut at_once, mut in_full) = (0, 0);
        for step in 0..2_000 {
            let now = NOW + step * 3 * MS;
            if step % 50 == 0 {
                for table in [&one, &other] {
                    let ends = [(now + 200 * MS, 20), (now + 30_000 * MS, 20), (now + 100 * MS, 20)];
                    table.grant(key, &ends, now);
                }
            }
            let cost = 1 + step % 3;
            let expected = matches!(other.take(key, cost, now).0, Taken::Admitted { .. });
            let is_at_once = one.take_at_once(key, cost, now);
            let is_taken = is_at_once || matches!(one.take(key, cost, now).0, Taken::Admitted { .. });
            assert_eq!(is_taken, expected, "step {step}");
            assert_eq!(one.held(key, now), other.held(key, now), "step {step}");
            at_once += u64::from(is_at_once);
            in_full += u64::from(is_taken && !is_at_once);
        }
        assert!(at_once > in_full && in_full > 0, "{at_once} at once, {in_full} in full");
    }

    #[test]
    fn units_are_taken_away_of_each_limit_by_itself() {
        let (table, key) = table();
        table.grant(key, &[(NOW + 500 * MS, 5), (NOW + 60_000 * MS, 9), (NOW + 700 * MS, 3)], NOW);
        assert_eq!(table.withdraw(key, &[2, 0, 9, 0, 0, 0], NOW)[..3], [2, 0, 3]);
        assert_eq!(units(&table, key, 0), [3, 9, 0]);
        table.forget(key);
        assert_eq!(units(&table, key, 0), [0, 0, 0]);
    }
}
