//! Processes that are killed at random while they open and close connections. What is open is counted elsewhere: each
//! process writes what it was told to words of its own, and looks at those of all others.
//!
//!     npm run test:kill
//!     SLUICE_TEST_ROUNDS=1000 npm run test:kill

#![cfg(target_os = "linux")]

mod support;
#[path = "support/trackers.rs"]
mod trackers;

use std::fs::File;
use std::io::{Write, stderr};
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use sluice_core::machine::{Owner, Processes};
use sluice_core::{Connection, ConnectionTrackerOptions};
use sluice_machine::SharedTracker;

use support::{DIRECTORY, ROLE, directory, print, read_until, spawn};
use trackers::{addresses, caps, connect, count_for, fill, open_tracker};

const PROCESSES: usize = 4;
const THREADS: u64 = 2;
const KILLS: usize = 6;
const CLIENTS: usize = 4;
/// How often a thread opens, or tries to.
const OPENS: usize = 10_000;
/// Opens after which a process says that it goes on.
const STEP: usize = 500;
const MAX: u64 = 5;
const MAX_PER_CLIENT: u64 = 2;

const STEPPED: u8 = b'+';
const EXCEEDED: u8 = b'X';
const ENDED: u8 = b'>';

const TOLD: &str = "told";

fn options() -> ConnectionTrackerOptions {
    caps(Some(MAX), Some(MAX_PER_CLIENT))
}

/// What each process was told is open, by row and client: `owner 32 : changes 16 : count 16`.
struct Told(memmap2::MmapMut);

/// What one process was told of a client.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Word(u64);

impl Word {
    fn changed(self, owner: Owner, by: i64) -> Self {
        let count = self.count_of(owner).checked_add_signed(by).expect("told before");
        Self(owner.bits() << 32 | ((((self.0 >> 16) & 0xffff) + 1) & 0xffff) << 16 | count)
    }

    fn count_of(self, owner: Owner) -> u64 {
        if self.0 >> 32 == owner.bits() { self.0 & 0xffff } else { 0 }
    }
}

impl Told {
    const WORDS: usize = Processes::ROWS * CLIENTS;

    fn create(path: &Path) {
        std::fs::write(path.join(TOLD), [0; Self::WORDS * 8]).expect("room");
    }

    fn open(path: &Path) -> Self {
        let file = File::options().read(true).write(true).open(path.join(TOLD)).expect("made by the test");
        // SAFETY: the processes of this test have the file, and change it by atomic accesses only.
        Self(unsafe { memmap2::MmapMut::map_mut(&file) }.expect("room"))
    }

    fn word(&self, row: usize, client: usize) -> &AtomicU64 {
        let place = row * CLIENTS + client;
        assert!(place < Self::WORDS);
        // SAFETY: the mapping begins on a page, has that many words, and lives as long as `self`.
        unsafe { AtomicU64::from_ptr(self.0.as_ptr().cast_mut().cast::<u64>().add(place)) }
    }

    fn change(&self, own: Owner, client: usize, by: i64) {
        let next = |word| Some(Word(word).changed(own, by).0);
        let changed = self.word(own.row(), client).fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
        changed.expect("always changed");
    }

    /// What all processes that live were told at one moment: in total, and of the client with most. `None` where that changed
    /// while it was read.
    fn snapshot(&self, processes: &Processes) -> Option<(u64, u64)> {
        let live = || processes.live().collect::<Vec<_>>();
        let read = |owners: &[Owner]| -> Vec<[Word; CLIENTS]> {
            let of_row = |owner: &Owner| {
                std::array::from_fn(|client| Word(self.word(owner.row(), client).load(Ordering::SeqCst)))
            };
            owners.iter().map(of_row).collect()
        };
        let owners = live();
        let first = read(&owners);
        if read(&owners) != first || live() != owners {
            return None;
        }
        let of_client = |client: usize| -> u64 {
            owners.iter().zip(&first).map(|(owner, words)| words[client].count_of(*owner)).sum()
        };
        let counts: [u64; CLIENTS] = std::array::from_fn(of_client);
        Some((counts.iter().sum(), counts.into_iter().max()?))
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
#[ignore = "a process of the storm"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var(DIRECTORY).expect("given");
    let path = Path::new(&path);
    let (tracker, told) = (open_tracker(&path.join("files"), options()).expect("fit"), Told::open(path));
    let seed: u64 = role.parse().expect("a number");
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (tracker, told) = (&tracker, &told);
            scope.spawn(move || open_and_close(tracker, told, thread, Random(seed ^ thread)));
        }
    });
    print(ENDED);
}

/// Opens and closes at random, and checks that no more are open than may be.
fn open_and_close(tracker: &SharedTracker, told: &Told, thread: u64, mut random: Random) {
    let processes = tracker.shared().processes();
    let own = processes.own().expect("a row");
    let clients: Vec<_> = addresses().take(CLIENTS).collect();
    let mut open: Vec<(usize, Arc<Connection>)> = Vec::new();
    for turn in 1..=OPENS {
        let client = random.below(CLIENTS);
        if let Ok(connection) = connect(tracker, &clients[client], thread) {
            told.change(own, client, 1);
            open.push((client, connection));
        }
        if let Some((total, of_client)) = told.snapshot(processes)
            && (total > MAX || of_client > MAX_PER_CLIENT)
        {
            print(EXCEEDED);
        }
        while open.len() > random.below(3) {
            let (client, connection) = open.swap_remove(0);
            told.change(own, client, -1);
            assert!(tracker.tracker().close(&connection));
        }
        if turn % STEP == 0 {
            print(STEPPED);
        }
    }
    for (client, connection) in open {
        told.change(own, client, -1);
        assert!(tracker.tracker().close(&connection));
    }
}

/// Reads what a process prints, so many marks at most; false where it has ended.
fn follow(child: &mut Child, marks: usize, seed: u64) -> bool {
    (0..marks).all(|_| {
        let mark = read_until(child, &[STEPPED, EXCEEDED, ENDED]);
        assert!(mark != EXCEEDED, "seed {seed}: more are open than may be");
        mark != ENDED
    })
}

fn round(seed: u64) {
    let directory = directory();
    Told::create(directory.path());
    let mut random = Random(seed);
    let mut next = seed << 8;
    let mut start = || {
        next += 1;
        spawn(&next.to_string(), directory.path())
    };
    let mut children: Vec<_> = (0..PROCESSES).map(|_| start()).collect();
    for _ in 0..KILLS {
        let mut child = children.swap_remove(random.below(children.len()));
        // Some as they attach, some in the middle, some after their end.
        follow(&mut child, random.below(8), seed);
        child.kill().expect("it runs, or has ended");
        child.wait().expect("it ends");
        children.push(start());
    }
    for child in &mut children {
        while follow(child, 1, seed) {}
        child.wait().expect("it ends");
    }
    check_free(&directory.path().join("files"), seed);
}

/// All have ended: nothing is held, and everything can be opened.
fn check_free(path: &Path, seed: u64) {
    let tracker = open_tracker(path, options()).expect("fit");
    tracker.look_after().expect("attached");
    tracker.repair();
    assert_eq!(tracker.tracker().repair(|| 0), Ok(0), "seed {seed}: one repair mends everything");
    assert_eq!(tracker.shared().attached().len(), 1, "seed {seed}: the dead are found");
    assert_eq!(tracker.tracker().count(), 0, "seed {seed}: a connection is lost");
    for client in addresses().take(CLIENTS) {
        assert_eq!(count_for(&tracker, &client), 0, "seed {seed}: a connection of {client} is lost");
        let held = fill(&tracker, std::iter::repeat_n(client, 20));
        assert_eq!(held.len() as u64, MAX_PER_CLIENT, "seed {seed}");
        held.iter().for_each(|connection| assert!(tracker.tracker().close(connection)));
    }
    assert_eq!(fill(&tracker, addresses().take(20)).len() as u64, MAX, "seed {seed}");
}

/// Planted bug, tried once: with the look before the raise, a round finds more open than may be.
#[test]
#[ignore = "takes half a minute: npm run test:kill"]
fn every_round_of_random_kills_keeps_the_caps() {
    let rounds = std::env::var("SLUICE_TEST_ROUNDS").map_or(40, |rounds| rounds.parse().expect("a number"));
    for seed in 0..rounds {
        round(seed);
    }
    let _ = writeln!(stderr(), "{rounds} rounds of {KILLS} kills keep the caps of connections");
}
