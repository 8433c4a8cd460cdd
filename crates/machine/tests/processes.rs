//! Processes that share a limiter, and are killed.

#![cfg(target_os = "linux")]

mod support;

use std::io::{Read, stdin};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use sluice_core::LocalHandle;
use sluice_machine::SharedLimiter;

use support::{
    DIRECTORY, ROLE, count_until_end, directory, key, open, open_with, options, print, read_until, spawn,
    three_limits, try_consume,
};

/// Units that the processes share. None returns while a test runs.
const QUOTA: u64 = 3_000;
const THREADS: u64 = 2;

/// What other processes of these tests do.
#[test]
#[ignore = "a process of other tests"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = std::env::var(DIRECTORY).expect("given");
    let options = if role == "consume three" { three_limits(QUOTA, 1_000) } else { options(QUOTA, 1_000) };
    let limiter = open_with(Path::new(&path), options).expect("fit");
    match &*role {
        "consume" | "consume three" => consume_all(&limiter),
        "attach" => {}
        "reconfigure" => {
            let less = support::options(7, 1_000);
            limiter.limiter().reconfigure(less, || limiter.shared().now()).expect("valid");
        }
        other => panic!("no role {other}"),
    }
    print(b'!');
    // Until it is told to end, or killed.
    let _ = stdin().read(&mut [0]);
}

/// One call after the other until one is refused; prints a mark for each that was admitted, after it was.
fn consume_all(limiter: &SharedLimiter) {
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut handle = LocalHandle::new(Arc::clone(limiter.limiter()));
                let client = key(limiter, "client");
                while handle.try_consume(client, 1, limiter.shared().now()).expect("open") {
                    print(b'+');
                }
            });
        }
    });
}

fn end(mut child: Child) -> u64 {
    drop(child.stdin.take());
    count_until_end(&mut child, b'+')
}

fn kill(mut child: Child) -> u64 {
    child.kill().expect("it runs, or has ended");
    count_until_end(&mut child, b'+')
}

#[test]
fn processes_share_one_quota_of_several_limits() {
    let directory = directory();
    let children: Vec<_> = (0..4).map(|_| spawn("consume three", directory.path())).collect();
    let admitted: u64 = children.into_iter().map(end).sum();
    assert_eq!(admitted, QUOTA);
    let limiter = open_with(directory.path(), three_limits(QUOTA, 1_000)).expect("fit");
    let now = limiter.shared().now();
    let decision = limiter.limiter().peek(key(&limiter, "client"), now).expect("open");
    assert_eq!((decision.policy, decision.limit, decision.remaining), (2, QUOTA, 0), "the lowest refuses");
    assert_eq!(limiter.limiter().states_in_flight(), Ok(0));
}

#[test]
fn processes_share_one_quota() {
    let directory = directory();
    let children: Vec<_> = (0..4).map(|_| spawn("consume", directory.path())).collect();
    let admitted: u64 = children.into_iter().map(end).sum();
    assert_eq!(admitted, QUOTA);
    let stats = {
        let limiter = open(directory.path(), QUOTA).expect("fit");
        limiter.limiter().stats(limiter.shared().now()).expect("open")
    };
    // The counters of processes that are gone, and of each thread the one call that was refused.
    assert_eq!((stats.allowed, stats.refused), (QUOTA, 4 * THREADS));
}

#[test]
fn kills_admit_nothing_more_and_lose_one_call_a_thread_at_most() {
    for round in 0..6 {
        let directory = directory();
        let mut children: Vec<_> = (0..4).map(|_| spawn("consume", directory.path())).collect();
        let (mut admitted, mut kills) = (0, 0);
        for killed in 0..3 {
            let mut child = children.remove((round + killed) % children.len());
            // Some are killed as they begin, some in the middle.
            if killed > 0 && read_until(&mut child, b"+!") == b'+' {
                admitted += 1;
            }
            admitted += kill(child);
            kills += 1;
            children.push(spawn("consume", directory.path()));
        }
        admitted += children.into_iter().map(end).sum::<u64>();
        assert!(admitted <= QUOTA, "round {round}: {admitted} of {QUOTA}");
        assert!(admitted >= QUOTA - kills * THREADS, "round {round}: {admitted} of {QUOTA}");
    }
}

#[test]
fn a_killed_process_is_found_and_its_row_used_again() {
    let directory = directory();
    let limiter = open(directory.path(), QUOTA).expect("fit");
    let mut child = spawn("attach", directory.path());
    read_until(&mut child, b"!");
    let pids = || limiter.shared().attached().iter().map(|attached| attached.pid).collect::<Vec<_>>();
    assert_eq!(pids(), [u64::from(std::process::id()), child.id().into()]);
    assert_eq!(limiter.look_after(), Ok(0), "it lives");
    kill(child);
    assert_eq!(limiter.shared().attached().len(), 2, "not known yet");
    assert_eq!(limiter.look_after(), Ok(1));
    assert_eq!((limiter.look_after(), pids().len()), (Ok(0), 1), "once");
    limiter.repair();
    let processes = limiter.shared().processes();
    assert!(!processes.to_repair().is_needed() && processes.deaths() == 1);

    // The next process of the row is not taken for the dead one.
    let mut next = spawn("attach", directory.path());
    read_until(&mut next, b"!");
    assert_eq!((limiter.look_after(), pids().len()), (Ok(0), 2));
    end(next);
    assert_eq!(limiter.look_after(), Ok(1), "an end is found as a death is");
}

#[test]
fn a_process_that_attaches_finds_the_dead() {
    let directory = directory();
    let mut child = spawn("attach", directory.path());
    read_until(&mut child, b"!");
    kill(child);
    let limiter = open(directory.path(), QUOTA).expect("fit");
    assert_eq!(limiter.shared().attached().len(), 1);
    assert_eq!(limiter.shared().processes().deaths(), 1);
}

#[test]
fn other_options_come_into_force_for_all_processes() {
    let directory = directory();
    let limiter = open(directory.path(), QUOTA).expect("fit");
    let mut handle = LocalHandle::new(Arc::clone(limiter.limiter()));
    let (client, now) = (key(&limiter, "client"), limiter.shared().now());
    assert!(handle.try_consume(client, QUOTA, now).expect("open"), "by the options of creation");
    let mut child = spawn("reconfigure", directory.path());
    read_until(&mut child, b"!");
    kill(child);
    assert!(!try_consume(&limiter, "other", 8), "more than the limit that is in force");
    assert!(handle.try_consume(key(&limiter, "other"), 7, now).expect("open"));
    // What was used is cut to what the new limit can have left.
    let decision = limiter.limiter().peek(client, limiter.shared().now()).expect("open");
    assert_eq!((decision.limit, decision.remaining), (7, 0));
    let again = options(9, 1_000);
    limiter.limiter().reconfigure(again, || limiter.shared().now()).expect("valid");
    let newcomer = open(directory.path(), QUOTA).expect("the options of creation");
    assert_eq!(newcomer.limiter().config().options().limits[0].quota.limit, 9);
    assert_eq!(newcomer.limiter().config().generation(), 2);
}

/// Other code of the process closes the descriptor that has the lock, and may get its number for a file of its own. The
/// mapping keeps the lock.
#[test]
fn a_process_whose_descriptor_was_closed_stays_attached() {
    let directory = directory();
    let first = open(directory.path(), QUOTA).expect("fit");
    let own = descriptors_of(&first);
    let [descriptor] = own[..] else { panic!("one descriptor, not {own:?}") };
    let second = open(directory.path(), QUOTA).expect("fit");
    let mut handle = LocalHandle::new(Arc::clone(first.limiter()));
    nix::unistd::close(descriptor).expect("it is open");

    assert_eq!((second.look_after(), second.shared().attached().len()), (Ok(0), 2));
    assert_eq!((first.look_after(), first.shared().attached().len()), (Ok(0), 2), "by another descriptor");
    assert_eq!(descriptors_of(&first).len(), 2, "of both");
    let client = key(&first, "client");
    assert!(handle.try_consume(client, 1, first.shared().now()).expect("open"));
    assert!(try_consume(&first, "client", QUOTA - 2) && try_consume(&second, "client", 1));
    assert!(!try_consume(&first, "client", 1));
    first
        .limiter()
        .reconfigure(options(QUOTA + 1, 1_000), || first.shared().now())
        .expect("a cell of its row");
    assert_eq!(second.limiter().peek(client, second.shared().now()).expect("open").limit, QUOTA + 1);
    drop((handle, first));
    // Its lock may stay for a moment: see `wait_until_free`.
    let started = Instant::now();
    while second.look_after() == Ok(0) {
        assert!(started.elapsed() < Duration::from_secs(20), "an end is found as ever");
        thread::yield_now();
    }
    assert_eq!((second.shared().attached().len(), second.shared().processes().deaths()), (1, 1));
}

/// The descriptors of this process that are of the limiter's file. A file that was made without a name has another one there.
fn descriptors_of(limiter: &SharedLimiter) -> Vec<i32> {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()));
    let wanted = identity(limiter.shared().path());
    let all = std::fs::read_dir("/proc/self/fd").expect("it is mounted");
    let own = all.map(|entry| entry.expect("readable").path()).filter(|path| identity(path) == wanted);
    own.map(|path| path.file_name().and_then(|name| name.to_str()?.parse().ok()).expect("a number")).collect()
}
