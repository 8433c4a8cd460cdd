//! The keys of which permits are held or awaited, in shards with a lock each.
//!
//! The locks are those of `runtime::sync`, so models run what runs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crossbeam_utils::CachePadded;

use super::key_state::KeyState;
use crate::runtime::key_hash::{AlreadyHashed, KeyHash};
use crate::runtime::sync::Mutex;

type Shard = Mutex<HashMap<KeyHash, KeyState, AlreadyHashed>>;

/// A power of two. Models have one key.
const SHARDS: usize = if cfg!(any(sluice_loom, sluice_shuttle)) { 1 } else { 64 };

#[derive(Debug)]
pub(super) struct Keys(Box<[CachePadded<Shard>]>);

impl Keys {
    pub(super) fn new() -> Self {
        Self((0..SHARDS).map(|_| CachePadded::new(Mutex::new(HashMap::default()))).collect())
    }

    /// Runs `change` on the state of a key, which is made by `create` where there is none. A state that is left idle is
    /// removed.
    pub(super) fn enter<R>(
        &self,
        key: KeyHash,
        create: impl FnOnce() -> KeyState,
        change: impl FnOnce(&mut KeyState) -> R,
    ) -> R {
        let mut shard = self.shard(key).lock();
        match shard.entry(key) {
            Entry::Occupied(mut entry) => {
                let result = change(entry.get_mut());
                if entry.get().is_idle() {
                    entry.remove();
                }
                result
            }
            Entry::Vacant(entry) => {
                let mut state = create();
                let result = change(&mut state);
                if !state.is_idle() {
                    entry.insert(state);
                }
                result
            }
        }
    }

    /// Runs `change` on the state of a key, if it has one. A state that is left idle is removed.
    pub(super) fn change<R>(&self, key: KeyHash, change: impl FnOnce(&mut KeyState) -> R) -> Option<R> {
        let mut shard = self.shard(key).lock();
        let Entry::Occupied(mut entry) = shard.entry(key) else { return None };
        let result = change(entry.get_mut());
        if entry.get().is_idle() {
            entry.remove();
        }
        Some(result)
    }

    /// Runs `change` on every state. Those that are left idle are removed.
    pub(super) fn change_all(&self, mut change: impl FnMut(&mut KeyState)) {
        for shard in &self.0 {
            shard.lock().retain(|_, state| {
                change(state);
                !state.is_idle()
            });
        }
    }

    /// Removes every state, once `remove` has seen it.
    pub(super) fn clear(&self, mut remove: impl FnMut(&KeyState)) {
        for shard in &self.0 {
            let mut shard = shard.lock();
            shard.values().for_each(&mut remove);
            *shard = HashMap::default();
        }
    }

    /// Runs `read` on every state, a shard at a time.
    pub(super) fn read_all(&self, mut read: impl FnMut(&KeyState)) {
        for shard in &self.0 {
            shard.lock().values().for_each(&mut read);
        }
    }

    fn shard(&self, key: KeyHash) -> &Shard {
        let (high, _) = key.halves();
        // The upper bits: a map takes the lower ones.
        &self.0[(high >> 40) as usize % SHARDS]
    }
}
