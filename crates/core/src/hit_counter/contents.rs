//! What a counter holds of its keys. Freed when the counter is destroyed.

use std::io;
use std::sync::Arc;

use crossbeam_utils::CachePadded;

use super::cell::CountCell;
use super::kept_keys::KeptKeys;
use super::lengths::{Of, WindowLengths};
use super::options::HitCounterConfig;
use super::window::{self, Hit, Hits, WindowLength};
use super::word::{CountWord, LATE_MS};
use crate::key_table::{Client, Full, Overflow, Step, Table};
use crate::runtime::arena::Arena;
use crate::runtime::clock::MS;
use crate::runtime::key_hash::KeyHash;
use crate::runtime::memory::MemoryUse;
use crate::runtime::planted::planted;
use crate::runtime::sharded_counters::{Count, ShardedCounters};
use crate::runtime::sync::{AtomicU64, Ordering};

pub(super) const UNTRACKED: usize = 0;
pub(super) const SATURATED: usize = 1;
const COUNTERS: usize = 2;

pub(super) struct Contents {
    pub(super) table: Table<CountCell>,
    overflow: Overflow,
    /// The longest window that ends, in milliseconds, of any key. Raised before the key's word is written.
    longest: CachePadded<AtomicU64>,
    lengths: Arc<CachePadded<WindowLengths>>,
    pub(super) counters: ShardedCounters<COUNTERS>,
    /// Without `keepKeys`, `None`.
    pub(super) kept: Option<KeptKeys>,
    pub(super) memory: Arc<MemoryUse>,
}

impl Contents {
    pub(super) fn new(config: &HitCounterConfig) -> io::Result<Self> {
        let options = &config.options;
        // `maxKeys` is at most 2^32, which every 64-bit machine counts.
        let max_keys = usize::try_from(options.max_keys).unwrap_or(usize::MAX);
        let lengths = Arc::<CachePadded<WindowLengths>>::default();
        let cell = CountCell { lengths: Arc::clone(&lengths) };
        let arena = Arena::default();
        let table = Table::new(max_keys, options.overflow, &arena, |_| Ok(cell))?;
        Ok(Self {
            kept: options.keep_keys.then(|| KeptKeys::new(table.capacity())),
            table,
            overflow: options.overflow,
            longest: CachePadded::default(),
            lengths,
            counters: ShardedCounters::new(),
            memory: arena.in_use(),
        })
    }

    #[inline]
    pub(super) fn add(&self, key: KeyHash, hit: &Hit, now: u64) -> Hits {
        self.note(hit.window);
        self.lengths.note(Of::Hit, hit.window);
        if let Some(exceeding) = &hit.exceeding {
            if exceeding.window != hit.window {
                self.lengths.note(Of::Rule, exceeding.window);
            }
            // A window that doubles may get as long as any.
            self.note(if exceeding.double {
                WindowLength::Ms(WindowLength::MOST_MS)
            } else {
                exceeding.window
            });
        }
        let early = planted!(LongestWindowReadEarly).then(|| self.longest());
        let mut decided_on = None;
        let at = time_near(now);
        let count = |client: &Client<[u64; 1]>, from: u64| {
            let word = *decided_on.get_or_insert(client.words[0]);
            let word = if planted!(HitDecidedOnce) { word } else { client.words[0] };
            // Read after the word: whichever thread wrote it has raised this before.
            let longest = early.unwrap_or_else(|| self.longest());
            let (word, hits) = window::add(CountWord(word), hit, at(from) / MS, longest);
            Step::Write([word.0], hits)
        };
        let hits = self.table.update(key, now, |words, from| self.lifetime(words, at(from)), count);
        let hits = hits.unwrap_or_else(|full| self.untracked(hit, &full, now));
        if hits.count == Hits::MOST || hits.count == Hits::LEAST {
            self.counters.count(SATURATED);
        }
        hits
    }

    /// Gives the key this count and a window that begins now, in one step; false when the table has no slot for it.
    pub(super) fn set(&self, key: KeyHash, count: i64, window: WindowLength, now: u64) -> bool {
        self.note(window);
        let at = time_near(now);
        let set = |_: &Client<[u64; 1]>, from: u64| {
            Step::Write([window::begin(count, window, at(from) / MS).0], ())
        };
        let is_set = self.table.update(key, now, |words, from| self.lifetime(words, at(from)), set).is_ok();
        if !is_set {
            self.counters.count(UNTRACKED);
        }
        is_set
    }

    pub(super) fn take_back(&self, key: KeyHash, n: u64, now: u64) {
        let mut decided_on = None;
        self.table.update_existing(key, |client| {
            let word = *decided_on.get_or_insert(client.words[0]);
            let word = if planted!(TakeBackDecidedOnce) { word } else { client.words[0] };
            match window::take_back(CountWord(word), n, now / MS, self.longest()) {
                Some(word) => Step::Write([word.0], ()),
                None => Step::Keep(()),
            }
        });
    }

    pub(super) fn get(&self, key: KeyHash, now: u64) -> Option<Hits> {
        let client = self.table.get(key)?;
        window::hits(CountWord(client.words[0]), now / MS, self.longest())
    }

    /// Whether the key is in the table, whatever the time is.
    pub(super) fn has_slot(&self, key: KeyHash) -> bool {
        self.table.get(key).is_some()
    }

    /// True where a window ran.
    pub(super) fn delete(&self, key: KeyHash, now: u64) -> bool {
        let client = self.table.reset(key);
        client.is_some_and(|client| self.lifetime(&client.words, now) > 0)
    }

    /// Nanoseconds until the key's window ends.
    pub(super) fn lifetime(&self, words: &[u64; 1], now: u64) -> u64 {
        match window::hits(CountWord(words[0]), now / MS, self.longest()).map(|hits| hits.left) {
            None => 0,
            Some(WindowLength::Forever) => u64::MAX / 2,
            Some(WindowLength::Ms(left)) => left * MS - now % MS,
        }
    }

    /// Removes every key, one after the other.
    pub(super) fn clear(&self) {
        // The texts first: a key that comes meanwhile keeps its own.
        if let Some(kept) = &self.kept {
            kept.clear();
        }
        self.table.clear();
    }

    /// Removes every key, and sets the counters to 0.
    pub(super) fn reset(&self) {
        if let Some(kept) = &self.kept {
            kept.clear();
        }
        self.table.reset_all();
        self.counters.reset();
    }

    /// Ends windows that have more left than any window that begins now, and counts new keys from `now` at the latest.
    pub(super) fn clock_was_set_back(&self, now: u64) {
        let longest = self.longest();
        self.table.adapt(now, |words| {
            let runs = window::hits(CountWord(words[0]), now / MS, longest).is_some();
            if runs { *words } else { [0] }
        });
    }

    /// The hit of a key that gets no slot. Under `deny` its count is above every limit.
    fn untracked(&self, hit: &Hit, full: &Full, now: u64) -> Hits {
        self.counters.count(UNTRACKED);
        if self.overflow == Overflow::Deny {
            let wait = full.earliest_vacancy.saturating_sub(now).div_ceil(MS);
            let left =
                if wait > WindowLength::MOST_MS { WindowLength::Forever } else { WindowLength::Ms(wait) };
            return Hits { count: i64::MAX, left, first: true };
        }
        Hits { count: hit.n.clamp(Hits::LEAST, Hits::MOST), left: hit.window, first: true }
    }

    /// Makes words with this window readable, before one is written.
    #[inline]
    fn note(&self, window: WindowLength) {
        if let WindowLength::Ms(ms) = window
            && ms > self.longest()
        {
            self.raise(ms.min(WindowLength::MOST_MS));
        }
    }

    #[cold]
    fn raise(&self, ms: u64) {
        // Relaxed: the exchange of the word publishes it.
        self.longest.fetch_max(ms, Ordering::Relaxed);
    }

    #[inline]
    fn longest(&self) -> u64 {
        // Relaxed: after a word was read with acquire, at least as new as that word.
        self.longest.load(Ordering::Relaxed)
    }
}

/// The time by which a call decides: that from which the table counts new keys, or the call's own where the two are too
/// far apart to be of one clock. Callers give times of their own, which may jump.
fn time_near(now: u64) -> impl Fn(u64) -> u64 + Copy {
    move |from| if from > now + LATE_MS * MS { now } else { from }
}

impl Drop for Contents {
    fn drop(&mut self) {
        self.memory.end();
    }
}
