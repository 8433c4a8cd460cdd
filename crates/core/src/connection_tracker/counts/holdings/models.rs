//! Processes that open at once, in tables of two slots.

use loom::sync::Arc as Shared;
use loom::sync::atomic::{AtomicBool, Ordering as Order};
use loom::thread;

use super::*;

/// One process: its part of counts that all of them share.
#[derive(Clone)]
struct Process {
    holdings: Arc<Holdings>,
    own: Owner,
}

const TOTAL: Place = Place { in_total: true, client: None };

/// Places of the two rows are different lines.
fn client() -> KeyHash {
    KeyHash::from_halves(1 << 20, 0)
}

/// The client counts, and not the total.
fn of_client() -> Place {
    Place { in_total: false, client: Some(client()) }
}

fn at_most(most: u64) -> Caps {
    Caps { max: Some(most), max_per_client: Some(most) }
}

/// Finds what the system knows of a process: that it died, as soon as it did.
struct System {
    processes: Arc<Processes>,
    victim: Owner,
    is_dead: Shared<AtomicBool>,
}

impl Host for System {
    fn now(&self) -> u64 {
        0
    }

    fn hasher(&self) -> &KeyHasher {
        unreachable!("keys are given")
    }

    fn look_after(&self) -> bool {
        // Acquire: a lock that is free was held before.
        self.is_dead.load(Order::Acquire) && self.processes.bury(self.victim)
    }
}

/// Nothing dies.
struct AllLive;

impl Host for AllLive {
    fn now(&self) -> u64 {
        0
    }

    fn hasher(&self) -> &KeyHasher {
        unreachable!("keys are given")
    }

    fn look_after(&self) -> bool {
        false
    }
}

impl Process {
    fn open(&self, place: Place, most: u64) -> bool {
        self.holdings.try_open(self.own, place, at_most(most), &AllLive).is_ok()
    }

    fn close(&self, place: Place) {
        self.holdings.close(self.own, place);
    }

    fn count(&self, place: Place) -> HeldCount {
        let Place { client, .. } = place;
        client
            .map_or_else(|| self.holdings.total(self.own), |client| self.holdings.of_client(self.own, client))
    }
}

/// Two processes, each with its own locks: they share rows and table.
fn two() -> [Process; 2] {
    let arena = Arena::measure();
    let first = Arc::new(Processes::new(&arena).expect("room"));
    let second = Arc::new(first.with_same_rows());
    let clients = Arc::new(Table::new(1, Overflow::Deny, &arena, |_| Ok(Single)).expect("room"));
    [process(0, first, &clients), process(1, second, &clients)]
}

/// The process that takes a row.
fn process(row: usize, processes: Arc<Processes>, clients: &Arc<Table<Single>>) -> Process {
    processes.take(row, 1, 1);
    let own = processes.own().expect("a row");
    let holdings = Holdings {
        processes,
        clients: Arc::clone(clients),
        rows: vec![KeyHash::from_halves(1 << 30, 0), KeyHash::from_halves(1 << 31, (1 << 53) - 1)],
        changing: std::array::from_fn(|_| Mutex::new(())),
        at_last_place: Mutex::new(()),
    };
    Process { holdings: Arc::new(holdings), own }
}

/// The next owner of a process's row.
fn next_of(Process { holdings, own }: &Process) -> Process {
    process(own.row(), Arc::new(holdings.processes.with_same_rows()), &holdings.clients)
}

fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Runs both at once; what they answered.
fn at_once<R: Send + 'static>(
    first: impl FnOnce() -> R + Send + 'static,
    second: impl FnOnce() -> R + Send + 'static,
) -> [R; 2] {
    let threads = [thread::spawn(first), thread::spawn(second)];
    threads.map(|thread| thread.join().expect("no panic"))
}

#[test]
fn one_of_two_processes_gets_the_last_place() {
    check(3, || {
        let [first, second] = two();
        let (one, other) = (first.clone(), second);
        let opened = at_once(move || one.open(TOTAL, 1), move || other.open(TOTAL, 1));
        assert_eq!(opened.iter().filter(|opened| **opened).count(), 1, "{opened:?}");
        assert_eq!(first.count(TOTAL), HeldCount { confirmed: 1, pending: 0 });
    });
}

#[test]
fn one_of_two_processes_gets_the_last_place_of_a_client() {
    check(2, || {
        let [first, second] = two();
        let (one, other) = (first.clone(), second);
        let opened = at_once(move || one.open(of_client(), 1), move || other.open(of_client(), 1));
        assert_eq!(opened.iter().filter(|opened| **opened).count(), 1, "{opened:?}");
        assert_eq!(first.count(of_client()), HeldCount { confirmed: 1, pending: 0 });
    });
}

/// Of the threads of one process, too.
#[test]
fn one_of_two_threads_gets_the_last_place() {
    check(2, || {
        let [process, _] = two();
        let (one, other) = (process.clone(), process.clone());
        let opened = at_once(move || one.open(TOTAL, 1), move || other.open(TOTAL, 1));
        assert_eq!(opened.iter().filter(|opened| **opened).count(), 1, "{opened:?}");
        assert_eq!(process.count(TOTAL), HeldCount { confirmed: 1, pending: 0 });
    });
}

/// The last one of a client is closed, which frees its slot, beside another one that opens.
#[test]
fn a_client_that_closes_beside_one_that_opens_is_counted() {
    check(2, || {
        let [first, second] = two();
        assert!(first.open(of_client(), 1));
        let (closing, opening) = (first.clone(), second.clone());
        let close = move || {
            closing.close(of_client());
            false
        };
        let [_, opened] = at_once(close, move || opening.open(of_client(), 1));
        assert_eq!(first.count(of_client()), HeldCount { confirmed: opened.into(), pending: 0 });
        assert!(opened || second.open(of_client(), 1), "there is room afterwards");
    });
}

/// A process dies after it raised, or after it confirmed, beside one that opens.
#[test]
fn a_process_that_died_holds_nothing() {
    for is_confirmed in [false, true] {
        check(2, move || {
            let [dying, living] = two();
            let is_dead = Shared::new(AtomicBool::new(false));
            let system = System {
                processes: Arc::clone(&living.holdings.processes),
                victim: dying.own,
                is_dead: Shared::clone(&is_dead),
            };
            let dies = move || {
                dying.holdings.change(dying.own, TOTAL, Change::Raise);
                if is_confirmed {
                    dying.holdings.change(dying.own, TOTAL, Change::Confirm);
                }
                // Release: the kernel frees the lock after the last instruction.
                is_dead.store(true, Order::Release);
                (false, None)
            };
            let opens = {
                let living = living.clone();
                move || {
                    let opened = living.holdings.try_open(living.own, TOTAL, at_most(1), &system).is_ok();
                    (opened, Some(system))
                }
            };
            let [_, (opened, system)] = at_once(dies, opens);
            let system = system.expect("given back");
            let again = living.holdings.try_open(living.own, TOTAL, at_most(1), &system).is_ok();
            assert!(opened || again, "the place of the dead is free");
            assert!(!(opened && again));
        });
    }
}

#[test]
fn the_next_owner_of_a_row_holds_nothing_of_the_one_before() {
    check(2, || {
        let [dead, living] = two();
        assert!(dead.open(TOTAL, 2) && dead.open(of_client(), 2));
        let counts = living.clone();
        let takes_the_row = move || {
            let next = next_of(&dead);
            next.open(TOTAL, 2) && next.open(of_client(), 2)
        };
        let opened = at_once(takes_the_row, move || {
            let opened = living.open(TOTAL, 2);
            living.open(of_client(), 2) && opened
        });
        assert!(opened[0] && opened[1], "the dead count no more: {opened:?}");
        let [total, of_client] = [TOTAL, of_client()].map(|place| counts.count(place).confirmed);
        assert!(total <= 2 && of_client <= 2, "{total} and {of_client}");
        assert!(counts.open(TOTAL, total + 1));
    });
}

#[test]
fn a_process_taken_for_dead_changes_nothing_of_the_next() {
    check(2, || {
        let [taken, living] = two();
        let place = Place { in_total: true, client: Some(client()) };
        assert!(taken.open(place, 9));
        assert!(living.holdings.processes.bury(taken.own));
        let next = next_of(&taken);
        let [_, opened] = at_once(
            move || {
                taken.open(place, 9);
                taken.close(place);
                true
            },
            {
                let next = next.clone();
                move || next.open(place, 9)
            },
        );
        assert!(opened, "it has room");
        assert_eq!(living.count(place), HeldCount { confirmed: 1, pending: 0 });
        assert_eq!(living.count(of_client()), HeldCount { confirmed: 1, pending: 0 });
    });
}
