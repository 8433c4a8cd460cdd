//! What a process holds of a limiter's clients, and what it knows of their demand.

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use super::cell::{Held, LONGEST, LONGEST_REFUSAL, MOST_UNITS, Taken};
use super::demand::Demand;
use super::grant::{Grant, GrantId, cut};
use super::planted::mistaken;
use super::table::LeaseTable;
use crate::runtime::key_hash::KeyHash;

const MS: u64 = 1_000_000;

/// After a refusal the server is not asked for this long, in nanoseconds.
const PACE: u64 = 5 * MS;

/// Clients of which units can be held at once.
const MOST_CLIENTS: usize = 100_000;

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
}

/// Units to give back to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned<N> {
    /// Whose.
    pub client: N,
    /// How many.
    pub units: u64,
    /// The server takes them only where this still holds.
    pub id: GrantId,
}

impl<N: Clone + Eq + Hash> Leases<N> {
    /// Nothing held. `interval` is between two units; 0 where all lapse at the end of a window.
    ///
    /// # Errors
    ///
    /// The system cannot map memory for `max_keys` clients.
    pub fn new(max_keys: u64, interval: u64) -> io::Result<Self> {
        let max_keys = usize::try_from(max_keys).unwrap_or(usize::MAX);
        Ok(Self {
            table: LeaseTable::new(max_keys, interval)?,
            demands: Mutex::default(),
            is_checked: AtomicBool::new(false),
            given_back: AtomicU64::new(0),
        })
    }

    /// Spends units of a client, if they are held.
    #[inline]
    pub fn take(&self, key: KeyHash, cost: u64, now: u64) -> Taken {
        self.table.take(key, cost, now)
    }

    /// As [`take`](Self::take), where that admits the call and there is nothing else to do. Else false, and nothing was done.
    #[inline]
    pub fn take_at_once(&self, key: KeyHash, cost: u64, now: u64) -> bool {
        self.table.take_at_once(key, cost, now)
    }

    /// Between two units; 0 where all lapse at the end of a window.
    #[must_use]
    pub fn interval(&self) -> u64 {
        self.table.interval()
    }

    /// Notes that the server is asked for a client, and will answer until `deadline` or not at all. How many units to ask
    /// for, those of the call among them; 0 while another ask for more than its own call is under way.
    pub fn ask(&self, client: &N, key: KeyHash, now: u64, deadline: u64) -> u64 {
        let mut demands = self.demands.lock();
        if demands.len() >= MOST_CLIENTS && !demands.contains_key(client) {
            return 0;
        }
        let (_, demand) = demands.entry(client.clone()).or_insert_with(|| (key, Demand::default()));
        let held = self.table.held(key, now).units;
        // What lapses too far ahead cannot be held. Of a row that ends there, the first unit lapses at once.
        let most = LONGEST.checked_div(self.table.interval()).unwrap_or(MOST_UNITS);
        let most = most.saturating_sub(1).min(MOST_UNITS);
        demand.ask(held, now, deadline).min(most.saturating_sub(held).max(1))
    }

    /// The server has granted units. False where they are not held, as nothing has asked for the client since it was dropped:
    /// nothing would ever clear them.
    pub fn granted(&self, client: &N, key: KeyHash, grant: &Grant, now: u64) -> bool {
        let mut demands = self.demands.lock();
        let Some((_, demand)) = demands.get_mut(client) else { return false };
        demand.granted(grant);
        let kept = if mistaken!(AdmittedTwice) { grant.kept + grant.used } else { grant.kept };
        if kept > 0 {
            self.table.grant(key, (grant.end(now), kept), now);
        }
        true
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

    /// Takes back a charge whose units lapse at `settles`: they are held again, if their time is not over. True when a part
    /// of them is.
    pub fn put_back(&self, client: &N, key: KeyHash, (units, settles): (u64, u64), now: u64) -> bool {
        let mut demands = self.demands.lock();
        if demands.len() >= MOST_CLIENTS && !demands.contains_key(client) {
            return false;
        }
        let end = settles.saturating_sub(COARSE);
        if end.saturating_sub(now) <= self.table.interval() {
            return false;
        }
        let (_, demand) = demands.entry(client.clone()).or_insert_with(|| (key, Demand::default()));
        demand.put_back(units);
        self.table.grant(key, (end, units), now);
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
        if self.table.held(key, now).units == 0 {
            self.table.forget(key);
        }
    }

    /// Drops everything, as if it had lapsed.
    pub fn clear(&self) {
        for (_, (key, _)) in self.demands.lock().drain() {
            self.table.forget(key);
        }
    }

    /// What is held of a client.
    #[must_use]
    pub fn held(&self, key: KeyHash, now: u64) -> Held {
        self.table.held(key, now)
    }

    /// Units held of all clients.
    #[must_use]
    pub fn all_held(&self, now: u64) -> u64 {
        self.demands.lock().values().map(|(key, _)| self.table.held(*key, now).units).sum()
    }

    /// Units that a server has taken back.
    #[must_use]
    pub fn given_back(&self) -> u64 {
        self.given_back.load(Ordering::Relaxed)
    }

    /// The server has taken units back, if any, and left the key at `id`.
    pub fn returned(&self, client: &N, units: u64, id: GrantId) {
        // Relaxed: a sum, which publishes nothing.
        self.given_back.fetch_add(units, Ordering::Relaxed);
        if units > 0
            && let Some((_, demand)) = self.demands.lock().get_mut(client)
        {
            demand.returned(id);
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
        demands.retain(|client, (key, demand)| {
            let held = self.table.held(*key, now).units;
            let (excess, id) = demand.excess(held);
            let returned = if excess > 0 { self.table.withdraw(*key, excess, now) } else { 0 };
            demand.checked(held - returned.min(held), returned);
            if let Some(id) = id.filter(|_| returned > 0) {
                give_back(Returned { client: client.clone(), units: returned, id });
            }
            if !demand.is_over(held - returned.min(held), now) {
                return true;
            }
            // Its field of time wraps one day.
            self.table.forget(*key);
            false
        });
        self.is_checked.store(!demands.is_empty(), Ordering::Relaxed);
        !demands.is_empty()
    }

    /// Takes everything that is held, to give it back.
    pub fn give_all_back(&self, now: u64, mut give_back: impl FnMut(Returned<N>)) {
        for (client, (key, mut demand)) in self.demands.lock().drain() {
            let held = self.table.held(key, now).units;
            demand.checked(held, 0);
            let (excess, id) = demand.excess(held);
            let units = self.table.withdraw(key, excess, now);
            if let Some(id) = id.filter(|_| units > 0) {
                give_back(Returned { client, units, id });
            }
            self.table.forget(key);
        }
    }
}

impl<N> std::fmt::Debug for Leases<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leases").field("interval", &self.table.interval()).finish_non_exhaustive()
    }
}
