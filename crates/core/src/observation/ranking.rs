//! The clients with most calls in the last minutes, in fixed memory: Space-Saving (Metwally, Agrawal and El Abbadi 2005) over
//! a window of minutes.
//!
//! A client that is not among those kept takes the place of the one with the fewest calls, and inherits its count as a
//! possible error. So with N calls in the window, each count is too high by at most N / [`CAPACITY`], and says by how much
//! at most; a client with more calls than that is always among them.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use crate::runtime::clock::MS;
use crate::runtime::key_hash::{AlreadyHashed, KeyHash, hash_str};

/// Clients that are kept.
pub const CAPACITY: usize = 512;
/// Minutes that count, the current one included.
pub const MINUTES: usize = 10;
pub(super) const MINUTE: u64 = 60_000 * MS;
/// Bytes of a key that are kept.
pub const MAX_KEY_BYTES: usize = 256;

/// Why a call was refused, or that it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It was admitted.
    Admitted,
    /// A limiter refused it.
    Quota,
    /// A limiter would have refused it, and is in a dry run.
    DryRun,
    /// Its client is banned.
    Ban,
    /// Its client has too many connections.
    Connections,
    /// Its client is banned, and was refused before it sent anything.
    Accept,
    /// As many requests are in progress as may be.
    Concurrency,
    /// Its thread is overloaded.
    Overload,
}

/// A call, as a ranking is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// What became of it.
    pub reason: Reason,
    /// The limiter or the guard that decided.
    pub source: &'a str,
    /// The hash of the client's key.
    pub key: KeyHash,
    /// The key, or the start of one that is longer than [`MAX_KEY_BYTES`].
    pub text: &'a str,
}

/// A client that was called often, at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranked {
    /// Why it was refused; of all clients, `Admitted`.
    pub reason: Reason,
    /// The limiter or the guard that decided.
    pub source: String,
    /// Its key, or the start of a long one.
    pub text: String,
    /// Whether that is the whole key.
    pub is_whole: bool,
    /// Calls in the last [`MINUTES`], the current minute last.
    pub minutes: [u32; MINUTES],
    /// Of them, those that were refused.
    pub refused: u32,
    /// By how much the sum of `minutes` may be too high.
    pub error: u32,
    /// When it came into the ranking, anew if it had no calls left there, and when it was called last.
    pub seen: (u64, u64),
}

/// What one client of one source is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Identity {
    source: u64,
    key: (u64, u64),
}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // All of them are random.
        state.write_u64(self.source ^ self.key.0 << 11 ^ self.key.1);
    }
}

/// For maps by [`Identity`], in a static.
#[derive(Clone, Copy, Debug, Default)]
struct ByIdentity;

impl BuildHasher for ByIdentity {
    type Hasher = AlreadyHashed;

    fn build_hasher(&self) -> AlreadyHashed {
        AlreadyHashed::default()
    }
}

#[derive(Debug)]
struct Entry {
    identity: Identity,
    reason: Reason,
    source: String,
    text: String,
    is_whole: bool,
    calls: [u32; MINUTES],
    refused: [u32; MINUTES],
    errors: [u32; MINUTES],
    seen: (u64, u64),
}

/// The clients with most calls. A client of two limiters is two of them.
#[derive(Debug, Default)]
pub struct Ranking {
    entries: Vec<Entry>,
    /// The calls of each entry in the window: what the fewest are searched by.
    sums: Vec<u32>,
    places: HashMap<Identity, usize, ByIdentity>,
    /// No sum is less, and where the search for one that is as low goes on: it passes the entries in turn, so that in a flood
    /// of new clients it looks at few.
    least: u32,
    next: usize,
    /// The minute of the last place of each entry.
    minute: u64,
}

impl Ranking {
    pub(super) const fn new() -> Self {
        let places = HashMap::with_hasher(ByIdentity);
        Self { entries: Vec::new(), sums: Vec::new(), places, least: 0, next: 0, minute: 0 }
    }

    /// Adds a call that stands for `weight` calls, counted with others of the same source and client for the same reason.
    pub fn add(&mut self, observed: &Observed<'_>, weight: u32, now: u64) {
        self.add_as(observed.reason, observed, weight, now);
    }

    /// As [`add`](Self::add), with all calls of the same source and client.
    pub fn add_of_client(&mut self, observed: &Observed<'_>, weight: u32, now: u64) {
        self.add_as(Reason::Admitted, observed, weight, now);
    }

    /// The first `most`, those with most calls first.
    #[must_use]
    pub fn top(&mut self, most: usize, now: u64) -> Vec<Ranked> {
        self.turn_to(now);
        let mut order: Vec<usize> = (0..self.entries.len()).filter(|place| self.sums[*place] > 0).collect();
        order.sort_unstable_by_key(|place| std::cmp::Reverse(self.sums[*place]));
        order.truncate(most);
        order.into_iter().map(|place| self.entries[place].ranked()).collect()
    }

    /// Forgets a client of a source, for every reason; true when it was known.
    pub fn forget(&mut self, source: &str, text: &str) -> bool {
        let known = |entry: &Entry| entry.source == source && entry.text == text;
        let places: Vec<usize> =
            (0..self.entries.len()).filter(|place| known(&self.entries[*place])).collect();
        for place in &places {
            self.sums[*place] = 0;
            let entry = &mut self.entries[*place];
            (entry.calls, entry.refused, entry.errors) = Default::default();
        }
        self.least = 0;
        !places.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    fn add_as(&mut self, reason: Reason, observed: &Observed<'_>, weight: u32, now: u64) {
        self.turn_to(now);
        let (source, _) = hash_str(observed.source).halves();
        // Three bits hold every reason.
        let identity = Identity { source: source << 3 | reason as u64, key: observed.key.halves() };
        let place = match self.places.get(&identity) {
            Some(place) => *place,
            None => self.place_for(identity, reason, observed, now),
        };
        let is_new = self.sums[place] == 0;
        self.sums[place] = self.sums[place].saturating_add(weight);
        let entry = &mut self.entries[place];
        if is_new {
            // It had left the ranking: none of its calls is in the window.
            entry.seen.0 = now;
        }
        let current = MINUTES - 1;
        entry.calls[current] = entry.calls[current].saturating_add(weight);
        if observed.reason != Reason::Admitted {
            entry.refused[current] = entry.refused[current].saturating_add(weight);
        }
        entry.seen.1 = now;
    }

    fn place_for(&mut self, identity: Identity, reason: Reason, observed: &Observed<'_>, now: u64) -> usize {
        if self.entries.len() < CAPACITY {
            self.entries.push(Entry::new(identity, reason, observed, now));
            self.sums.push(0);
            self.places.insert(identity, self.entries.len() - 1);
            return self.entries.len() - 1;
        }
        let place = self.fewest();
        self.places.remove(&self.entries[place].identity);
        self.places.insert(identity, place);
        let fewest = self.sums[place];
        self.entries[place].become_another(identity, reason, observed, now);
        self.entries[place].inherit(fewest);
        place
    }

    /// The place of an entry with the fewest calls.
    fn fewest(&mut self) -> usize {
        let is_fewest = |sum: &u32| *sum <= self.least;
        let (before, after) = self.sums.split_at(self.next);
        let found = after.iter().position(is_fewest).map(|place| self.next + place);
        let place = found.or_else(|| before.iter().position(is_fewest)).unwrap_or_else(|| {
            self.least = self.sums.iter().copied().min().unwrap_or(0);
            self.sums.iter().position(|sum| *sum == self.least).unwrap_or(0)
        });
        self.next = (place + 1) % CAPACITY;
        place
    }

    /// Drops the minutes that are no longer in the window.
    fn turn_to(&mut self, now: u64) {
        let minute = now / MINUTE;
        let passed = usize::try_from(minute.saturating_sub(self.minute)).unwrap_or(MINUTES).min(MINUTES);
        if passed == 0 {
            return;
        }
        self.minute = minute;
        for (entry, sum) in self.entries.iter_mut().zip(&mut self.sums) {
            for minutes in [&mut entry.calls, &mut entry.refused, &mut entry.errors] {
                minutes.rotate_left(passed);
                minutes[MINUTES - passed..].fill(0);
            }
            *sum = total(&entry.calls);
        }
        self.least = 0;
    }
}

impl Entry {
    fn new(identity: Identity, reason: Reason, observed: &Observed<'_>, now: u64) -> Self {
        let Observed { source, key, text, .. } = *observed;
        Self {
            identity,
            reason,
            source: source.to_owned(),
            text: text.to_owned(),
            is_whole: hash_str(text) == key,
            calls: [0; MINUTES],
            refused: [0; MINUTES],
            errors: [0; MINUTES],
            seen: (now, now),
        }
    }

    /// Takes over the place of one that is dropped, and its memory.
    fn become_another(&mut self, identity: Identity, reason: Reason, observed: &Observed<'_>, now: u64) {
        let Observed { source, key, text, .. } = *observed;
        (self.identity, self.reason, self.seen) = (identity, reason, (now, now));
        self.is_whole = hash_str(text) == key;
        for (own, other) in [(&mut self.source, source), (&mut self.text, text)] {
            own.clear();
            own.push_str(other);
        }
        (self.calls, self.refused, self.errors) = Default::default();
    }

    /// Counts what it may have had while it was not kept.
    fn inherit(&mut self, count: u32) {
        let current = MINUTES - 1;
        self.calls[current] = count;
        self.errors[current] = count;
        if self.reason != Reason::Admitted {
            self.refused[current] = count;
        }
    }

    fn ranked(&self) -> Ranked {
        Ranked {
            reason: self.reason,
            source: self.source.clone(),
            text: self.text.clone(),
            is_whole: self.is_whole,
            minutes: self.calls,
            refused: total(&self.refused),
            error: total(&self.errors),
            seen: self.seen,
        }
    }
}

fn total(minutes: &[u32; MINUTES]) -> u32 {
    minutes.iter().fold(0, |sum, count| sum.saturating_add(*count))
}
