//! Every state that a killed process can leave. A process makes one call, an instruction at a time; after each change of the
//! shared memory that is kept as it is, which is all that a kill at this instruction would leave. Other processes then have
//! to find each of these states sound.
//!
//!     npm run test:kill

#![cfg(target_os = "linux")]

mod support;

use std::fs::{self, File, Permissions};
use std::io::{Read, Write, stderr, stdin};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;

use nix::sys::ptrace;
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use sluice_core::runtime::key_hash::KeyHash;
use sluice_core::{LocalHandle, Overflow, RateLimiterOptions};
use sluice_machine::{Directory, SharedLimiter};

use support::{DIRECTORY, MONTH_MS, ROLE, directory, files, key, print, read_until, spawn, try_consume};

const LIMIT: u64 = 5;
/// Of a client, in nanoseconds: until it may be called expired, and how long a block is.
const HOUR: u64 = 3_600_000_000_000;
/// Limits and windows that are brought into force: what clients owe is cut to days.
const SHORTER: [(u64, u64); 2] = [(2, MONTH_MS / 30), (3, MONTH_MS / 15)];
/// More new keys than the table has slots.
const MANY: u64 = 2_000;
/// Instructions of one call, at most: a call that takes more does not end.
const MOST_STEPS: usize = 2_000_000;

/// A call, what it is made on, and which answers the processes that go on may get.
struct Case {
    name: &'static str,
    overflow: Overflow,
    /// Before the call: by another process.
    prepare: fn(&SharedLimiter),
    act: fn(&SharedLimiter, &mut LocalHandle),
    /// Units that the client gets after the call was cut short: at least, at most.
    left: (u64, u64),
}

const NOTHING: fn(&SharedLimiter) = |_| {};
const ONE_UNIT: fn(&SharedLimiter) = |limiter| assert!(try_consume(limiter, "client", 1));
const FULL: fn(&SharedLimiter) = |limiter| {
    for other in 0..MANY {
        try_consume(limiter, &format!("other {other}"), 1);
    }
};
/// Every slot has a client whose block has ended.
const FULL_OF_EXPIRED: fn(&SharedLimiter) = |limiter| {
    let then = limiter.shared().now() - HOUR;
    for other in 0..MANY {
        let _ = limiter.limiter().block(key(limiter, &format!("other {other}")), 1_000_000, then);
    }
};

/// A call of the client by its handle.
const CONSUME: fn(&SharedLimiter, &mut LocalHandle) = |limiter, handle| {
    handle.try_consume(key(limiter, "client"), 1, limiter.shared().now()).expect("open");
};

const CASES: &[Case] = &[
    Case { name: "charge", overflow: Overflow::Deny, prepare: ONE_UNIT, act: CONSUME, left: (3, 4) },
    Case {
        name: "refusal",
        overflow: Overflow::Deny,
        prepare: |limiter| assert!(try_consume(limiter, "client", LIMIT)),
        act: CONSUME,
        left: (0, 0),
    },
    Case { name: "new key", overflow: Overflow::Deny, prepare: NOTHING, act: CONSUME, left: (4, 5) },
    // The call may find no slot, and is admitted uncounted then: as often as it is asked.
    Case {
        name: "eviction of a live key",
        overflow: Overflow::Evict,
        prepare: FULL,
        act: CONSUME,
        left: (4, 5),
    },
    Case {
        name: "eviction of an expired key",
        overflow: Overflow::Deny,
        prepare: FULL_OF_EXPIRED,
        act: CONSUME,
        left: (4, 5),
    },
    Case {
        name: "block of a known key",
        overflow: Overflow::Deny,
        prepare: ONE_UNIT,
        act: |limiter, _| drop(limiter.limiter().block(key(limiter, "client"), HOUR, limiter.shared().now())),
        left: (0, 4),
    },
    Case {
        name: "block of a new key",
        overflow: Overflow::Deny,
        prepare: NOTHING,
        act: |limiter, _| drop(limiter.limiter().block(key(limiter, "client"), HOUR, limiter.shared().now())),
        left: (0, 5),
    },
    Case {
        name: "reset",
        overflow: Overflow::Deny,
        prepare: ONE_UNIT,
        act: |limiter, _| drop(limiter.limiter().reset(key(limiter, "client"), limiter.shared().now())),
        left: (4, 5),
    },
    Case {
        name: "refund",
        overflow: Overflow::Deny,
        prepare: ONE_UNIT,
        act: |limiter, _| drop(limiter.limiter().refund(key(limiter, "client"), 1, limiter.shared().now())),
        left: (4, 5),
    },
    Case {
        name: "penalty",
        overflow: Overflow::Deny,
        prepare: ONE_UNIT,
        act: |limiter, _| drop(limiter.limiter().penalize(key(limiter, "client"), 1, limiter.shared().now())),
        left: (3, 4),
    },
    Case {
        name: "clear",
        overflow: Overflow::Deny,
        prepare: ONE_UNIT,
        act: |limiter, _| limiter.limiter().clear(limiter.shared().now()).expect("open"),
        left: (4, 5),
    },
    Case {
        name: "reconfiguration",
        overflow: Overflow::Deny,
        prepare: |limiter| {
            (0..10).for_each(|other| assert!(try_consume(limiter, &format!("other {other}"), LIMIT)));
        },
        act: |limiter, _| {
            // One after the other: the first must stay whole while the second is written.
            for limits in SHORTER.map(|(limit, window)| RateLimiterOptions::single(limit, window).limits) {
                let shorter = RateLimiterOptions { limits, ..options(Overflow::Deny) };
                limiter.limiter().reconfigure(shorter, || limiter.shared().now()).expect("changeable");
            }
        },
        left: (2, 5),
    },
    Case {
        name: "handle",
        overflow: Overflow::Deny,
        prepare: NOTHING,
        act: |limiter, _| std::mem::forget(LocalHandle::new(Arc::clone(limiter.limiter()))),
        left: (5, 5),
    },
    Case {
        name: "attach",
        overflow: Overflow::Deny,
        prepare: ONE_UNIT,
        act: |limiter, _| {
            let directory = limiter.shared().path().parent().expect("a directory").to_owned();
            std::mem::forget(open(&directory, &CASES[0]));
        },
        left: (4, 4),
    },
    // Of what a process left that was killed in an insert.
    Case {
        name: "repair",
        overflow: Overflow::Deny,
        prepare: FULL_OF_EXPIRED,
        act: |limiter, _| {
            assert_eq!(limiter.shared().look_after(), Ok(1));
            let needed = limiter.shared().processes().to_repair();
            limiter.limiter().repair(|| limiter.shared().now()).expect("open");
            limiter.shared().processes().repaired(needed);
        },
        left: (5, 5),
    },
];

fn options(overflow: Overflow) -> RateLimiterOptions {
    RateLimiterOptions { max_keys: 40, overflow, ..RateLimiterOptions::single(LIMIT, MONTH_MS) }
}

fn open(path: &Path, case: &Case) -> SharedLimiter {
    let directory = Directory::open(path).expect("fit");
    SharedLimiter::open(&directory, "api", options(case.overflow).try_into().expect("valid")).expect("fit")
}

/// The process that makes the call, between two signals that stop it.
#[test]
#[ignore = "a process of the killer"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var(DIRECTORY).expect("given");
    let case = CASES.iter().find(|case| case.name == role).expect("a case");
    let limiter = open(Path::new(&path), case);
    let mut handle = LocalHandle::new(Arc::clone(limiter.limiter()));
    print(b'!');
    let _ = stdin().read(&mut [0]);
    raise(Signal::SIGUSR1).expect("it is stopped here");
    (case.act)(&limiter, &mut handle);
    raise(Signal::SIGUSR2).expect("it is stopped here");
}

/// A process that is stopped before its call.
struct Traced {
    child: Child,
    thread: Pid,
}

impl Traced {
    fn start(case: &Case, path: &Path) -> Self {
        let mut child = spawn(case.name, path);
        read_until(&mut child, b"!");
        // The test runs in a thread of its own.
        let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).expect("it runs");
        let ids = tasks
            .map(|task| task.expect("readable").file_name().to_string_lossy().parse().expect("a number"));
        let own = i32::try_from(child.id()).expect("a number");
        let thread = ids.filter(|id| *id != own).map(Pid::from_raw).next().expect("a thread");
        ptrace::attach(thread).expect("a system that lets a process trace its children");
        let mut traced = Self { child, thread };
        assert_eq!(traced.wait(), Signal::SIGSTOP);
        traced.child.stdin.as_mut().expect("piped").write_all(b"x").expect("it reads");
        ptrace::cont(thread, None).expect("it is stopped");
        assert_eq!(traced.wait(), Signal::SIGUSR1);
        traced
    }

    /// Why it stopped.
    fn wait(&self) -> Signal {
        match waitpid(self.thread, Some(WaitPidFlag::__WALL)) {
            Ok(WaitStatus::Stopped(_, signal)) => signal,
            other => panic!("it did not stop: {other:?}"),
        }
    }

    /// Runs one instruction. False when the call has ended.
    fn step(&self) -> bool {
        ptrace::step(self.thread, None).expect("it is stopped");
        match self.wait() {
            Signal::SIGTRAP => true,
            Signal::SIGUSR2 => false,
            other => panic!("stopped by {other}"),
        }
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = waitpid(self.thread, Some(WaitPidFlag::__WALL));
        let _ = self.child.wait();
    }
}

/// The memory of the file after each change that the call makes, the first one before it.
fn states(case: &Case, path: &Path) -> Vec<Vec<u8>> {
    let file = File::open(files(path).remove(0)).expect("own");
    let read = |bytes: &mut Vec<u8>| file.read_exact_at(bytes, 0).expect("readable");
    let mut now = vec![0; file.metadata().expect("there").len().try_into().expect("small")];
    let traced = Traced::start(case, path);
    if case.name == "repair" {
        die_in_an_insert(path);
    }
    read(&mut now);
    let mut states = vec![now.clone()];
    for _ in 0..MOST_STEPS {
        if !traced.step() {
            return states;
        }
        read(&mut now);
        if states.last() != Some(&now) {
            states.push(now.clone());
        }
    }
    panic!("{}: it does not end", case.name);
}

/// Kills a process after it made two changes to insert a key.
fn die_in_an_insert(path: &Path) {
    let case = CASES.iter().find(|case| case.name == "eviction of an expired key").expect("a case");
    let traced = Traced::start(case, path);
    let file = files(path).remove(0);
    let read = || fs::read(&file).expect("readable");
    for _ in 0..2 {
        let before = read();
        while read() == before {
            assert!(traced.step(), "it changes more than that");
        }
    }
}

/// How many new keys find a slot in an empty table.
fn fill(limiter: &SharedLimiter) -> usize {
    limiter.limiter().clear(limiter.shared().now()).expect("open");
    let filled = (0..MANY).filter(|new| try_consume(limiter, &format!("new {new}"), 1)).count();
    limiter.limiter().clear(limiter.shared().now()).expect("open");
    filled
}

/// The state in a file of its own, in a directory that goes with it.
fn revive(case: &Case, state: &[u8], file_name: &str) -> (tempfile::TempDir, SharedLimiter) {
    let directory = directory();
    let path = directory.path().join(file_name);
    fs::write(&path, state).expect("room");
    fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("own");
    let limiter = open(directory.path(), case);
    (directory, limiter)
}

/// Blocks every client that finds a slot; which of them.
fn block_others(limiter: &SharedLimiter) -> Vec<KeyHash> {
    let others = (0..70).map(|other| key(limiter, &format!("other {other}")));
    let block =
        |other: &KeyHash| limiter.limiter().block(*other, HOUR, limiter.shared().now()).expect("open");
    others.filter(block).collect()
}

/// After a repair: a block that was acknowledged stands.
fn check_blocks(limiter: &SharedLimiter, blocked: &[KeyHash]) {
    let (core, now) = (limiter.limiter(), || limiter.shared().now());
    core.repair(now).expect("open");
    assert!(
        blocked.iter().all(|other| !core.try_consume(*other, 1, now()).expect("open")),
        "a block is lost"
    );
}

/// What a process finds where another one was killed.
fn check(case: &Case, state: &[u8], file_name: &str, slots: usize) {
    let (_directory, limiter) = revive(case, state, file_name);
    check_blocks(&limiter, &block_others(&limiter));
    let (_directory, limiter) = revive(case, state, file_name);
    // No process of the state has a lock, so each is dead.
    let (core, now) = (limiter.limiter(), || limiter.shared().now());
    assert_eq!(limiter.shared().attached().len(), 1);
    let admitted = (0..20).filter(|_| try_consume(&limiter, "client", 1)).count() as u64;
    assert!(
        (case.left.0..=case.left.1).contains(&admitted),
        "{admitted} units are left, not {:?}",
        case.left
    );
    core.repair(now).expect("open");
    let again = core.repair(now).expect("open");
    assert_eq!((again.claims, again.blocks, again.config), (0, 0, false), "one repair mends everything");

    // The options are those before or those after, and no client owes more than they can leave.
    let quota = core.config().options().limits[0].quota;
    let is_whole =
        [(LIMIT, MONTH_MS)].iter().chain(&SHORTER).any(|known| *known == (quota.limit, quota.window_ms));
    assert!(is_whole, "{quota} is in force, which is half a config");
    for other in 0..10 {
        let decision = core.peek(key(&limiter, &format!("other {other}")), now()).expect("open");
        let most = quota.window_ms * 1_000_000 / quota.limit;
        assert!(decision.retry_after.is_some_and(|wait| wait <= most), "{decision:?} by {quota}");
    }
    let options = options(case.overflow);
    core.reconfigure(options, now).expect("changeable");

    let filled = fill(&limiter);
    assert!(case.overflow == Overflow::Evict || filled == slots, "{filled} slots of {slots}");
    let stats = core.stats(now()).expect("open");
    assert_eq!((stats.size, stats.blocked), (0, 0));
    // Each key is charged in one slot, over and over.
    for unit in 0..=LIMIT {
        for client in 0..10 {
            assert_eq!(try_consume(&limiter, &format!("again {client}"), 1), unit < LIMIT);
        }
    }
    assert_eq!(core.stats(now()).expect("open").size, 10);
}

#[test]
#[ignore = "takes a minute or more: npm run test:kill"]
fn every_state_that_a_killed_process_leaves_is_sound() {
    let wanted = std::env::var("SLUICE_TEST_CALL").unwrap_or_default();
    for case in CASES.iter().filter(|case| case.name.contains(&wanted)) {
        let directory = directory();
        let limiter = open(directory.path(), case);
        let slots = fill(&limiter);
        (case.prepare)(&limiter);
        let states = states(case, directory.path());
        let file = files(directory.path()).remove(0);
        let name = file.file_name().expect("a name").to_string_lossy();
        for (place, state) in states.iter().enumerate() {
            let sound = std::panic::catch_unwind(|| check(case, state, &name, slots));
            assert!(sound.is_ok(), "{}: unsound after {place} of {} changes", case.name, states.len() - 1);
        }
        let _ = writeln!(stderr(), "{}: {} states are sound", case.name, states.len());
        // A call that changes nothing in the file would test nothing.
        assert!(states.len() > 1, "{}: no change", case.name);
    }
}

/// How many instructions the call has run at each change.
fn steps_to_changes(case: &Case, path: &Path) -> Vec<usize> {
    let file = files(path).remove(0);
    let read = || fs::read(&file).expect("readable");
    let traced = Traced::start(case, path);
    let (mut before, mut changes) = (read(), Vec::new());
    for step in 1..MOST_STEPS {
        if !traced.step() {
            return changes;
        }
        let now = read();
        if now != before {
            (before, changes) = (now, [changes, vec![step]].concat());
        }
    }
    panic!("{}: it does not end", case.name);
}

/// A process is stopped shortly before it changes something to evict an expired client. Every client is blocked then, and
/// the process goes on to its change and is killed there.
#[test]
#[ignore = "takes a minute or more: npm run test:kill"]
fn every_block_beside_an_eviction_that_is_killed_stands() {
    let case = CASES.iter().find(|case| case.name == "eviction of an expired key").expect("a case");
    let (name, initial) = {
        let directory = directory();
        (case.prepare)(&open(directory.path(), case));
        let file = files(directory.path()).remove(0);
        (file.file_name().expect("a name").to_string_lossy().into_owned(), fs::read(&file).expect("readable"))
    };
    let (directory, _limiter) = revive(case, &initial, &name);
    let changes = steps_to_changes(case, directory.path());
    for (change, steps) in changes.iter().enumerate() {
        for before in [1, 8, 25, 60, 120, 250, 500].into_iter().filter(|before| before < steps) {
            let (directory, limiter) = revive(case, &initial, &name);
            let traced = Traced::start(case, directory.path());
            assert!((0..steps - before).all(|_| traced.step()), "as many as before");
            let blocked = block_others(&limiter);
            let read = || fs::read(directory.path().join(&name)).expect("readable");
            let seen = read();
            while traced.step() && read() == seen {}
            drop(traced);
            let check = AssertUnwindSafe(|| check_blocks(&limiter, &blocked));
            let sound = std::panic::catch_unwind(check);
            assert!(
                sound.is_ok(),
                "blocked {before} instructions before change {change}, which was the last one"
            );
        }
    }
}
