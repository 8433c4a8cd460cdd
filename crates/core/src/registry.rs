//! Registry: values that every request reads and few write.

mod instance;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::runtime::ThreadId;
use crate::runtime::instances::OptionList;
use crate::runtime::mailbox::{Sink, SubscriptionId};
use crate::runtime::subscribers::Subscribers;
use crate::runtime::version_cells::VersionCells;
use crate::{Error, Result};

/// One value. Its encoding is the caller's.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The registry's version with this value.
    pub version: u64,
    /// The value.
    pub value: Box<[u8]>,
}

/// All values at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Raised by every change.
    pub version: u64,
    /// The values by key.
    pub entries: HashMap<Arc<str>, Arc<Entry>>,
}

/// What one write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whether anything was written.
    pub done: bool,
    /// The registry's version after the call.
    pub version: u64,
}

/// A map whose readers take no lock and see one moment.
///
/// A read is one load of the current snapshot and one look-up. A write copies the table of keys (not the values), so its
/// cost grows with the number of keys: fill a large registry with `replace_all`.
///
/// Methods that return a [`Result`] fail once the registry is destroyed.
#[derive(Debug)]
pub struct Registry {
    name: String,
    created_with: OptionList,
    snapshot: ArcSwap<Snapshot>,
    /// Held by one writer at a time, until its change is shown and sent.
    writing: Mutex<()>,
    subscribers: Subscribers<RegistryChange>,
    /// Where threads read the version. Entries are added, and versions shown, under the writers' lock.
    shown: Mutex<Vec<Shown>>,
    closed: AtomicBool,
}

/// A cell in which a thread reads the version.
#[derive(Debug)]
struct Shown {
    thread: ThreadId,
    cells: Arc<VersionCells>,
    at: usize,
}

/// A key got another value, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryChange {
    /// The key.
    pub key: Arc<str>,
    /// The registry's version with that change.
    pub version: u64,
}

impl Registry {
    /// An empty registry at version 0.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            created_with: OptionList::new(),
            snapshot: ArcSwap::from_pointee(Snapshot::default()),
            writing: Mutex::new(()),
            subscribers: Subscribers::default(),
            shown: Mutex::new(Vec::new()),
            closed: AtomicBool::new(false),
        }
    }

    /// All values at one moment.
    ///
    /// # Errors
    ///
    /// The registry is destroyed.
    pub fn snapshot(&self) -> Result<Arc<Snapshot>> {
        self.check_open()?;
        Ok(self.snapshot.load_full())
    }

    /// The value of a key.
    ///
    /// # Errors
    ///
    /// The registry is destroyed.
    pub fn get(&self, key: &str) -> Result<Option<Arc<Entry>>> {
        self.check_open()?;
        Ok(self.snapshot.load().entries.get(key).cloned())
    }

    /// The version now; every write raises it.
    ///
    /// # Errors
    ///
    /// The registry is destroyed.
    pub fn version(&self) -> Result<u64> {
        self.check_open()?;
        Ok(self.snapshot.load().version)
    }

    /// Sets a value, whether or not the key has one.
    ///
    /// # Errors
    ///
    /// The registry is destroyed.
    pub fn set(&self, key: &str, value: Box<[u8]>) -> Result<Change> {
        self.write(key, |_| true, Some(value))
    }

    /// Sets a value if the key has none.
    ///
    /// # Errors
    ///
    /// The registry is destroyed.
    pub fn set_if_absent(&self, key: &str, value: Box<[u8]>) -> Result<Change> {
        self.write(key, |existing| existing.is_none(), Some(value))
    }

    /// Sets a value if the entry still has the version `expected`; `None`: if the key has none.
    ///
    /// # Errors
    ///
    /// The registry is destroyed.
    pub fn compare_and_set(&self, key: &str, expected: Option<u64>, value: Box<[u8]>) -> Result<Change> {
        self.write(key, |existing| existing.map(|entry| entry.version) == expected, Some(value))
    }

    /// Removes a key.
    ///
    /// # Errors
    ///
    /// The registry is destroyed.
    pub fn delete(&self, key: &str) -> Result<Change> {
        self.write(key, |existing| existing.is_some(), None)
    }

    /// Makes these the only values, in one step. A key whose value is the same to the byte keeps its version, and no
    /// change is sent for it.
    ///
    /// # Errors
    ///
    /// The registry is destroyed.
    pub fn replace_all(&self, values: Vec<(String, Box<[u8]>)>) -> Result<u64> {
        self.check_open()?;
        let _writers = self.writing.lock();
        let current = self.snapshot.load_full();
        let version = current.version + 1;
        let mut entries = HashMap::with_capacity(values.len());
        for (key, value) in values {
            let (key, entry) = match current.entries.get_key_value(key.as_str()) {
                Some((key, entry)) if entry.value == value => (Arc::clone(key), Arc::clone(entry)),
                _ => (Arc::from(key), Arc::new(Entry { version, value })),
            };
            entries.insert(key, entry);
        }
        let mut changed = changed_keys(&current.entries, &entries);
        changed.sort_unstable();
        self.publish(version, entries);
        for key in changed {
            self.subscribers.notify(&RegistryChange { key: Arc::clone(&key), version });
        }
        Ok(version)
    }

    /// Shows a thread the version from now on, in one of its cells, until the thread or the registry ends. A write returns
    /// when all threads are shown its version.
    ///
    /// # Errors
    ///
    /// The registry is destroyed.
    pub fn show_version(&self, thread: ThreadId, cells: &Arc<VersionCells>, at: usize) -> Result<()> {
        self.check_open()?;
        let _writers = self.writing.lock();
        let mut shown = self.shown.lock();
        let is_same = |other: &Shown| Arc::ptr_eq(&other.cells, cells) && other.at == at;
        if !shown.iter().any(is_same) {
            shown.push(Shown { thread, cells: Arc::clone(cells), at });
        }
        cells.show(at, self.snapshot.load().version);
        Ok(())
    }

    /// Stops showing a thread the version: its cell is free for another registry.
    pub fn hide_version(&self, thread: ThreadId, at: usize) {
        self.shown.lock().retain(|shown| shown.thread != thread || shown.at != at);
    }

    /// How many keys there are.
    ///
    /// # Errors
    ///
    /// The registry is destroyed.
    pub fn size(&self) -> Result<usize> {
        self.check_open()?;
        Ok(self.snapshot.load().entries.len())
    }

    /// Sends every change from now on to a thread.
    ///
    /// # Errors
    ///
    /// The registry is destroyed.
    pub fn subscribe(&self, sink: Sink<RegistryChange>, subscription: SubscriptionId) -> Result<()> {
        // Between writes, so that it gets all changes of a version or none.
        let _writers = self.writing.lock();
        self.check_open()?;
        self.subscribers.add(sink, subscription);
        Ok(())
    }

    /// Ends one subscription of a thread.
    pub fn unsubscribe(&self, thread: ThreadId, subscription: SubscriptionId) {
        let _writers = self.writing.lock();
        self.subscribers.remove(thread, subscription);
    }

    fn write(
        &self,
        key: &str,
        wanted: impl Fn(Option<&Entry>) -> bool,
        value: Option<Box<[u8]>>,
    ) -> Result<Change> {
        self.check_open()?;
        let _writers = self.writing.lock();
        let current = self.snapshot.load_full();
        let existing = current.entries.get_key_value(key);
        if !wanted(existing.map(|(_, entry)| &**entry)) {
            return Ok(Change { done: false, version: current.version });
        }
        let version = current.version + 1;
        let key = existing.map_or_else(|| Arc::from(key), |(key, _)| Arc::clone(key));
        let mut entries = current.entries.clone();
        match value {
            Some(value) => entries.insert(Arc::clone(&key), Arc::new(Entry { version, value })),
            None => entries.remove(&key),
        };
        self.publish(version, entries);
        self.subscribers.notify(&RegistryChange { key: Arc::clone(&key), version });
        Ok(Change { done: true, version })
    }

    /// The caller holds `writing`.
    fn publish(&self, version: u64, entries: HashMap<Arc<str>, Arc<Entry>>) {
        self.snapshot.store(Arc::new(Snapshot { version, entries }));
        for Shown { cells, at, .. } in &*self.shown.lock() {
            cells.show(*at, version);
        }
    }

    fn check_open(&self) -> Result<()> {
        // Relaxed: a call that races with `destroy` may still be answered.
        if self.closed.load(Ordering::Relaxed) {
            return Err(Error::Closed { name: self.name.clone() });
        }
        Ok(())
    }
}

fn changed_keys(
    before: &HashMap<Arc<str>, Arc<Entry>>,
    after: &HashMap<Arc<str>, Arc<Entry>>,
) -> Vec<Arc<str>> {
    let set =
        after.iter().filter(|(key, entry)| before.get(*key).is_none_or(|old| old.version != entry.version));
    let removed = before.keys().filter(|key| !after.contains_key(*key));
    set.map(|(key, _)| key).chain(removed).cloned().collect()
}

#[cfg(test)]
mod tests;
