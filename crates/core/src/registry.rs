//! Values that every request reads and few write.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::runtime::ThreadId;
use crate::runtime::clock::SetBack;
use crate::runtime::instances::{Instance, OptionList};
use crate::runtime::mailbox::{Sink, SubscriptionId};
use crate::runtime::subscribers::Subscribers;
use crate::runtime::version_cells::VersionCells;
use crate::{Error, Result};

/// One value, encoded by whoever reads and writes it.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The registry's version when this value was set.
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
/// A read is one load of the current snapshot and one look-up. A write copies the map's table (not the
/// values), so it costs time in proportion to the number of keys: fill a large one with `replace_all`.
#[derive(Debug)]
pub struct Registry {
    name: String,
    created_with: OptionList,
    snapshot: ArcSwap<Snapshot>,
    /// Held by the one writer at a time, until its change is shown and sent.
    writing: Mutex<()>,
    subscribers: Subscribers<RegistryChange>,
    /// Where threads look for the version. Written under the lock of the writers.
    shown: Mutex<Vec<Shown>>,
    closed: AtomicBool,
}

/// A place in which a thread is shown the version.
#[derive(Debug)]
struct Shown {
    thread: ThreadId,
    cells: Arc<VersionCells>,
    at: usize,
}

/// A key has another value, or none.
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
    pub fn snapshot(&self) -> Result<Arc<Snapshot>> {
        self.check_open()?;
        Ok(self.snapshot.load_full())
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Result<Option<Arc<Entry>>> {
        self.check_open()?;
        Ok(self.snapshot.load().entries.get(key).cloned())
    }

    /// The version now; it changes with every change of a value.
    pub fn version(&self) -> Result<u64> {
        self.check_open()?;
        Ok(self.snapshot.load().version)
    }

    /// Sets a value, whatever was there.
    pub fn set(&self, key: &str, value: Box<[u8]>) -> Result<Change> {
        self.write(key, |_| true, Some(value))
    }

    /// Sets a value where there is none.
    pub fn set_if_absent(&self, key: &str, value: Box<[u8]>) -> Result<Change> {
        self.write(key, |existing| existing.is_none(), Some(value))
    }

    /// Sets a value if the entry still has this version; `None` is a key without value.
    pub fn compare_and_set(&self, key: &str, expected: Option<u64>, value: Box<[u8]>) -> Result<Change> {
        self.write(key, |existing| existing.map(|entry| entry.version) == expected, Some(value))
    }

    /// Removes a key.
    pub fn delete(&self, key: &str) -> Result<Change> {
        self.write(key, |existing| existing.is_some(), None)
    }

    /// Makes these the only values, in one moment. A key whose value is the same to the byte keeps its
    /// version, and nobody is told of it.
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

    /// Shows a thread the version from now on, in a place of its cells, until the thread or the registry ends. A
    /// write has ended when all are shown it.
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

    /// The place is wanted for another registry.
    pub fn hide_version(&self, thread: ThreadId, at: usize) {
        self.shown.lock().retain(|shown| shown.thread != thread || shown.at != at);
    }

    /// How many keys there are.
    pub fn size(&self) -> Result<usize> {
        self.check_open()?;
        Ok(self.snapshot.load().entries.len())
    }

    /// Sends every change from now on to a thread.
    pub fn subscribe(&self, sink: Sink<RegistryChange>, subscription: SubscriptionId) -> Result<()> {
        let thread = sink.thread();
        self.subscribers.add(sink, subscription);
        // After: a registry that closes meanwhile either finds the subscription, or is found closed.
        self.check_open().inspect_err(|_| self.subscribers.remove(thread, subscription))
    }

    /// Ends one subscription of a thread.
    pub fn unsubscribe(&self, thread: ThreadId, subscription: SubscriptionId) {
        self.subscribers.remove(thread, subscription);
    }

    /// Ends every subscription of a thread that ended.
    pub fn thread_ended(&self, thread: ThreadId) {
        self.subscribers.thread_ended(thread);
        self.shown.lock().retain(|shown| shown.thread != thread);
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

    /// By the writer whose turn it is.
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

impl Registry {
    /// Forgets every value, without events. The version goes on, so no thread takes an old value for a new one.
    fn forget_all(&self) {
        let _writers = self.writing.lock();
        let version = self.snapshot.load().version + 1;
        self.publish(version, HashMap::new());
    }
}

impl Instance for Registry {
    const KIND: &'static str = "Registry";
    type Config = ();

    fn create(name: &str, _: ()) -> Self {
        Self::new(name)
    }

    fn created_with(&self) -> &OptionList {
        &self.created_with
    }

    fn list_options(_: &()) -> OptionList {
        OptionList::new()
    }

    fn reconfigure(&self, _: &str, (): (), _: bool) -> Result<Option<Arc<Self>>> {
        Ok(None)
    }

    fn reset(&self) {
        self.forget_all();
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        // After the last write, so that it stays closed.
        let _writers = self.writing.lock();
        for Shown { cells, at, .. } in self.shown.lock().drain(..) {
            cells.show_closed(at);
        }
        self.subscribers.end();
    }

    fn thread_ended(&self, thread: ThreadId, _: u64) {
        Self::thread_ended(self, thread);
    }

    /// A registry knows no time.
    fn clock_was_set_back(&self, _: SetBack) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliveries::{Item, Mailbox};

    fn value(text: &str) -> Box<[u8]> {
        text.as_bytes().into()
    }

    fn read(registry: &Registry, key: &str) -> Option<String> {
        let entry = registry.get(key).expect("open")?;
        Some(String::from_utf8(entry.value.to_vec()).expect("text"))
    }

    #[test]
    fn every_change_raises_the_version() {
        let registry = Registry::new("r");
        assert_eq!(registry.set("a", value("1")), Ok(Change { done: true, version: 1 }));
        assert_eq!(registry.set("a", value("1")), Ok(Change { done: true, version: 2 }));
        assert_eq!(registry.set_if_absent("a", value("9")), Ok(Change { done: false, version: 2 }));
        assert_eq!(registry.set_if_absent("b", value("2")), Ok(Change { done: true, version: 3 }));
        assert_eq!(registry.delete("c"), Ok(Change { done: false, version: 3 }));
        assert_eq!(registry.delete("a"), Ok(Change { done: true, version: 4 }));
        assert_eq!((read(&registry, "a"), read(&registry, "b")), (None, Some("2".into())));
    }

    #[test]
    fn compare_and_set_notices_a_value_that_came_back() {
        let registry = Registry::new("r");
        let first = registry.set("a", value("x")).expect("open").version;
        registry.delete("a").expect("open");
        registry.set("a", value("x")).expect("open");
        assert!(!registry.compare_and_set("a", Some(first), value("y")).expect("open").done);
        assert!(!registry.compare_and_set("a", None, value("y")).expect("open").done);
        assert!(registry.compare_and_set("b", None, value("y")).expect("open").done);
    }

    #[test]
    fn replace_all_keeps_what_did_not_change() {
        let registry = Registry::new("r");
        for key in ["same", "other", "gone"] {
            registry.set(key, value(key)).expect("open");
        }
        let same = registry.get("same").expect("open").expect("set").version;
        let values = vec![
            ("same".into(), value("same")),
            ("other".into(), value("new")),
            ("added".into(), value("a")),
        ];
        let version = registry.replace_all(values).expect("open");
        assert_eq!(version, 4);
        assert_eq!(registry.get("same").expect("open").expect("kept").version, same);
        assert_eq!(registry.get("other").expect("open").expect("set").version, version);
        assert_eq!((read(&registry, "gone"), read(&registry, "added")), (None, Some("a".into())));
    }

    #[test]
    fn tells_every_change_in_order_until_the_subscription_ends() {
        let registry = Registry::new("r");
        let mailbox = Arc::new(Mailbox::new(ThreadId(1), Box::new(|| ())));
        registry.subscribe(Arc::<Mailbox>::clone(&mailbox), 7).expect("open");
        registry.set("a", value("1")).expect("open");
        registry.set_if_absent("a", value("2")).expect("open");
        registry.replace_all(vec![("b".into(), value("1"))]).expect("open");
        registry.unsubscribe(ThreadId(1), 7);
        registry.set("c", value("1")).expect("open");
        let told: Vec<_> = mailbox.take().into_iter().map(|delivery| delivery.item).collect();
        let change = |key: &str, version| Item::RegistryChange(RegistryChange { key: key.into(), version });
        assert_eq!(told, [change("a", 1), change("a", 2), change("b", 2)]);
    }

    #[test]
    fn concurrent_updates_all_count() {
        let registry = Registry::new("r");
        registry.set("n", value("0")).expect("open");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..250 {
                        while {
                            let entry = registry.get("n").expect("open").expect("set");
                            let n: u64 =
                                std::str::from_utf8(&entry.value).expect("text").parse().expect("number");
                            let next = value(&(n + 1).to_string());
                            !registry.compare_and_set("n", Some(entry.version), next).expect("open").done
                        } {}
                    }
                });
            }
        });
        assert_eq!(read(&registry, "n"), Some("1000".into()));
    }

    #[test]
    fn refuses_when_closed() {
        let registry = Registry::new("r");
        registry.close();
        assert_eq!(registry.get("a").expect_err("closed").code(), "CLOSED");
        assert_eq!(registry.set("a", value("1")).expect_err("closed").code(), "CLOSED");
    }
}
