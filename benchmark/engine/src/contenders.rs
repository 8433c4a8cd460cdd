//! The interface of the limiters measured, and how their calls are made and checked.

use std::hash::Hash;
use std::sync::LazyLock;
use std::time::Duration;

use sluice_core::runtime::clock;

use crate::clients::Load;
use crate::harness::{Caller, Slice, for_a_while, so_many};
use crate::waited::Waited;

/// The address of a client, shared by all contenders.
pub type Text = &'static String;

/// A limit per client.
pub trait Limiter: Send + Sync {
    /// A key as a load holds it: small, and made before the measurement.
    type Key: Copy + Send + Sync;
    const LOCKS: Locks = Locks::Measured;

    /// Charges one unit if it is available.
    fn admit(&self, key: Self::Key, now: u64, waited: &mut Waited) -> bool;

    /// As [`admit`](Self::admit), for the calls of one thread, which may keep a thread-local handle.
    fn of_thread(&self) -> impl Admit<Self::Key> {
        |key, now, waited| self.admit(key, now, waited)
    }

    /// Uses up the quota of a new client.
    fn use_up(&self, key: Self::Key, now: u64);

    /// Makes all clients known, and uses up the quota of the first `used_up`.
    fn fill(&self, clients: impl Iterator<Item = Self::Key>, used_up: u32) {
        for (client, key) in clients.enumerate() {
            if client < used_up as usize {
                self.use_up(key, *NOW);
            } else {
                self.admit(key, *NOW, &mut Waited::default());
            }
        }
    }
}

/// The function that a thread calls for each key: see [`Limiter::admit`].
pub trait Admit<K>: FnMut(K, u64, &mut Waited) -> bool + Send {}

impl<K, A: FnMut(K, u64, &mut Waited) -> bool + Send> Admit<K> for A {}

/// The capacity of every contender: a quarter more than the clients.
pub fn room(clients: usize) -> usize {
    clients + clients / 4
}

/// Whether the time that calls wait for locks can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Locks {
    /// Locks are tried first, and waits are timed.
    Measured,
    /// There are no locks on this path.
    None,
    /// The interface does not expose its locks.
    Hidden,
}

/// A key that a map owns, and how a load holds it.
pub trait Borrowed: Hash + Eq + Clone + Send + Sync {
    type By: Copy + Send + Sync;
    fn from_load(key: &Self::By) -> &Self;
}

impl Borrowed for String {
    type By = Text;
    fn from_load(key: &Text) -> &Self {
        key
    }
}

impl Borrowed for u64 {
    type By = Self;
    fn from_load(key: &Self) -> &Self {
        key
    }
}

/// The time of all calls except those that read a clock. It is constant, so nothing is replenished.
pub static NOW: LazyLock<u64> = LazyLock::new(clock::now);

/// One slice, and how many answers were wrong.
#[derive(Debug)]
pub struct Measured {
    pub slice: Slice,
    /// Ticks that all threads waited for locks.
    pub waited: u64,
    /// Calls answered differently from an unbounded map, because a bounded table had evicted the client.
    pub unlike: u64,
}

/// All threads repeat one load until the time is over, starting at evenly spaced positions from `first` on.
pub fn go_round<L: Limiter>(
    limiter: &L,
    load: &Load<L::Key>,
    first: usize,
    threads: usize,
    duration: Duration,
) -> Measured {
    let mut calls = calls_of_threads(limiter, load, first, threads);
    let slice = for_a_while(&mut calls, duration);
    Measured::from(slice, &calls)
}

/// The threads divide one load, and each makes the calls of its part once.
pub fn go_through<L: Limiter>(limiter: &L, load: &Load<L::Key>, threads: usize) -> Measured {
    let mut calls = calls_of_threads(limiter, load, 0, threads);
    let slice = so_many(&mut calls, load.keys().len() / threads);
    Measured::from(slice, &calls)
}

impl Measured {
    fn from<K: Copy, A>(slice: Slice, calls: &[Calls<'_, K, A>]) -> Self {
        Self {
            slice,
            waited: calls.iter().map(|calls| calls.waited.0).sum(),
            unlike: calls.iter().map(Calls::unlike).sum(),
        }
    }
}

/// The calls of one thread.
#[repr(align(128))]
struct Calls<'a, K, A> {
    admit: A,
    load: &'a Load<K>,
    keys: &'a [K],
    first: usize,
    made: usize,
    now: u64,
    admitted: u64,
    waited: Waited,
}

fn calls_of_threads<'a, L: Limiter>(
    limiter: &'a L,
    load: &'a Load<L::Key>,
    first: usize,
    threads: usize,
) -> Vec<Calls<'a, L::Key, impl Admit<L::Key>>> {
    let (keys, now) = (load.keys(), *NOW);
    let apart = keys.len() / threads;
    let positions = (0..threads).map(|thread| (first + thread * apart) & (keys.len() - 1));
    positions
        .map(|first| Calls {
            admit: limiter.of_thread(),
            load,
            keys,
            first,
            made: 0,
            now,
            admitted: 0,
            waited: Waited::default(),
        })
        .collect()
}

impl<K: Copy, A> Calls<'_, K, A> {
    fn unlike(&self) -> u64 {
        self.admitted.abs_diff(self.load.admitted(self.first, self.made))
    }
}

impl<K, A> Caller for Calls<'_, K, A>
where
    K: Copy + Send + Sync,
    A: Admit<K>,
{
    #[inline]
    fn call(&mut self) {
        // The length is a power of two.
        let key = self.keys[(self.first + self.made) & (self.keys.len() - 1)];
        self.admitted += u64::from((self.admit)(key, self.now, &mut self.waited));
        self.made += 1;
    }
}
