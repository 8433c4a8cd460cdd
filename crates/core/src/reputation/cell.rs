//! The state of one client, and the one place where it changes.

use super::client::Client;
use super::history::History;
use super::verdict::BanTerm;
use crate::runtime::sync::{AtomicU64, Mutex, Ordering};

/// The end of a client's ban in one word, which is read without a lock.
#[derive(Debug)]
struct BanWord(AtomicU64);

impl BanWord {
    fn free() -> Self {
        Self(AtomicU64::new(0))
    }

    fn holds(&self, now: u64) -> bool {
        // Relaxed: the word carries its whole meaning; no other memory is published through it.
        now < self.0.load(Ordering::Relaxed)
    }

    /// Writes the end of the ban. The caller holds the history's lock, so words are written in the order of the bans.
    fn follow(&self, term: Option<&BanTerm>) {
        self.0.store(term.map_or(0, |term| term.until), Ordering::Relaxed);
    }
}

/// The state of one client.
///
/// Every change is made under a lock of this client alone, so calls of any number of threads have the same
/// result as the same calls one after the other. Whether the client is banned is one load, without a lock: a thread sees
/// a ban that it made itself, or whose maker it has synchronised with.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) client: Client,
    banned_until: BanWord,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Known(History),
    /// It was evicted and is about to leave the table: a change here would be lost.
    Gone,
}

impl Cell {
    pub(super) fn new(client: Client, history: History) -> Self {
        let banned_until = BanWord::free();
        banned_until.follow(history.term.as_ref());
        Self { client, banned_until, state: Mutex::new(State::Known(history)) }
    }

    pub(super) fn is_banned(&self, now: u64) -> bool {
        self.banned_until.holds(now)
    }

    /// Changes the history; `None` when the client was evicted before.
    pub(super) fn update<R>(&self, change: impl FnOnce(&mut History) -> R) -> Option<R> {
        let mut state = self.state.lock();
        let State::Known(history) = &mut *state else { return None };
        let result = change(history);
        self.banned_until.follow(history.term.as_ref());
        Some(result)
    }

    pub(super) fn read<R>(&self, look: impl FnOnce(&History) -> R) -> Option<R> {
        match &*self.state.lock() {
            State::Known(history) => Some(look(history)),
            State::Gone => None,
        }
    }

    /// Evicts the client if `idle` holds for its history; nothing changes between the two.
    pub(super) fn evict_if(&self, idle: impl FnOnce(&History) -> bool) -> bool {
        let mut state = self.state.lock();
        match &*state {
            State::Known(history) if idle(history) => {
                *state = State::Gone;
                self.banned_until.follow(None);
                true
            }
            _ => false,
        }
    }
}

/// Every interleaving of small cases. Planted bug, tried once: with the history copied, changed and written back under
/// two separate locks, all three fail.
#[cfg(all(test, sluice_loom))]
mod models {
    use std::net::IpAddr;

    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::reputation::history::{Cause, Outcome};
    use crate::reputation::policy::Policy;
    use crate::runtime::clock::MS;

    const NOW: u64 = 1_000 * MS;

    const POLICY: Policy = Policy {
        max_failures: 2,
        find_time: 100 * MS,
        ban_time_ms: 100,
        ban_factor: 2.0,
        max_ban_time_ms: 1_000,
        jitter: 0.0,
    };

    fn cell() -> Arc<Cell> {
        let client = Client::of(IpAddr::from([192, 0, 2, 1]), 64);
        Arc::new(Cell::new(client, History::default()))
    }

    fn fail(cell: &Cell) -> Option<Outcome> {
        cell.update(|history| history.apply(&POLICY, Cause::Failures(1), None, NOW, || 0.0))
    }

    fn in_thread<R: 'static>(cell: &Arc<Cell>, body: fn(&Cell) -> R) -> thread::JoinHandle<R> {
        let cell = Arc::clone(cell);
        thread::spawn(move || body(&cell))
    }

    #[test]
    fn one_crossing_is_one_ban() {
        loom::model(|| {
            let cell = cell();
            let calls: Vec<_> = (0..3).map(|_| in_thread(&cell, fail)).collect();
            let mut outcomes: Vec<_> =
                calls.into_iter().map(|call| call.join().expect("no panic").expect("known")).collect();
            outcomes.sort_by_key(|outcome| *outcome as u8);
            assert_eq!(outcomes, [Outcome::Ignored, Outcome::Counted, Outcome::Banned]);
            assert_eq!(cell.read(|history| history.bans), Some(1));
            assert!(cell.is_banned(NOW) && !cell.is_banned(NOW + 100 * MS));
        });
    }

    #[test]
    fn a_banned_client_is_never_evicted() {
        loom::model(|| {
            let cell = cell();
            assert_eq!(fail(&cell), Some(Outcome::Counted));
            let failure = in_thread(&cell, fail);
            let eviction = in_thread(&cell, |cell| {
                cell.evict_if(|history| history.eviction_rank(&POLICY, NOW).is_some())
            });
            let outcome = failure.join().expect("no panic");
            let evicted = eviction.join().expect("no panic");
            // `None` says that the cell was evicted: the thread that reports the failure then inserts the client again.
            assert_eq!(outcome, if evicted { None } else { Some(Outcome::Banned) });
            assert_eq!(cell.is_banned(NOW), !evicted);
        });
    }

    #[test]
    fn the_word_agrees_with_the_history() {
        loom::model(|| {
            let cell = cell();
            let changes = [
                in_thread(&cell, |cell| {
                    let _ = (fail(cell), fail(cell));
                }),
                in_thread(&cell, |cell| {
                    cell.update(|history| history.unban(NOW));
                }),
                in_thread(&cell, |cell| {
                    let later = BanTerm::by_hand(NOW + 200 * MS, None);
                    cell.update(|history| history.ban(later, NOW));
                }),
            ];
            for change in changes {
                change.join().expect("no panic");
            }
            let until = cell.read(|history| history.term.as_ref().map_or(0, |term| term.until));
            for time in [NOW, NOW + 100 * MS, NOW + 200 * MS] {
                assert_eq!(Some(cell.is_banned(time)), until.map(|until| time < until));
            }
        });
    }
}
