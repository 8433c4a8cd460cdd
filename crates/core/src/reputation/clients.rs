//! Where the cells are: a bounded map from client to cell.
//!
//! Reads take no lock. Nothing sweeps the map: a client of whom nothing counts any more is the same as one
//! never seen, so its place is given away when a newcomer needs one. Newcomers take turns at one lock,
//! which makes the bound and the choice of a place exact.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::runtime::key_hash::Seeded;
use papaya::HashMap;
use parking_lot::{Mutex, RwLock};

use super::cell::Cell;
use super::client::Client;
use super::history::History;
use super::policy::Policy;
use crate::runtime::clock::SetBack;

/// Places looked at for a newcomer when all are taken: bounds the cost of a flood of strangers.
const PROBES: usize = 16;

pub(super) struct Clients {
    cells: HashMap<Client, Arc<Cell>, Seeded>,
    places: Mutex<Places>,
    capacity: AtomicUsize,
    policy: RwLock<Policy>,
}

/// Who holds a place.
#[derive(Default)]
struct Places {
    /// Each cell of the map exactly once.
    cells: Vec<Arc<Cell>>,
    /// Where the next search for a place begins.
    hand: usize,
    /// Clients forgotten of whom something still counted.
    evicted: u64,
}

/// All places looked at are of banned clients.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Clients {
    /// Least bytes of a client: its cell, and its names in the map and among the places.
    pub(super) const BYTES_EACH: u64 =
        (size_of::<Cell>() + size_of::<Client>() + 2 * size_of::<Arc<Cell>>()) as u64;

    pub(super) fn new(capacity: usize, policy: Policy) -> Self {
        Self {
            cells: HashMap::with_hasher(Seeded),
            places: Mutex::default(),
            capacity: AtomicUsize::new(capacity),
            policy: RwLock::new(policy),
        }
    }

    /// Other options, from the next call on. The capacity changes only where there are no clients.
    pub(super) fn reconfigure(&self, capacity: usize, policy: Policy) {
        // Relaxed: nothing is read on the strength of it.
        self.capacity.store(capacity, Ordering::Relaxed);
        *self.policy.write() = policy;
    }

    fn policy(&self) -> Policy {
        *self.policy.read()
    }

    /// Lock-free: one look-up and one load.
    pub(super) fn is_banned(&self, client: Client, now: u64) -> bool {
        self.cells.pin().get(&client).is_some_and(|cell| cell.is_banned(now))
    }

    /// Looks at the history of a client that has one.
    pub(super) fn read<R>(&self, client: Client, look: impl FnOnce(&History) -> R) -> Option<R> {
        self.find(client)?.read(look)
    }

    /// Changes the history of a client that has one.
    pub(super) fn existing<R>(&self, client: Client, change: impl FnOnce(&mut History) -> R) -> Option<R> {
        self.find(client)?.update(change)
    }

    /// Changes the history of a client, which begins where there is none. It is kept if it then matters.
    pub(super) fn with<R>(
        &self,
        client: Client,
        now: u64,
        change: impl Fn(&mut History) -> R,
    ) -> Result<R, Full> {
        if let Some(result) = self.existing(client, &change) {
            return Ok(result);
        }
        let mut places = self.places.lock();
        // Under this lock nobody is on the way out.
        if let Some(result) = self.existing(client, &change) {
            return Ok(result);
        }
        let mut history = History::default();
        let result = change(&mut history);
        if !history.matters(&self.policy(), now) {
            return Ok(result);
        }
        let vacancy = self.find_vacancy(&mut places, now)?;
        let cell = Arc::new(Cell::new(client, history));
        match vacancy {
            Some(place) => places.cells[place] = Arc::clone(&cell),
            None => places.cells.push(Arc::clone(&cell)),
        }
        self.cells.pin().insert(client, cell);
        Ok(result)
    }

    /// A place for one newcomer: none needs to be freed while there is room. Otherwise that of the client
    /// with the least to remember: bans first, then failures, then how long ago the last one was.
    fn find_vacancy(&self, places: &mut Places, now: u64) -> Result<Option<usize>, Full> {
        if places.cells.len() < self.capacity.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut least: Option<(usize, (u32, u64, u64))> = None;
        for _ in 0..PROBES.min(places.cells.len()) {
            let place = places.hand;
            places.hand = (place + 1) % places.cells.len();
            let cell = &places.cells[place];
            let Some(Some(weight)) = cell.read(|history| history.weight(&self.policy(), now)) else {
                continue;
            };
            if least.is_none_or(|(_, lightest)| weight < lightest) {
                least = Some((place, weight));
            }
            if (weight.0, weight.1) == (0, 0) {
                break;
            }
        }
        let (place, (bans, failures, _)) = least.ok_or(Full)?;
        let cell = &places.cells[place];
        if !cell.forget_if(|history| history.standing(now).is_none()) {
            return Err(Full);
        }
        self.cells.pin().remove(&cell.client);
        places.evicted += u64::from(bans > 0 || failures > 0);
        Ok(Some(place))
    }

    /// Every client at one moment, the histories one after the other.
    pub(super) fn all(&self) -> Vec<(Client, History)> {
        let cells = self.places.lock().cells.clone();
        let known = cells.iter().filter_map(|cell| Some((cell.client, cell.read(History::clone)?)));
        known.collect()
    }

    /// How many clients matter, and how many of them are banned. One pass over all.
    pub(super) fn count(&self, now: u64) -> (u64, u64) {
        let cells = self.places.lock().cells.clone();
        cells.iter().fold((0, 0), |(size, banned), cell| {
            let matters = cell.read(|history| history.matters(&self.policy(), now)).unwrap_or(false);
            (size + u64::from(matters), banned + u64::from(cell.is_banned(now)))
        })
    }

    pub(super) fn evicted(&self) -> u64 {
        self.places.lock().evicted
    }

    /// The clock was set back, by hand, in a test.
    pub(super) fn clock_was_set_back(&self, set_back: SetBack) {
        for cell in &self.places.lock().cells {
            cell.update(|history| history.clock_was_set_back(&self.policy(), set_back));
        }
    }

    /// Forgets every client.
    pub(super) fn clear(&self) {
        let mut places = self.places.lock();
        self.cells.pin().clear();
        *places = Places::default();
    }

    fn find(&self, client: Client) -> Option<Arc<Cell>> {
        self.cells.pin().get(&client).cloned()
    }
}
