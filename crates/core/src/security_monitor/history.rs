//! The newest events of all threads.
//!
//! A ring of slots. A thread takes a number, which determines its slot, and writes there under the slot's own lock. Two
//! threads compete for a lock only when one is a whole round behind; then the newer event stays.

use std::net::IpAddr;
use std::sync::Arc;

use super::detail::{Detail, Given, Kept};
use super::events::EventId;
use crate::runtime::chunks::Chunks;
use crate::runtime::region;
use crate::runtime::sync::{AtomicU64, Mutex, Ordering};

/// A recorded event, as it is reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its number: events are numbered from 0 as they are recorded.
    pub sequence: u64,
    /// Its name.
    pub event: Arc<str>,
    /// Its client, as [`client_key`](crate::client_key::client_key) names it.
    pub client: String,
    /// Its detail.
    pub detail: Option<Detail>,
    /// Its date, UTC milliseconds.
    pub at: u64,
}

/// Which events to find; `None` does not filter.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryQuery<'a> {
    /// The address of their client.
    pub ip: Option<&'a str>,
    /// Their name.
    pub event: Option<&'a str>,
    /// Most events to return.
    pub limit: Option<usize>,
}

/// A recorded event, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) event: EventId,
    pub(super) client: IpAddr,
    pub(super) detail: Kept,
    pub(super) at: u64,
}

/// A recorded event, as it is given.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recorded<'a> {
    pub(super) event: EventId,
    pub(super) client: IpAddr,
    pub(super) detail: Option<Given<'a>>,
    pub(super) at: u64,
}

impl From<Recorded<'_>> for Entry {
    fn from(recorded: Recorded<'_>) -> Self {
        let Recorded { event, client, at, .. } = recorded;
        let mut entry = Self { event, client, detail: Kept::default(), at };
        entry.replace(recorded);
        entry
    }
}

impl Entry {
    /// Becomes another event, in the memory of this one.
    fn replace(&mut self, Recorded { event, client, detail, at }: Recorded<'_>) {
        (self.event, self.client, self.at) = (event, client, at);
        self.detail.replace(detail);
    }
}

/// An event with its number.
type Slot = Mutex<Option<(u64, Entry)>>;

#[derive(Debug)]
pub(super) struct History {
    slots: Chunks<Slot>,
    /// The number of the next event.
    next: AtomicU64,
}

impl History {
    /// Least bytes of an event.
    pub(super) const BYTES_EACH: u64 = size_of::<Slot>() as u64;

    /// Room for `capacity` events, at least one.
    pub(super) fn new(capacity: usize) -> Self {
        Self { slots: Chunks::new(capacity, || Mutex::new(None)), next: AtomicU64::new(0) }
    }

    pub(super) fn add(&self, recorded: Recorded<'_>) {
        // Relaxed: it only numbers; the slot's lock publishes the entry.
        let sequence = self.next.fetch_add(1, Ordering::Relaxed);
        let place = self.place_of(sequence);
        // The slot after it, for the next event.
        if let Some(slot) = self.slots.find(place + 1) {
            region::prefetch_all(slot);
        }
        match &mut *self.slots.at(place).lock() {
            Some((newer, _)) if *newer > sequence => {}
            Some((number, entry)) => {
                *number = sequence;
                entry.replace(recorded);
            }
            empty => *empty = Some((sequence, recorded.into())),
        }
    }

    /// The events in the ring that match, the newest first, with their numbers. One pass over the ring, until `limit` are
    /// found.
    pub(super) fn newest(&self, wanted: impl Fn(&Entry) -> bool, limit: usize) -> Vec<(u64, Entry)> {
        let next = self.next.load(Ordering::Relaxed);
        let kept = (self.forgotten_of(next)..next).rev();
        let found = kept.filter_map(|sequence| {
            let slot = self.slot(sequence).lock();
            // The slot has another number until this one is written, and once it is overwritten.
            slot.as_ref().filter(|(number, entry)| *number == sequence && wanted(entry)).cloned()
        });
        found.take(limit).collect()
    }

    /// Removes every event; numbering continues.
    pub(super) fn clear(&self) {
        self.slots.made().for_each(|slot| drop(slot.lock().take()));
    }

    /// How many events are kept, and how many were overwritten or removed.
    pub(super) fn kept_and_forgotten(&self) -> (u64, u64) {
        let next = self.next.load(Ordering::Relaxed);
        let forgotten = self.forgotten_of(next);
        (next - forgotten, forgotten)
    }

    fn forgotten_of(&self, next: u64) -> u64 {
        next.saturating_sub(self.slots.len() as u64)
    }

    fn slot(&self, sequence: u64) -> &Slot {
        self.slots.at(self.place_of(sequence))
    }

    fn place_of(&self, sequence: u64) -> usize {
        (sequence % self.slots.len() as u64) as usize
    }
}

#[cfg(test)]
fn numbered(number: u64) -> Recorded<'static> {
    Recorded { event: EventId(0), client: IpAddr::from([192, 0, 2, 1]), detail: None, at: number }
}

#[cfg(all(test, not(sluice_loom)))]
mod tests {
    use super::*;

    fn newest(history: &History, limit: usize) -> Vec<(u64, u64)> {
        history.newest(|_| true, limit).into_iter().map(|(sequence, entry)| (sequence, entry.at)).collect()
    }

    #[test]
    fn keeps_the_newest_and_counts_the_others() {
        let history = History::new(3);
        assert_eq!((newest(&history, 9), history.kept_and_forgotten()), (vec![], (0, 0)));
        (10..12).for_each(|at| history.add(numbered(at)));
        assert_eq!((newest(&history, 9), history.kept_and_forgotten()), (vec![(1, 11), (0, 10)], (2, 0)));
        (12..17).for_each(|at| history.add(numbered(at)));
        assert_eq!(newest(&history, 9), [(6, 16), (5, 15), (4, 14)]);
        assert_eq!(newest(&history, 1), [(6, 16)]);
        assert_eq!(history.kept_and_forgotten(), (3, 4));
        assert_eq!(history.newest(|entry| entry.at == 15, 9).len(), 1);
    }

    #[test]
    fn numbers_every_event_of_every_thread() {
        let history = History::new(40_000);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..5_000).for_each(|at| history.add(numbered(at))));
            }
        });
        let sequences: Vec<u64> =
            newest(&history, 50_000).into_iter().map(|(sequence, _)| sequence).collect();
        assert_eq!(sequences, (0..40_000).rev().collect::<Vec<_>>());
    }
}

/// Planted bug, tried once: if an older event overwrites a newer one, both models fail.
#[cfg(all(test, sluice_loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    fn add_in_threads(history: &Arc<History>, count: u64) {
        let threads: Vec<_> = (0..count)
            .map(|at| {
                let history = Arc::clone(history);
                thread::spawn(move || history.add(numbered(at)))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
    }

    #[test]
    fn a_late_writer_does_not_overwrite_a_newer_entry() {
        loom::model(|| {
            let history = Arc::new(History::new(1));
            add_in_threads(&history, 3);
            let sequences = history.newest(|_| true, 9).into_iter().map(|(sequence, _)| sequence);
            assert_eq!(sequences.collect::<Vec<_>>(), [2]);
        });
    }

    #[test]
    fn the_newest_entries_are_kept_once_all_have_written() {
        loom::model(|| {
            let history = Arc::new(History::new(2));
            add_in_threads(&history, 3);
            let sequences = history.newest(|_| true, 9).into_iter().map(|(sequence, _)| sequence);
            assert_eq!(sequences.collect::<Vec<_>>(), [2, 1]);
            assert_eq!(history.kept_and_forgotten(), (2, 1));
        });
    }
}
