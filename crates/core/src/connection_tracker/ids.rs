//! The ids of open connections.

use std::sync::Arc;

use dashmap::DashMap;
use dashmap::mapref::entry::Entry;

/// The serial of each open connection, by its id.
#[derive(Debug, Default)]
pub(super) struct Ids(DashMap<Arc<str>, u64>);

impl Ids {
    pub(super) fn contains(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    pub(super) fn serial(&self, id: &str) -> Option<u64> {
        self.0.get(id).map(|serial| *serial)
    }

    /// Gives the connection this id, or one of the tracker's own; `None` when another connection has it.
    pub(super) fn claim(&self, id: Option<&str>, serial: u64) -> Option<Arc<str>> {
        if let Some(id) = id {
            return self.insert(Arc::from(id), serial);
        }
        let candidates = std::iter::once(format!("c{serial}"));
        let mut candidates = candidates.chain((2_u64..).map(|n| format!("c{serial}-{n}")));
        candidates.find_map(|id| self.insert(Arc::from(id), serial))
    }

    pub(super) fn release(&self, id: &str) {
        self.0.remove(id);
    }

    fn insert(&self, id: Arc<str>, serial: u64) -> Option<Arc<str>> {
        match self.0.entry(Arc::clone(&id)) {
            Entry::Occupied(_) => None,
            Entry::Vacant(entry) => {
                entry.insert(serial);
                Some(id)
            }
        }
    }
}
