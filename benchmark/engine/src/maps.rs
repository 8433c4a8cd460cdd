//! The limit kept in other maps: a time per client, each map used at its best.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, RwLock};

use dashmap::DashMap;
use dashmap::try_result::TryResult;
use rapidhash::fast::RandomState;

use crate::contenders::{Limiter, Locks, Text};
use crate::gcra::Limit;
use crate::waited::Waited;

/// Charges known clients under the read lock.
#[derive(Debug)]
pub struct InRwLock {
    limit: Limit,
    map: RwLock<HashMap<String, AtomicU64, RandomState>>,
}

#[derive(Debug)]
pub struct InMutex {
    limit: Limit,
    map: Mutex<HashMap<String, u64, RandomState>>,
}

#[derive(Debug)]
pub struct InDashMap {
    limit: Limit,
    map: DashMap<String, AtomicU64, RandomState>,
}

#[derive(Debug)]
pub struct InPapaya {
    limit: Limit,
    map: papaya::HashMap<String, AtomicU64, RandomState>,
}

impl InRwLock {
    pub fn new(limit: Limit, capacity: usize) -> Self {
        Self { limit, map: RwLock::new(HashMap::with_capacity_and_hasher(capacity, RandomState::new())) }
    }
}

impl Limiter for InRwLock {
    type Key = Text;

    fn admit(&self, key: Text, now: u64, waited: &mut Waited) -> bool {
        if let Some(tat) = waited.read(&self.map).get(key.as_str()) {
            return self.limit.charge(tat, now);
        }
        let mut map = waited.write(&self.map);
        self.limit.charge(map.entry(key.clone()).or_default(), now)
    }

    fn use_up(&self, key: Text, now: u64) {
        let used_up = AtomicU64::new(self.limit.used_up(now));
        self.map.write().expect("not poisoned").insert(key.clone(), used_up);
    }
}

impl InMutex {
    pub fn new(limit: Limit, capacity: usize) -> Self {
        Self { limit, map: Mutex::new(HashMap::with_capacity_and_hasher(capacity, RandomState::new())) }
    }
}

impl Limiter for InMutex {
    type Key = Text;

    fn admit(&self, key: Text, now: u64, waited: &mut Waited) -> bool {
        let mut map = waited.lock(&self.map);
        let Some(tat) = map.get_mut(key.as_str()) else {
            let tat = self.limit.decide(0, now);
            map.insert(key.clone(), tat.unwrap_or_default());
            return tat.is_some();
        };
        match self.limit.decide(*tat, now) {
            Some(next) => {
                *tat = next;
                true
            }
            None => false,
        }
    }

    fn use_up(&self, key: Text, now: u64) {
        self.map.lock().expect("not poisoned").insert(key.clone(), self.limit.used_up(now));
    }
}

impl InDashMap {
    pub fn new(limit: Limit, capacity: usize) -> Self {
        Self { limit, map: DashMap::with_capacity_and_hasher(capacity, RandomState::new()) }
    }
}

impl Limiter for InDashMap {
    type Key = Text;

    fn admit(&self, key: Text, now: u64, waited: &mut Waited) -> bool {
        let known = match self.map.try_get(key.as_str()) {
            TryResult::Present(known) => Some(known),
            TryResult::Absent => None,
            TryResult::Locked => waited.during(|| self.map.get(key.as_str())),
        };
        if let Some(tat) = known {
            return self.limit.charge(&tat, now);
        }
        let entry =
            self.map.try_entry(key.clone()).unwrap_or_else(|| waited.during(|| self.map.entry(key.clone())));
        self.limit.charge(entry.or_default().value(), now)
    }

    fn use_up(&self, key: Text, now: u64) {
        self.map.insert(key.clone(), AtomicU64::new(self.limit.used_up(now)));
    }
}

impl InPapaya {
    pub fn new(limit: Limit, capacity: usize) -> Self {
        Self { limit, map: papaya::HashMap::with_capacity_and_hasher(capacity, RandomState::new()) }
    }
}

impl Limiter for InPapaya {
    type Key = Text;
    const LOCKS: Locks = Locks::None;

    fn admit(&self, key: Text, now: u64, _: &mut Waited) -> bool {
        let map = self.map.pin();
        let tat = match map.get(key.as_str()) {
            Some(tat) => tat,
            None => map.get_or_insert_with(key.clone(), AtomicU64::default),
        };
        self.limit.charge(tat, now)
    }

    fn use_up(&self, key: Text, now: u64) {
        self.map.pin().insert(key.clone(), AtomicU64::new(self.limit.used_up(now)));
    }
}
