//! The texts of keys, for `dump`: the table itself keeps hashes only.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;

use super::window::Hits;
use crate::runtime::key_hash::KeyHash;

const SHARDS: usize = 32;

/// A key with its count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptHits {
    /// Its text, as UTF-16.
    pub key: Box<[u16]>,
    /// Its count.
    pub hits: Hits,
}

type Shard = HashMap<KeyHash, Box<[u16]>>;

/// Texts by hash. A text is kept when a window of its key begins. Texts of keys that have no slot any more are dropped by a
/// dump, and once there are twice as many texts as the table has room for.
pub(super) struct KeptKeys {
    shards: Box<[Mutex<Shard>]>,
    kept: AtomicUsize,
    most: usize,
}

impl KeptKeys {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            kept: AtomicUsize::new(0),
            most: capacity.saturating_mul(2),
        }
    }

    /// Keeps a text. `has_slot` says whether a key is in the table.
    pub(super) fn keep(&self, key: KeyHash, text: &[u16], has_slot: impl Fn(KeyHash) -> bool) {
        let is_new = self.shard(key).lock().insert(key, text.into()).is_none();
        // Relaxed: a size, which publishes nothing.
        if is_new && self.kept.fetch_add(1, Ordering::Relaxed) >= self.most {
            self.retain(has_slot);
        }
    }

    pub(super) fn forget(&self, key: KeyHash) {
        if self.shard(key).lock().remove(&key).is_some() {
            self.kept.fetch_sub(1, Ordering::Relaxed);
        }
    }

    pub(super) fn clear(&self) {
        self.retain(|_| false);
    }

    /// The keys of which `hits` has a count.
    pub(super) fn dump(
        &self,
        hits: impl Fn(KeyHash) -> Option<Hits>,
        has_slot: impl Fn(KeyHash) -> bool,
    ) -> Vec<KeptHits> {
        self.retain(has_slot);
        let mut dumped = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock();
            let kept = shard.iter().filter_map(|(key, text)| Some((text, hits(*key)?)));
            dumped.extend(kept.map(|(text, hits)| KeptHits { key: text.clone(), hits }));
        }
        dumped
    }

    fn retain(&self, keep: impl Fn(KeyHash) -> bool) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let before = shard.len();
            shard.retain(|key, _| keep(*key));
            self.kept.fetch_sub(before - shard.len(), Ordering::Relaxed);
        }
    }

    fn shard(&self, key: KeyHash) -> &Mutex<Shard> {
        &self.shards[key.halves().0 as usize % SHARDS]
    }
}
