//! A bounded map from client to cell.
//!
//! Reads take no lock. Nothing sweeps the map: a client whose failures and bans no longer count is equal to a new one, and
//! is evicted when a new client needs its place. Inserts take one lock, which makes the bound and the eviction exact.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::runtime::key_hash::Seeded;
use papaya::HashMap;
use parking_lot::{Mutex, RwLock};

use super::ban_lines::{BanLines, Reading};
use super::ban_watch::{BanWatch, Target};
use super::bans::Bans;
use super::cell::Cell;
use super::client::Client;
use super::history::{EvictionRank, History};
use super::policy::Policy;
use crate::runtime::clock::SetBack;

/// Places compared when an insert has to evict: bounds the cost of a flood of new clients.
const PROBES: usize = 16;

pub(super) struct Clients {
    cells: HashMap<Client, Arc<Cell>, Seeded>,
    bans: Bans,
    places: Mutex<Places>,
    capacity: AtomicUsize,
    policy: RwLock<Policy>,
}

/// The clients that hold places.
#[derive(Default)]
struct Places {
    /// Each cell of the map exactly once.
    cells: Vec<Arc<Cell>>,
    /// Where the next search for an eviction begins.
    hand: usize,
    /// Clients evicted while something of them still counted.
    evicted: u64,
}

/// Every place compared is held by a banned client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Clients {
    /// Least bytes of a client: its cell, its key in the map, the two references to the cell, and its part of the lines.
    pub(super) const BYTES_EACH: u64 =
        (size_of::<Cell>() + size_of::<Client>() + 2 * size_of::<Arc<Cell>>() + BanLines::BYTES_EACH) as u64;

    pub(super) fn new(capacity: usize, policy: Policy) -> Self {
        Self {
            cells: HashMap::with_hasher(Seeded::default()),
            bans: Bans::new(capacity),
            places: Mutex::default(),
            capacity: AtomicUsize::new(capacity),
            policy: RwLock::new(policy),
        }
    }

    /// Applies other options from the next call on. The capacity changes only while there are no clients.
    pub(super) fn reconfigure(&self, capacity: usize, policy: Policy) {
        // Relaxed: it publishes no other memory.
        self.capacity.store(capacity, Ordering::Relaxed);
        *self.policy.write() = policy;
    }

    fn policy(&self) -> Policy {
        *self.policy.read()
    }

    /// Whether a client is banned: one cache line, and the client's lock only where that is not enough.
    #[inline]
    pub(super) fn is_banned(&self, client: Client, now: u64) -> bool {
        match self.bans.lines.read(client) {
            Reading::None => false,
            Reading::Until(until) => now < until,
            Reading::Unsure => self.has_ban_in_history(client, now),
        }
    }

    #[cold]
    fn has_ban_in_history(&self, client: Client, now: u64) -> bool {
        self.read(client, |history| history.ban_in_force(now).is_some()).unwrap_or(false)
    }

    /// Reads the history of a known client.
    pub(super) fn read<R>(&self, client: Client, look: impl FnOnce(&History) -> R) -> Option<R> {
        self.find(client)?.read(look)
    }

    /// Changes the history of a known client.
    pub(super) fn existing<R>(
        &self,
        client: Client,
        now: u64,
        change: impl Fn(&mut History) -> R,
    ) -> Option<R> {
        self.find(client)?.update(&self.bans, now, change)
    }

    /// Forgets a client's failures that have not led to a ban.
    pub(super) fn forgive(&self, client: Client) {
        if let Some(cell) = self.find(client) {
            cell.forgive();
        }
    }

    /// What subscribers hear of bans, of clients and of ranges.
    pub(super) fn watch(&self) -> &BanWatch {
        &self.bans.watch
    }

    /// Notes the bans in force, each under the lock of its client.
    pub(super) fn note_bans(&self, now: u64) {
        let cells = self.places.lock().cells.clone();
        for cell in cells {
            cell.read(|history| {
                if let Some(term) = history.ban_in_force(now) {
                    self.bans.watch.note(Target::Client(cell.client), term);
                }
            });
        }
    }

    /// Changes the history of a client, which is new where it is not known. A new history is stored if it then matters.
    pub(super) fn with<R>(
        &self,
        client: Client,
        now: u64,
        change: impl Fn(&mut History) -> R,
    ) -> Result<R, Full> {
        if let Some(result) = self.existing(client, now, &change) {
            return Ok(result);
        }
        let mut places = self.places.lock();
        // Under this lock no client is being evicted.
        if let Some(result) = self.existing(client, now, &change) {
            return Ok(result);
        }
        let mut history = History::default();
        let result = change(&mut history);
        if !history.matters(&self.policy(), now) {
            return Ok(result);
        }
        let vacancy = self.make_room(&mut places, now)?;
        let cell = Arc::new(Cell::new(client, history));
        match vacancy {
            Some(place) => places.cells[place] = Arc::clone(&cell),
            None => places.cells.push(Arc::clone(&cell)),
        }
        cell.enter(&self.bans, now, || {
            self.cells.pin().insert(client, Arc::clone(&cell));
        });
        Ok(result)
    }

    /// A place for a new client: `None` for one more at the end, or the place of an evicted client. Of the places compared,
    /// the client with the lowest rank goes: by bans, then failures, then the time of the last failure.
    fn make_room(&self, places: &mut Places, now: u64) -> Result<Option<usize>, Full> {
        if places.cells.len() < self.capacity.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut lowest: Option<(usize, EvictionRank)> = None;
        for _ in 0..PROBES.min(places.cells.len()) {
            let place = places.hand;
            places.hand = (place + 1) % places.cells.len();
            let cell = &places.cells[place];
            let Some(Some(rank)) = cell.read(|history| history.eviction_rank(&self.policy(), now)) else {
                continue;
            };
            if lowest.is_none_or(|(_, other)| rank < other) {
                lowest = Some((place, rank));
            }
            if !rank.matters() {
                break;
            }
        }
        let (place, rank) = lowest.ok_or(Full)?;
        let cell = &places.cells[place];
        if !cell.evict_if(&self.bans, |history| history.ban_in_force(now).is_none()) {
            return Err(Full);
        }
        self.cells.pin().remove(&cell.client);
        places.evicted += u64::from(rank.matters());
        Ok(Some(place))
    }

    /// Every client at one moment; their histories are read one after the other.
    pub(super) fn all(&self) -> Vec<(Client, History)> {
        let cells = self.places.lock().cells.clone();
        let known = cells.iter().filter_map(|cell| Some((cell.client, cell.read(History::clone)?)));
        known.collect()
    }

    /// How many clients matter, and how many are banned. One pass over all.
    pub(super) fn count(&self, now: u64) -> (u64, u64) {
        let cells = self.places.lock().cells.clone();
        let policy = self.policy();
        let look = |history: &History| (history.matters(&policy, now), history.ban_in_force(now).is_some());
        cells
            .iter()
            .filter_map(|cell| cell.read(look))
            .fold((0, 0), |(size, banned), (matters, is_banned)| {
                (size + u64::from(matters), banned + u64::from(is_banned))
            })
    }

    pub(super) fn evicted(&self) -> u64 {
        self.places.lock().evicted
    }

    /// A test set the clock back.
    pub(super) fn clock_was_set_back(&self, set_back: SetBack) {
        for cell in &self.places.lock().cells {
            cell.update(&self.bans, set_back.now, |history| {
                history.clock_was_set_back(&self.policy(), set_back);
            });
        }
    }

    /// Removes every client.
    pub(super) fn clear(&self) {
        let mut places = self.places.lock();
        self.cells.pin().clear();
        for cell in &places.cells {
            cell.evict_if(&self.bans, |_| true);
        }
        *places = Places::default();
        self.bans.watch.forget();
    }

    fn find(&self, client: Client) -> Option<Arc<Cell>> {
        self.cells.pin().get(&client).cloned()
    }
}
