//! Processes that are killed at random while they call and reconfigure. What was admitted is counted here, as each process
//! prints it after it was told.
//!
//!     npm run test:kill
//!     SLUICE_TEST_ROUNDS=1000 npm run test:kill

#![cfg(target_os = "linux")]

mod support;

use std::fs::File;
use std::io::{Write, stderr};
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use sluice_core::{LocalHandle, Overflow, RateLimiterOptions};
use sluice_machine::SharedLimiter;

use support::{
    DIRECTORY, MONTH_MS, ROLE, directory, key, open_with, options, print, read_to_end, read_until, spawn,
    three_limits, try_consume,
};

const PROCESSES: usize = 4;
const THREADS: usize = 2;
const KILLS: usize = 6;
/// The limits that processes bring into force in turn. No client gets more units than the highest.
const LIMITS: [u64; 3] = [20, 12, 16];
/// Clients, each with a letter.
const CLIENTS: std::ops::RangeInclusive<u8> = b'A'..=b'T';
/// How often a process asks for each client.
const PASSES: usize = 60;
/// Printed by a process that has begun, and by one that has done everything.
const BEGUN: u8 = b'<';
const ENDED: u8 = b'>';

/// What the processes of a round do.
const ROLES: [&str; 4] = ["consume", "reconfigure", "consume by three limits", "reconfigure three limits"];
/// All threads ask for one client.
const HOT_ROLES: [&str; 2] = ["hot", "hot by three limits"];

/// The options of a role: of its limits, `limit` is the lowest.
fn options_of(role: &str, limit: u64) -> RateLimiterOptions {
    let max_keys = if HOT_ROLES.contains(&role) { 40 } else { 1_000 };
    let options = if role.contains("three") { three_limits } else { options };
    RateLimiterOptions { overflow: Overflow::Deny, ..options(limit, max_keys) }
}

fn open(role: &str, path: &Path, limit: u64) -> SharedLimiter {
    open_with(path, options_of(role, limit)).expect("fit")
}

#[test]
#[ignore = "a process of the storm"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var(DIRECTORY).expect("given");
    if HOT_ROLES.contains(&&*role) {
        return ask_for_one(&role, Path::new(&path));
    }
    let limiter = open(&role, Path::new(&path), LIMITS[0]);
    print(BEGUN);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (limiter, role) = (&limiter, &*role);
            scope.spawn(move || ask_for_all(limiter, role, thread));
        }
    });
    print(ENDED);
}

fn ask_for_all(limiter: &SharedLimiter, role: &str, thread: usize) {
    let now = || limiter.shared().now();
    for pass in 0..PASSES {
        // A handle is dropped with each pass, and its seat taken by another thread.
        let mut handle = LocalHandle::new(Arc::clone(limiter.limiter()));
        if role.starts_with("reconfigure") && thread == 0 {
            let options = options_of(role, LIMITS[pass % LIMITS.len()]);
            limiter.limiter().reconfigure(options, now).expect("changeable");
        }
        for client in CLIENTS {
            let hash = key(limiter, &char::from(client).to_string());
            if handle.try_consume(hash, 1, now()).expect("open") {
                print(client);
            }
        }
        limiter.look_after().expect("attached");
    }
}

/// Threads of a process where all ask for one client. Many are suspended in the middle of a call.
const HOT_THREADS: usize = 8;
/// The quota of that client.
const HOT: u64 = 200_000;
const TOLD: &str = "told";

/// A word in a file: what was admitted, counted after it was told, without a call of the system.
struct Told(memmap2::MmapMut);

impl Told {
    fn open(path: &Path) -> Self {
        let file = File::options().read(true).write(true).open(path.join(TOLD)).expect("made by the test");
        // SAFETY: the processes of this test have the file, and change it by atomic accesses only.
        Self(unsafe { memmap2::MmapMut::map_mut(&file) }.expect("room"))
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: the mapping begins on a page, is longer than a word, and lives as long as `self`.
        unsafe { AtomicU64::from_ptr(self.0.as_ptr().cast_mut().cast()) }
    }
}

/// Asks for one client until it is refused.
fn ask_for_one(role: &str, path: &Path) {
    let (limiter, told) = (open(role, path, HOT), Told::open(path));
    thread::scope(|scope| {
        for _ in 0..HOT_THREADS {
            let (limiter, told) = (&limiter, &told);
            scope.spawn(move || {
                let mut handle = LocalHandle::new(Arc::clone(limiter.limiter()));
                let client = key(limiter, "client");
                while handle.try_consume(client, 1, limiter.shared().now()).expect("open") {
                    told.word().fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
}

/// Charges the client and so many others that no slot is free: calls of several limits then need records beyond those of
/// their group. The process that charged them is dead for the others. Which clients found a slot.
fn fill(role: &str, path: &Path) -> Vec<String> {
    let limiter = open(role, path, HOT);
    assert!(try_consume(&limiter, "client", 1));
    let others = (0..1_000).map(|other| format!("other {other}"));
    others.filter(|other| try_consume(&limiter, other, 1)).collect()
}

/// All threads change one word or one record, and some are killed meanwhile.
fn use_one_up(role: &str) {
    let (directory, begun) = (directory(), Instant::now());
    std::fs::write(directory.path().join(TOLD), [0; 4_096]).expect("room");
    let told = Told::open(directory.path());
    let others = fill(role, directory.path());
    let limiter = open(role, directory.path(), HOT);
    let filled_at = limiter.shared().now();
    told.word().fetch_add(1, Ordering::Relaxed);
    let mut children: Vec<_> = (0..PROCESSES).map(|_| spawn(role, directory.path())).collect();
    for kill in 1..=KILLS as u64 {
        // Killed once so much was admitted.
        while told.word().load(Ordering::Relaxed) < kill * HOT / (KILLS as u64 + 1) {
            thread::yield_now();
        }
        let mut child = children.remove(0);
        child.kill().expect("it runs, or has ended");
        child.wait().expect("it ends");
        children.push(spawn(role, directory.path()));
    }
    children.iter_mut().for_each(|child| drop(read_to_end(child)));
    let admitted = told.word().load(Ordering::Relaxed);
    // What time has returned since.
    let returned = begun.elapsed().as_millis() as u64 * HOT / MONTH_MS + 1;
    assert!(admitted < HOT + returned, "{role}: {admitted} of {HOT}");
    assert!(admitted >= HOT - (KILLS * HOT_THREADS) as u64, "{role}: {admitted} of {HOT}");
    limiter.look_after().expect("attached");
    let core = limiter.limiter();
    assert_eq!(core.states_in_flight(), Ok(0), "{role}: the dead hold nothing");
    for other in &others {
        // By now, time may have returned the unit: it does so within 13 seconds.
        let decision = core.peek(key(&limiter, other), filled_at).expect("open");
        assert_eq!(decision.remaining, HOT - 1, "{role}: {other} was charged once");
    }
}

#[test]
#[ignore = "takes a minute or more: npm run test:kill"]
fn every_unit_of_a_client_is_admitted_once() {
    for _ in 0..5 {
        HOT_ROLES.into_iter().for_each(use_one_up);
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % bound
    }
}

/// How many units each client got, of all processes.
struct Admitted([u64; 256]);

impl Admitted {
    fn add(&mut self, printed: &[u8]) {
        printed.iter().for_each(|byte| self.0[usize::from(*byte)] += 1);
    }

    /// Reads until the process has printed some more; false where it has ended.
    fn follow(&mut self, child: &mut Child, marks: usize) -> bool {
        let all: Vec<u8> = CLIENTS.chain([ENDED]).collect();
        (0..marks).all(|_| {
            let mark = read_until(child, &all);
            self.add(&[mark]);
            mark != ENDED
        })
    }
}

/// One round. The limit in force at the end, and what clients got.
fn round(role: &str, random: &mut Random) -> (SharedLimiter, tempfile::TempDir, Admitted) {
    let directory = directory();
    let mut admitted = Admitted([0; 256]);
    let mut children: Vec<_> = (0..PROCESSES).map(|_| spawn(role, directory.path())).collect();
    for _ in 0..KILLS {
        let mut child = children.swap_remove(random.below(children.len()));
        // Some as they attach, some in the middle, some after their end.
        let moment = random.below(40);
        if moment > 5 && read_until(&mut child, &[BEGUN]) == BEGUN {
            admitted.follow(&mut child, moment - 6);
        }
        child.kill().expect("it runs, or has ended");
        admitted.add(&read_to_end(&mut child));
        children.push(spawn(role, directory.path()));
    }
    children.iter_mut().for_each(|child| admitted.add(&read_to_end(child)));
    let limiter = open(role, directory.path(), LIMITS[0]);
    limiter.look_after().expect("attached");
    (limiter, directory, admitted)
}

fn check(role: &str, seed: u64) {
    let (limiter, _directory, admitted) = round(role, &mut Random(seed));
    let is_sure = role.starts_with("consume");
    for client in CLIENTS {
        let units = admitted.0[usize::from(client)];
        assert!(units <= LIMITS[0], "{role}, seed {seed}: {units} units for {}", char::from(client));
        // Each thread that was killed may have charged a unit that no caller was told of.
        let least = LIMITS[0] - (KILLS * THREADS) as u64;
        assert!(!is_sure || units >= least, "{role}, seed {seed}: only {units} for {}", char::from(client));
    }
    limiter.repair();
    let core = limiter.limiter();
    let again = core.repair(|| limiter.shared().now()).expect("open");
    assert_eq!((again.claims, again.blocks, again.config), (0, 0, false), "{role}, seed {seed}");
    assert_eq!(limiter.shared().attached().len(), 1, "{role}, seed {seed}: the dead are found");
    assert_eq!(core.states_in_flight(), Ok(0), "{role}, seed {seed}: the dead hold nothing");
    let in_force = core.config();
    let limits: Vec<_> = in_force.options().limits.iter().map(|limit| limit.quota.limit).collect();
    let limit = *limits.iter().min().expect("one at least");
    let known: Vec<_> = options_of(role, limit).limits.iter().map(|limit| limit.quota.limit).collect();
    assert!(LIMITS.contains(&limit) && limits == known, "{role}, seed {seed}: half a config");
    // Everything can be used again, by the limit in force.
    core.clear(limiter.shared().now()).expect("open");
    let clients = CLIENTS.map(|client| char::from(client).to_string());
    let units = |client: String| (0..=LIMITS[0]).filter(|_| try_consume(&limiter, &client, 1)).count() as u64;
    assert!(clients.map(units).all(|units| units == limit), "{role}, seed {seed}");
}

#[test]
#[ignore = "takes a minute or more: npm run test:kill"]
fn every_round_of_random_kills_is_sound() {
    let rounds = std::env::var("SLUICE_TEST_ROUNDS").map_or(100, |rounds| rounds.parse().expect("a number"));
    for seed in 0..rounds {
        check(ROLES[seed as usize % ROLES.len()], seed);
    }
    let _ = writeln!(stderr(), "{rounds} rounds of {KILLS} kills are sound");
}
