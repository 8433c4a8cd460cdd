//! The state of one client, and the one place where it changes.

use super::ban_lines::Place;
use super::ban_watch::Target;
use super::bans::Bans;
use super::client::Client;
use super::history::History;
use crate::runtime::sync::Mutex;

/// The state of one client.
///
/// Every change is made under a lock of this client alone, so calls of any number of threads have the same result as the
/// same calls one after the other. The end of its ban is copied to a line that is read without a lock, within that lock: a
/// thread sees a ban that it made itself, or whose maker it has synchronised with. Subscribers hear of it after that, within
/// the same lock: in the order of the changes, and not before they can see it.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) client: Client,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Known(History, Place),
    /// It was evicted and is about to leave the table: a change here would be lost.
    Gone,
}

impl Cell {
    pub(super) fn new(client: Client, history: History) -> Self {
        Self { client, state: Mutex::new(State::Known(history, Place::default())) }
    }

    /// Makes the client known by `insert`; its ban can be read from then on, by its line and by its history.
    pub(super) fn enter(&self, bans: &Bans, now: u64, insert: impl FnOnce()) {
        let mut state = self.state.lock();
        insert();
        if let State::Known(history, place) = &mut *state {
            self.show(bans, history, place, (0, now));
        }
    }

    /// Changes the history; `None` when the client was evicted before.
    pub(super) fn update<R>(
        &self,
        bans: &Bans,
        now: u64,
        change: impl FnOnce(&mut History) -> R,
    ) -> Option<R> {
        let mut state = self.state.lock();
        let State::Known(history, place) = &mut *state else { return None };
        let before = end_of_ban(history);
        let result = change(history);
        self.show(bans, history, place, (before, now));
        Some(result)
    }

    /// Makes the ban in the history known; `before` is when the ban that was shown ends.
    fn show(&self, bans: &Bans, history: &History, place: &mut Place, (before, now): (u64, u64)) {
        let until = end_of_ban(history);
        bans.lines.set(self.client, place, until);
        if until != before {
            bans.watch.follow(Target::Client(self.client), history.term.as_ref(), now);
        }
    }

    /// Forgets the failures that have not led to a ban.
    pub(super) fn forgive(&self) {
        if let State::Known(history, _) = &mut *self.state.lock() {
            history.forgive();
        }
    }

    pub(super) fn read<R>(&self, look: impl FnOnce(&History) -> R) -> Option<R> {
        match &*self.state.lock() {
            State::Known(history, _) => Some(look(history)),
            State::Gone => None,
        }
    }

    /// Evicts the client if `idle` holds for its history; nothing changes between the two.
    pub(super) fn evict_if(&self, bans: &Bans, idle: impl FnOnce(&History) -> bool) -> bool {
        let mut state = self.state.lock();
        match &mut *state {
            State::Known(history, place) if idle(history) => {
                bans.lines.set(self.client, place, 0);
                *state = State::Gone;
                true
            }
            _ => false,
        }
    }
}

/// When the last ban ends, or has ended; 0 without one.
fn end_of_ban(history: &History) -> u64 {
    history.term.as_ref().map_or(0, |term| term.until)
}

/// Every interleaving of small cases. Planted bug, tried once: with the history copied, changed and written back under
/// two separate locks, all three fail.
#[cfg(all(test, sluice_loom))]
mod models {
    use std::net::IpAddr;

    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::reputation::ban_lines::Reading;
    use crate::reputation::history::{Cause, Outcome};
    use crate::reputation::policy::Policy;
    use crate::reputation::verdict::BanTerm;
    use crate::runtime::clock::MS;

    const NOW: u64 = 1_000 * MS;

    const POLICY: Policy = Policy {
        max_failures: 2,
        find_time: 100 * MS,
        ban_time_ms: 100,
        ban_factor: 2.0,
        max_ban_time_ms: 1_000,
        jitter: 0.0,
        most_moments: 1_024,
    };

    /// A client and the line of its ban.
    struct Known {
        cell: Cell,
        bans: Bans,
    }

    impl Known {
        /// As `Clients::is_banned`.
        fn is_banned(&self, now: u64) -> bool {
            match self.bans.lines.read(self.cell.client) {
                Reading::None => false,
                Reading::Until(until) => now < until,
                Reading::Unsure => {
                    self.cell.read(|history| history.ban_in_force(now).is_some()).unwrap_or(false)
                }
            }
        }
    }

    fn cell() -> Arc<Known> {
        let client = Client::of(IpAddr::from([192, 0, 2, 1]), 64);
        Arc::new(Known { cell: Cell::new(client, History::default()), bans: Bans::new(1) })
    }

    fn fail(Known { cell, bans }: &Known) -> Option<Outcome> {
        cell.update(bans, NOW, |history| history.apply(&POLICY, Cause::Failures(1), None, NOW, || 0.0))
    }

    fn in_thread<R: 'static>(cell: &Arc<Known>, body: fn(&Known) -> R) -> thread::JoinHandle<R> {
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
            assert_eq!(cell.cell.read(|history| history.bans), Some(1));
            assert!(cell.is_banned(NOW) && !cell.is_banned(NOW + 100 * MS));
        });
    }

    #[test]
    fn a_banned_client_is_never_evicted() {
        loom::model(|| {
            let cell = cell();
            assert_eq!(fail(&cell), Some(Outcome::Counted));
            let failure = in_thread(&cell, fail);
            let eviction = in_thread(&cell, |Known { cell, bans }| {
                cell.evict_if(bans, |history| history.eviction_rank(&POLICY, NOW).is_some())
            });
            let outcome = failure.join().expect("no panic");
            let evicted = eviction.join().expect("no panic");
            // `None` says that the cell was evicted: the thread that reports the failure then inserts the client again.
            assert_eq!(outcome, if evicted { None } else { Some(Outcome::Banned) });
            assert_eq!(cell.is_banned(NOW), !evicted);
        });
    }

    #[test]
    fn the_line_agrees_with_the_history() {
        loom::model(|| {
            let cell = cell();
            let changes = [
                in_thread(&cell, |cell| {
                    let _ = (fail(cell), fail(cell));
                }),
                in_thread(&cell, |Known { cell, bans }| {
                    cell.update(bans, NOW, |history| history.unban(NOW));
                }),
                in_thread(&cell, |Known { cell, bans }| {
                    let later = BanTerm::by_hand(NOW + 200 * MS, None);
                    cell.update(bans, NOW, |history| history.ban(later, NOW));
                }),
            ];
            for change in changes {
                change.join().expect("no panic");
            }
            let until = cell.cell.read(|history| history.term.as_ref().map_or(0, |term| term.until));
            for time in [NOW, NOW + 100 * MS, NOW + 200 * MS] {
                assert_eq!(Some(cell.is_banned(time)), until.map(|until| time < until));
            }
        });
    }

    /// What one thread finds in the line, another that it tells of it finds in the history, and the other way round.
    #[test]
    fn a_ban_that_was_seen_is_seen_in_both_places() {
        loom::model(|| {
            let cell = cell();
            let maker = in_thread(&cell, |Known { cell, bans }| {
                cell.update(bans, NOW, |history| history.ban(BanTerm::by_hand(NOW + MS, None), NOW));
            });
            let in_history = |cell: &Known| cell.cell.read(|history| history.ban_in_force(NOW).is_some());
            if cell.is_banned(NOW) {
                assert_eq!(in_history(&cell), Some(true));
            }
            if in_history(&cell) == Some(true) {
                assert!(cell.is_banned(NOW));
            }
            maker.join().expect("no panic");
            assert!(cell.is_banned(NOW));
        });
    }
}
