//! What a process holds of a limiter's clients, and what it knows of their demand.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::cell::{LONGEST, LONGEST_REFUSAL, MOST_UNITS, Taken};
use super::demand::{Demand, Excess};
use super::grant::{Grant, TakenBack, cut};
use super::planted::mistaken;
use super::returned::{Returned, without};
use super::table::{HeldEach, LeaseTable};
use crate::rate_limiter::MAX_LIMITS;
use crate::runtime::key_hash::KeyHash;

const MS: u64 = 1_000_000;

/// After a refusal the server is not asked for this long, in nanoseconds.
const PACE: u64 = 5 * MS;

/// Clients of which units can be held at once.
const MOST_CLIENTS: usize = 100_000;

/// From so many clients on, those are dropped of which nothing can be used or given back.
const CROWD: usize = MOST_CLIENTS / 2;

/// JavaScript keeps times of today in steps of 256 ns.
const COARSE: u64 = 256;

/// What a process holds of a limiter's clients. `N` is how the server calls a client. Times are nanoseconds of one clock
/// that no test sets.
pub struct Leases<N> {
    table: LeaseTable,
    demands: Mutex<HashMap<N, (KeyHash, Demand)>>,
    /// Something checks for units to give back.
    is_checked: AtomicBool,
    given_back: AtomicU64,
    /// Charges before this were of other limits.
    made_at: u64,
}

impl<N: Clone + Eq + Hash> Leases<N> {
    /// How long a refusal is remembered at least, in nanoseconds.
    pub const PACE: u64 = PACE;

    /// Nothing held at `now`. `intervals` are between two units of each limit; 0 where all lapse at the end of a window.
    ///
    /// # Errors
    ///
    /// The system cannot map memory for `max_keys` clients.
    pub fn new(max_keys: u64, intervals: &[u64], now: u64) -> io::Result<Self> {
        let max_keys = usize::try_from(max_keys).unwrap_or(usize::MAX);
        Ok(Self {
            table: LeaseTable::new(max_keys, intervals)?,
            demands: Mutex::default(),
            is_checked: AtomicBool::new(false),
            given_back: AtomicU64::new(0),
            made_at: now,
        })
    }

    /// Spends units of a client, if they are held of all limits. Of several, leaves in `rests` what is held of each
    /// afterwards.
    #[inline]
    pub fn take(&self, key: KeyHash, cost: u64, now: u64, rests: &mut HeldEach) -> Taken {
        self.table.take(key, cost, now, rests)
    }

    /// As [`take`](Self::take), where that admits the call and there is nothing else to do. Else false, and nothing was done.
    #[inline]
    pub fn take_at_once(&self, key: KeyHash, cost: u64, now: u64) -> bool {
        self.table.take_at_once(key, cost, now)
    }

    /// Between two units of each limit; 0 where all lapse at the end of a window.
    #[must_use]
    pub fn intervals(&self) -> &[u64] {
        self.table.intervals()
    }

    /// Notes that the server is asked for a client, and will answer until `deadline` or not at all. How many units to ask
    /// for, those of the call among them; 0 while another ask for more than its own call is under way.
    pub fn ask(&self, client: &N, key: KeyHash, now: u64, deadline: u64) -> u64 {
        let mut demands = self.demands.lock();
        if demands.len() >= MOST_CLIENTS && !demands.contains_key(client) {
            return 0;
        }
        let (_, demand) = demands.entry(client.clone()).or_insert_with(|| (key, self.demand()));
        let held = self.units(key, now);
        // What lapses too far ahead cannot be held. Of a row that ends there, the first unit lapses at once.
        let longest = self.intervals().iter().copied().max().unwrap_or_default();
        let most = LONGEST.checked_div(longest).unwrap_or(MOST_UNITS);
        let most = most.saturating_sub(1).min(MOST_UNITS);
        demand.ask(&held, now, deadline).min(most.saturating_sub(self.of_all(&held)).max(1))
    }

    /// Units of each limit that are held beyond those of the others: as many fewer need be asked for.
    pub fn spare(&self, key: KeyHash, now: u64) -> [u64; MAX_LIMITS] {
        let held = self.units(key, now);
        let of_all = if mistaken!(NothingSpared) { u64::MAX } else { self.of_all(&held) };
        held.map(|units| units.saturating_sub(of_all))
    }

    fn demand(&self) -> Demand {
        Demand::new(self.intervals().len())
    }

    fn units(&self, key: KeyHash, now: u64) -> [u64; MAX_LIMITS] {
        self.table.held(key, now).map(|held| held.units)
    }

    /// Units that are held of every limit.
    fn of_all(&self, held: &[u64; MAX_LIMITS]) -> u64 {
        held[..self.intervals().len()].iter().copied().min().unwrap_or_default()
    }

    /// The server has granted units. False where they are not held, as nothing has asked for the client since it was dropped:
    /// nothing would ever clear them.
    pub fn granted(&self, client: &N, key: KeyHash, grant: &Grant<'_>, now: u64) -> bool {
        let mut demands = self.demands.lock();
        let Some((_, demand)) = demands.get_mut(client) else { return false };
        demand.granted(grant);
        let mut units = [(0, 0); MAX_LIMITS];
        for (units, share) in units.iter_mut().zip(grant.shares) {
            let kept = if mistaken!(AdmittedTwice) { share.kept + grant.used } else { share.kept };
            *units = (share.end(grant.sent, now), kept);
        }
        self.put(key, &units, now);
        true
    }

    /// Adds units of each limit, if there are any: their end, and how many.
    fn put(&self, key: KeyHash, units: &[(u64, u64); MAX_LIMITS], now: u64) {
        if units.iter().any(|(_, units)| *units > 0) {
            self.table.grant(key, &units[..self.intervals().len()], now);
        }
    }

    /// The server has refused a call of cost 1, which asked at `sent`, for so many nanoseconds.
    pub fn refused(&self, client: &N, key: KeyHash, (sent, wait): (u64, u64), now: u64) {
        if let Some((_, demand)) = self.demands.lock().get_mut(client) {
            demand.answered();
        }
        let until = sent + wait.clamp(PACE, LONGEST_REFUSAL);
        self.table.refuse(key, until.saturating_sub(now), now);
    }

    /// The server was asked, and did not answer.
    pub fn unanswered(&self, client: &N) {
        if let Some((_, demand)) = self.demands.lock().get_mut(client) {
            demand.answered();
        }
    }

    /// Takes back a charge of a time, whose units lapse at `settles`, by each limit: they are held again, if their time is not
    /// over. True when a part of them is.
    pub fn put_back(
        &self,
        client: &N,
        key: KeyHash,
        (units, at, settles): (u64, u64, &[u64; MAX_LIMITS]),
        now: u64,
    ) -> bool {
        if at < self.made_at {
            return false;
        }
        let mut demands = self.demands.lock();
        if demands.len() >= MOST_CLIENTS && !demands.contains_key(client) {
            return false;
        }
        let mut held_again = [(0, 0); MAX_LIMITS];
        for (held, (settles, interval)) in held_again.iter_mut().zip(settles.iter().zip(self.intervals())) {
            let end = settles.saturating_sub(COARSE);
            if end.saturating_sub(now) > *interval {
                *held = (end, units);
            }
        }
        if held_again.iter().all(|(_, units)| *units == 0) {
            return false;
        }
        let (_, demand) = demands.entry(client.clone()).or_insert_with(|| (key, self.demand()));
        demand.put_back(held_again.map(|(_, units)| units));
        self.put(key, &held_again, now);
        true
    }

    /// When units lapse that a server said would last so long, asked at `sent`.
    #[must_use]
    pub fn end_of(sent: u64, length: u64) -> u64 {
        sent + cut(length)
    }

    /// Drops what is held of a client, and its refusal.
    pub fn forget(&self, client: &N, key: KeyHash) {
        self.demands.lock().remove(client);
        self.table.forget(key);
    }

    /// Drops a refusal, and keeps what is held.
    pub fn forgive(&self, key: KeyHash, now: u64) {
        self.table.forgive(key, now);
    }

    /// Drops everything, as if it had lapsed.
    pub fn clear(&self) {
        for (_, (key, _)) in self.demands.lock().drain() {
            self.table.forget(key);
        }
    }

    /// Units of a client that calls can use.
    #[must_use]
    pub fn held(&self, key: KeyHash, now: u64) -> u64 {
        self.of_all(&self.units(key, now))
    }

    /// Units of all clients that calls can use.
    #[must_use]
    pub fn all_held(&self, now: u64) -> u64 {
        self.demands.lock().values().map(|(key, _)| self.held(*key, now)).sum()
    }

    /// Units that a server has taken back.
    #[must_use]
    pub fn given_back(&self) -> u64 {
        self.given_back.load(Ordering::Relaxed)
    }

    /// The server has taken units back of each limit, if any, and left the key at this.
    pub fn returned(&self, client: &N, backs: &[TakenBack]) {
        let most = backs.iter().map(|back| back.units).max().unwrap_or_default();
        // Relaxed: a sum, which publishes nothing.
        self.given_back.fetch_add(most, Ordering::Relaxed);
        if most > 0
            && let Some((_, demand)) = self.demands.lock().get_mut(client)
        {
            demand.returned(backs);
        }
    }

    /// Whether the caller must see to it that [`check`](Self::check) is called from now on: true once.
    pub fn must_be_checked(&self) -> bool {
        // Under the lock, as `check` sets it.
        let _demands = self.demands.lock();
        !self.is_checked.swap(true, Ordering::Relaxed)
    }

    /// Takes what was not used since the last check, to give it back. To be called four times a second; false when there is
    /// nothing to check any more.
    pub fn check(&self, now: u64, mut give_back: impl FnMut(Returned<N>)) -> bool {
        let mut demands = self.demands.lock();
        let is_crowded = demands.len() >= CROWD;
        demands.retain(|client, (key, demand)| {
            let held = self.units(*key, now);
            let excess = demand.excess(&held);
            let returned = self.withdraw(*key, &excess, now);
            let left = without(&held, &returned);
            demand.checked(&left, &returned);
            if let Some(returned) = Returned::of(client, &excess, returned) {
                give_back(returned);
            }
            // What no call can use, as units of another limit are missing, is lost then, and makes room.
            let is_stuck = is_crowded && self.of_all(&left) == 0 && demand.is_stuck(now);
            if !is_stuck && !demand.is_over(&left, now) {
                return true;
            }
            // Its field of time wraps one day.
            self.table.forget(*key);
            false
        });
        self.is_checked.store(!demands.is_empty(), Ordering::Relaxed);
        !demands.is_empty()
    }

    fn withdraw(&self, key: KeyHash, excess: &Excess, now: u64) -> [u64; MAX_LIMITS] {
        let Excess { units, .. } = excess;
        let has_some = units.iter().any(|units| *units > 0);
        if has_some { self.table.withdraw(key, units, now) } else { [0; MAX_LIMITS] }
    }

    /// Takes everything that is held, to give it back.
    pub fn give_all_back(&self, now: u64, mut give_back: impl FnMut(Returned<N>)) {
        for (client, (key, mut demand)) in self.demands.lock().drain() {
            let held = self.units(key, now);
            demand.checked(&held, &[0; MAX_LIMITS]);
            let excess = demand.excess(&held);
            let returned = self.withdraw(key, &excess, now);
            if let Some(returned) = Returned::of(&client, &excess, returned) {
                give_back(returned);
            }
            self.table.forget(key);
        }
    }
}

impl<N> std::fmt::Debug for Leases<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leases").field("intervals", &self.table.intervals()).finish_non_exhaustive()
    }
}
