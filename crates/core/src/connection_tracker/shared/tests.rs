//! Trackers of several processes over one mapping, as far as one process can be several.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use fastrand::Rng;

use super::*;
use crate::connection_tracker::{Connection, ConnectionOptions, ConnectionTrackerOptions, Opened, Refusal};
use crate::runtime::arena::tests::mapping;
use crate::runtime::instances::Instance;
use crate::{Quota, ThreadId};

const CLIENT: &str = "203.0.113.7";

/// The system of a test: it says that a process is dead once the test does.
struct System {
    hasher: KeyHasher,
    processes: Arc<Processes>,
    now: AtomicU64,
    /// The row of a process that is dead, and not known to be.
    dead: AtomicU64,
}

const NONE: u64 = u64::MAX;

impl Host for System {
    fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    fn hasher(&self) -> &KeyHasher {
        &self.hasher
    }

    fn look_after(&self) -> bool {
        let dead = self.dead.swap(NONE, Ordering::SeqCst);
        let owner = self.processes.live().find(|owner| owner.row() as u64 == dead);
        owner.is_some_and(|owner| self.processes.bury(owner))
    }
}

struct Process {
    tracker: ConnectionTracker,
    system: Arc<System>,
}

/// A mapping that processes attach to.
struct Machine {
    mapping: Arc<memmap2::MmapRaw>,
    config: ConnectionTrackerConfig,
}

impl Machine {
    fn new(options: ConnectionTrackerOptions) -> Self {
        let config = ConnectionTrackerConfig::try_from(options).and_then(ConnectionTrackerConfig::shared);
        let config = config.expect("valid");
        let rows = Arena::measure();
        Processes::new(&rows).expect("room");
        let bytes = rows.taken() + ConnectionTracker::bytes(&config).expect("room");
        Self { mapping: mapping(bytes), config }
    }

    fn attach(&self, row: usize) -> Process {
        let arena = Arena::in_mapping(Arc::clone(&self.mapping));
        let processes = Arc::new(Processes::new(&arena).expect("room"));
        processes.take(row, 1, 1);
        // The same for all processes.
        let mut seeds = Rng::with_seed(7);
        let hasher = KeyHasher::new(|| seeds.u64(..));
        let (now, dead) = (AtomicU64::new(0), AtomicU64::new(NONE));
        let system = Arc::new(System { hasher, processes: Arc::clone(&processes), now, dead });
        let host: Arc<dyn Host> = Arc::<System>::clone(&system);
        let tracker = ConnectionTracker::shared("shared", self.config.clone(), &arena, &processes, &host);
        Process { tracker: tracker.expect("room"), system }
    }

    fn processes(&self, count: usize) -> Vec<Process> {
        (0..count).map(|row| self.attach(row)).collect()
    }
}

fn options(max: Option<u64>, max_per_client: Option<u64>) -> ConnectionTrackerOptions {
    ConnectionTrackerOptions { max, max_per_client, ..ConnectionTrackerOptions::default() }
}

impl Process {
    fn open(&self, client: &str, thread: u64) -> Result<Arc<Connection>, Refusal> {
        let session = ConnectionOptions::session(ThreadId(thread));
        match self.tracker.open(Some(client), session, (0, 0)).expect("open") {
            Opened::Yes(connection) => Ok(connection),
            Opened::No(refusal) => Err(refusal),
        }
    }

    fn count_for(&self, client: &str) -> u64 {
        self.tracker.count_for(client).expect("open")
    }
}

type Result<T, E = crate::Error> = std::result::Result<T, E>;

#[test]
fn processes_share_the_caps() {
    let machine = Machine::new(options(Some(5), Some(3)));
    let (one, other) = (&machine.attach(0), &machine.attach(1));
    let mut open: Vec<_> = [one, other, one].map(|process| process.open(CLIENT, 1).expect("room")).into();
    assert_eq!(other.open(CLIENT, 1).err(), Some(Refusal::MaxPerClient));
    open.extend(["203.0.113.8", "203.0.113.9"].map(|client| other.open(client, 1).expect("room")));
    for process in [one, other] {
        assert_eq!(process.open("203.0.113.10", 1).err(), Some(Refusal::Max));
        assert_eq!((process.tracker.count(), process.count_for(CLIENT)), (5, 3));
        assert_eq!(process.count_for("203.0.113.10"), 0, "a refusal counts nothing");
        let stats = process.tracker.stats().expect("open");
        assert_eq!((stats.opened, stats.count), (5, 5), "sums over all of them");
    }
    assert_eq!((one.tracker.count_of_process(), other.tracker.count_of_process()), (2, 3));
    assert!(one.tracker.close(&open[0]) && !one.tracker.close(&open[0]), "closed once");
    assert_eq!((other.tracker.count(), other.count_for(CLIENT)), (4, 2));
    assert!(other.open(CLIENT, 2).is_ok());
    other.tracker.thread_ended(ThreadId(2));
    other.tracker.thread_ended(ThreadId(1));
    assert_eq!((one.tracker.count(), one.count_for(CLIENT)), (1, 1));
}

#[test]
fn a_dead_process_holds_nothing_once_it_is_found() {
    let machine = Machine::new(options(Some(2), Some(2)));
    let (living, dead) = (machine.attach(0), machine.attach(1));
    let _held = [dead.open(CLIENT, 1), dead.open(CLIENT, 1)];
    assert_eq!(living.open(CLIENT, 1).err(), Some(Refusal::MaxPerClient));
    living.system.dead.store(1, Ordering::SeqCst);
    assert!(living.open(CLIENT, 1).is_ok(), "it is looked for before a refusal");
    assert_eq!((living.tracker.count(), living.count_for(CLIENT)), (1, 1));
    // The next owner of its row begins at nothing, with slots that name the dead one.
    let next = machine.attach(1);
    assert_eq!((next.tracker.count(), next.tracker.count_of_process()), (1, 0));
    assert!(next.open(CLIENT, 1).is_ok() && next.open(CLIENT, 1).is_err());
    assert_eq!(living.count_for(CLIENT), 2);
}

#[test]
fn a_process_that_was_taken_for_dead_counts_its_connections_anew() {
    let machine = Machine::new(options(Some(4), Some(3)));
    let (one, other) = (machine.attach(0), machine.attach(1));
    let open = [one.open(CLIENT, 1), one.open(CLIENT, 1)].map(|opened| opened.expect("room"));
    let own = one.system.processes.own().expect("a row");
    assert!(other.system.processes.bury(own));
    assert_eq!(other.tracker.count(), 0);
    // As `look_after` does it where the descriptor was closed.
    one.system.processes.take(7, 1, 1);
    assert!(one.open(CLIENT, 1).is_ok());
    assert_eq!((other.tracker.count(), other.count_for(CLIENT)), (3, 3));
    assert_eq!(other.open(CLIENT, 1).err(), Some(Refusal::MaxPerClient));
    open.iter().for_each(|connection| assert!(one.tracker.close(connection)));
    assert_eq!((other.tracker.count(), other.count_for(CLIENT)), (1, 1));
}

#[test]
fn processes_share_how_often_a_client_opens() {
    let opens = Some(Quota { limit: 3, window_ms: 1_000, burst: None });
    let machine = Machine::new(ConnectionTrackerOptions { opens, ..options(None, Some(2)) });
    let (one, other) = (machine.attach(0), machine.attach(1));
    let connections = [&one, &other].map(|process| process.open(CLIENT, 1).expect("room"));
    assert_eq!(one.open(CLIENT, 1).err(), Some(Refusal::MaxPerClient), "which charges no opening");
    assert!(one.tracker.close(&connections[0]) && other.open(CLIENT, 1).is_ok());
    assert!(other.tracker.close(&connections[1]));
    assert!(matches!(one.open(CLIENT, 1).err(), Some(Refusal::Opens { .. })));
    one.system.now.store(334_000_000, Ordering::SeqCst);
    assert!(one.open(CLIENT, 1).is_ok(), "by the clock of the machine");
}

#[test]
fn other_options_come_into_force_for_all_processes() {
    let opens = Some(Quota { limit: 3, window_ms: 1_000, burst: Some(1) });
    let created = ConnectionTrackerOptions { opens, ..options(Some(1_000), Some(1)) };
    let machine = Machine::new(created.clone());
    let (one, other) = (machine.attach(0), machine.attach(1));
    assert!(one.open(CLIENT, 1).is_ok() && other.open(CLIENT, 1).is_err());
    let reconfigure = |process: &Process, options: ConnectionTrackerOptions| {
        let config = ConnectionTrackerConfig::try_from(options).and_then(ConnectionTrackerConfig::shared)?;
        Instance::reconfigure(&process.tracker, "shared", config, false).map(|_| ())
    };
    let message = Some(Quota { limit: 1, window_ms: 1_000, burst: None });
    let opens = Some(Quota { limit: 100, window_ms: 1_000, burst: None });
    let idle_timeout_ms = Some(7);
    let more = ConnectionTrackerOptions {
        opens,
        messages: message,
        idle_timeout_ms,
        ..options(Some(2_000), Some(2))
    };
    reconfigure(&one, more.clone()).expect("changeable");
    let connection = other.open(CLIENT, 1).expect("by the options in force");
    assert_eq!(other.tracker.idle_timeout_ms(), Some(7));
    let messages = [0, 1].map(|_| other.tracker.try_message(connection.serial, 0, 0).expect("open"));
    assert_eq!(messages, [true, false]);
    // One after the other, from either process: a cell in force is not written.
    for limit in 3..9 {
        let process = if limit % 2 == 0 { &one } else { &other };
        reconfigure(process, ConnectionTrackerOptions { max_per_client: Some(limit), ..more.clone() })
            .expect("changeable");
        for process in [&one, &other] {
            let opened = std::iter::from_fn(|| process.open(CLIENT, 1).ok()).count() as u64;
            assert!(opened <= 1, "one more than before");
            assert_eq!(process.count_for(CLIENT), limit);
        }
    }
    let newcomer = machine.attach(2);
    assert_eq!(newcomer.open(CLIENT, 1).err(), Some(Refusal::MaxPerClient));
    for fixed in [
        ConnectionTrackerOptions { max: Some(2_001), ..more.clone() },
        ConnectionTrackerOptions { opens: None, ..more.clone() },
        ConnectionTrackerOptions { max: Some(1_000_001), ..more },
    ] {
        assert_eq!(reconfigure(&one, fixed).map_err(|error| error.code()), Err("INVALID_OPTION"));
    }
    assert_eq!(other.count_for(CLIENT), 8);
}

#[test]
fn a_tracker_that_is_destroyed_holds_nothing() {
    let machine = Machine::new(options(Some(3), None));
    let (one, other) = (machine.attach(0), machine.attach(1));
    assert!(
        one.open(CLIENT, 1).is_ok() && one.open("203.0.113.8", 2).is_ok() && other.open(CLIENT, 1).is_ok()
    );
    Instance::reset(&one.tracker);
    assert_eq!((other.tracker.count(), other.count_for(CLIENT)), (1, 1), "those of the others stay");
    assert!(one.open(CLIENT, 1).is_ok());
    Instance::close(&one.tracker);
    assert_eq!((other.tracker.count(), other.count_for(CLIENT)), (1, 1));
}

/// Random calls in three processes, and what they should lead to.
#[test]
fn counts_are_those_of_a_simple_reference() {
    for seed in 0..20 {
        let mut random = Rng::with_seed(seed);
        let machine = Machine::new(options(Some(12), Some(4)));
        let processes = machine.processes(3);
        let mut open: Vec<(usize, String, Arc<Connection>)> = Vec::new();
        for _ in 0..600 {
            let (place, client) = (random.usize(..3), format!("203.0.113.{}", random.u8(..5)));
            let of_client = open.iter().filter(|(_, other, _)| *other == client).count();
            match random.u8(..10) {
                0..6 => {
                    let expected = match () {
                        () if of_client >= 4 => Err(Refusal::MaxPerClient),
                        () if open.len() >= 12 => Err(Refusal::Max),
                        () => Ok(()),
                    };
                    let opened = processes[place].open(&client, 1);
                    assert_eq!(
                        opened.as_ref().map(|_| ()).map_err(|refusal| *refusal),
                        expected,
                        "seed {seed}"
                    );
                    open.extend(opened.ok().map(|connection| (place, client, connection)));
                }
                6..9 if !open.is_empty() => {
                    let (place, _, connection) = open.swap_remove(random.usize(..open.len()));
                    assert!(processes[place].tracker.close(&connection));
                }
                _ => assert_eq!(processes[place].count_for(&client), of_client as u64),
            }
            assert_eq!(processes[place].tracker.count(), open.len() as u64, "seed {seed}");
        }
    }
}

/// Threads of several processes open and close at once. Planted bug: that of the models, `LookedBeforeRaised`, fails it.
#[test]
fn never_more_than_the_caps_and_none_is_lost() {
    const CAP: u64 = 3;
    let machine = Machine::new(options(None, Some(CAP)));
    let processes = machine.processes(4);
    let (open, ended) = (AtomicU64::new(0), AtomicBool::new(false));
    let call = |process: &Process, thread: u64| {
        let mut opened = 0;
        while !ended.load(Ordering::SeqCst) {
            let Ok(connection) = process.open(CLIENT, thread) else { continue };
            let now = open.fetch_add(1, Ordering::SeqCst);
            assert!(now < CAP, "{now} are open");
            opened += 1;
            open.fetch_sub(1, Ordering::SeqCst);
            assert!(process.tracker.close(&connection));
            if opened == 2_000 {
                ended.store(true, Ordering::SeqCst);
            }
        }
        opened
    };
    let opened: u64 = thread::scope(|scope| {
        let (call, processes) = (&call, &processes);
        let threads: Vec<_> =
            (0..8).map(|thread| scope.spawn(move || call(&processes[thread as usize % 4], thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert!(opened >= 2_000);
    assert_eq!((processes[0].tracker.count(), processes[0].count_for(CLIENT)), (0, 0));
    let held: Vec<_> = processes.iter().filter_map(|process| process.open(CLIENT, 1).ok()).collect();
    assert_eq!(held.len() as u64, CAP, "every place is free again");
}

/// Whatever another process wrote: each call ends.
#[test]
fn any_words_in_memory_are_harmless() {
    let mut random = Rng::with_seed(1);
    for round in 0..40 {
        let opens = Some(Quota { limit: 3, window_ms: 1_000, burst: None });
        let machine = Machine::new(ConnectionTrackerOptions { opens, ..options(Some(3), Some(2)) });
        let arena = Arena::in_mapping(Arc::clone(&machine.mapping));
        let words = arena.region::<crate::runtime::sync::AtomicU64>(machine.mapping.len() / 8).expect("room");
        for word in words.iter() {
            let any = [0, u64::MAX, random.u64(..), random.u64(..) | 1 << 63][random.usize(..4)];
            word.store(if round == 0 { u64::MAX } else { any }, Ordering::Relaxed);
        }
        let process = machine.attach(63);
        for client in 0..50 {
            let client = format!("203.0.113.{client}");
            let session = ConnectionOptions::session(ThreadId(1));
            // By words that say so, it is ended for all processes.
            let opened = process.tracker.open(Some(&client), session, (0, 0));
            let _ =
                (process.tracker.count(), process.tracker.count_for(&client), process.tracker.repair(|| 0));
            if let Ok(Opened::Yes(connection)) = opened {
                process.tracker.close(&connection);
            }
        }
        let _ = (process.tracker.stats(), process.tracker.count_of_process());
        Instance::close(&process.tracker);
    }
}
