//! What a process holds of all clients of a limiter of one limit.

use std::cell::Cell;
use std::io;

use crate::key_table::{Client, Overflow, Single, Step, Table};
use crate::lease::cell::{Held, Lease, Taken};
use crate::runtime::arena::Arena;
use crate::runtime::key_hash::KeyHash;

/// Units of one limit.
pub(in crate::lease) struct SingleLeases {
    table: Table<Single>,
    /// Between two units; 0 where all lapse at the end of a window.
    interval: u64,
}

impl SingleLeases {
    pub(super) fn new(max_keys: usize, interval: u64) -> io::Result<Self> {
        let table = Table::new(max_keys, Overflow::Evict, &Arena::default(), |_| Ok(Single))?;
        Ok(Self { table, interval })
    }

    /// Spends units of a client, if they are held.
    #[inline]
    pub(super) fn take(&self, key: KeyHash, cost: u64, now: u64) -> Taken {
        let taken = Cell::new(Taken::Missing);
        let charged = self.table.charge_at_once(key, |word| {
            let (next, outcome) = Lease::of(word).take(self.interval, cost, now);
            taken.set(outcome);
            matches!(outcome, Taken::Admitted { .. }).then_some(next.word())
        });
        if charged.is_some() { taken.get() } else { self.take_in_full(key, cost, now) }
    }

    /// As [`take`](Self::take), where the units are held, others stay, and no more are to be asked for yet. Else false, and
    /// nothing was done.
    #[inline]
    pub(super) fn take_at_once(&self, key: KeyHash, cost: u64, now: u64) -> bool {
        let charged =
            self.table.charge_at_once(key, |word| match Lease::of(word).take(self.interval, cost, now) {
                (next, Taken::Admitted { is_low: false, .. }) => Some(next.word()),
                _ => None,
            });
        charged.is_some_and(|charged| !charged.is_refused)
    }

    #[inline(never)]
    fn take_in_full(&self, key: KeyHash, cost: u64, now: u64) -> Taken {
        self.change(key, now, |lease, now| lease.take(self.interval, cost, now)).unwrap_or(Taken::Missing)
    }

    /// Adds units that end at `end`.
    pub(super) fn grant(&self, key: KeyHash, units: (u64, u64), now: u64) {
        self.change(key, now, |lease, now| (lease.grant(self.interval, units, now), ()));
    }

    /// Takes so many of the last units away; how many there were.
    pub(super) fn withdraw(&self, key: KeyHash, units: u64, now: u64) -> u64 {
        self.change(key, now, |lease, now| lease.without(self.interval, units, now)).unwrap_or_default()
    }

    /// Refuses a client for so many nanoseconds, where nothing is held of it.
    pub(super) fn refuse(&self, key: KeyHash, wait: u64, now: u64) {
        self.change(key, now, |lease, now| (lease.refusing(self.interval, wait, now), ()));
    }

    /// Drops what is held of a client, and its refusal.
    pub(super) fn forget(&self, key: KeyHash) {
        self.table.update_existing(key, |_| Step::Write([0], ()));
    }

    pub(super) fn held(&self, key: KeyHash, now: u64) -> Held {
        let word = self.table.get(key).map_or(0, |client| client.words[0]);
        Lease::of(word).held(self.interval, now)
    }

    /// The interval of the only limit.
    pub(super) fn intervals(&self) -> &[u64] {
        std::slice::from_ref(&self.interval)
    }

    /// `None` where the table has no room, and nothing is held.
    fn change<R>(&self, key: KeyHash, now: u64, change: impl Fn(Lease, u64) -> (Lease, R)) -> Option<R> {
        let decide = |client: &Client<[u64; 1]>, now| {
            let lease = Lease::of(client.words[0]);
            let (next, result) = change(lease, now);
            if next == lease { Step::Keep(result) } else { Step::Write([next.word()], result) }
        };
        let lifetime = |words: &[u64; 1], now| Lease::of(words[0]).lifetime(now);
        self.table.update(key, now, lifetime, decide).ok()
    }
}

#[cfg(all(test, not(any(sluice_loom, sluice_shuttle))))]
mod tests {
    use super::*;
    use crate::runtime::key_hash::hash_str;

    const MS: u64 = 1_000_000;

    /// Spends at once what can be; else as any call does. Whether that was all there is to it, and what came of it.
    fn spend(table: &SingleLeases, key: KeyHash, cost: u64, now: u64) -> (bool, bool) {
        let is_at_once = table.take_at_once(key, cost, now);
        let is_taken = is_at_once || matches!(table.take(key, cost, now), Taken::Admitted { .. });
        (is_at_once, is_taken)
    }

    #[test]
    fn what_is_spent_at_once_is_what_any_call_spends() {
        for interval in [10 * MS, 0] {
            let [one, other] = [(); 2].map(|()| SingleLeases::new(100, interval).expect("memory"));
            let (key, start) = (hash_str("a"), 1_800_000_000_000 * MS);
            let (mut at_once, mut in_full) = (0, 0);
            for step in 0..2_000 {
                let now = start + step * 3 * MS;
                if step % 50 == 0 {
                    for table in [&one, &other] {
                        table.grant(key, (now + 200 * MS, 20), now);
                    }
                }
                let cost = 1 + step % 3;
                let expected = matches!(other.take(key, cost, now), Taken::Admitted { .. });
                let (is_at_once, is_taken) = spend(&one, key, cost, now);
                assert_eq!(is_taken, expected, "step {step}");
                assert_eq!(one.held(key, now), other.held(key, now), "step {step}");
                at_once += u64::from(is_at_once);
                in_full += u64::from(is_taken && !is_at_once);
            }
            assert!(at_once > in_full && in_full > 0, "{at_once} at once, {in_full} in full");
        }
    }
}
